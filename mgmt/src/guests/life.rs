//! A virtual system's life: made, loaded, started, watched, and taken apart.
//!
//! One task for each system that is on. Commands come from the domain by [`Guest::command`], news from the hypervisor and
//! from the guest's own devices; both only raise a signal, and the task looks at everything in turn. What it finds it
//! reports; a system that is off has no task and holds nothing.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::time::Duration;

use bulkhead_abi::host::{PartitionInfo, PartitionState};
use bulkhead_abi::hypercall::{PartitionAction, Status};
use cim_domain::{Crash, Event, StartFailure};
use mgmt_hypercall::{PartitionId, Refusal};

use super::guest::{Command, Guest};
use super::kept::Phase;
use super::{Host, boot};
use crate::report;
use crate::root::Root;

/// How long to wait before the hypervisor is asked again to take a partition apart.
const AGAIN: Duration = Duration::from_millis(2);

/// Why a life goes on no more.
enum End {
    /// It is off.
    Off,
    /// It never came up, or not again.
    Failed(StartFailure),
}

/// What was asked of the system and is not through yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pending {
    Nothing,
    Pause,
    Reset,
    Stop,
}

/// Runs a system from its start to its end.
pub async fn live(guest: Rc<Guest>) {
    let end = match boot::boot(&guest).await {
        Ok(()) => {
            guest.tell(Event::Started);
            watch(&guest).await
        }
        Err(failure) => End::Failed(failure),
    };
    release(&guest).await;
    guest.forget();
    guest.tell(match end {
        // Whoever asked for a stop while it was starting gets what it asked for.
        End::Failed(_) if guest.is_unwanted() => Event::PoweredOff,
        End::Failed(failure) => Event::StartFailed(failure),
        End::Off => Event::PoweredOff,
    });
}

/// Goes on with a system that was on before this partition started.
pub async fn resume_watch(guest: Rc<Guest>, phase: Phase) {
    let loaded = match phase {
        Phase::Running => Ok(()),
        // Nobody knows how far that had come.
        Phase::Loading => again(&guest).await,
        Phase::Ending => Err(End::Off),
    };
    let end = match loaded {
        Ok(()) => watch(&guest).await,
        Err(end) => end,
    };
    release(&guest).await;
    guest.forget();
    guest.tell(match end {
        End::Failed(failure) => Event::StartFailed(failure),
        End::Off => Event::PoweredOff,
    });
}

async fn watch(guest: &Rc<Guest>) -> End {
    let mut pending = Pending::Nothing;
    let mut crash_told = false;
    loop {
        while let Some(command) = guest.next_command() {
            if let Err(reason) = obey(guest, command, &mut pending) {
                report!("{}: {command:?}: {reason}", guest.name());
            }
        }
        if let Some(wish) = guest.take_wish() {
            let now = match wish {
                Command::Reset => Pending::Reset,
                _ => Pending::Stop,
            };
            if pending != Pending::Stop {
                pending = now;
            }
            let _ = guest.stop_vcpus();
        }
        let info = match guest.host().info(guest.id()) {
            Ok(info) => info,
            Err(refusal) => return End::Failed(StartFailure::Machine(refusal.to_string())),
        };
        match state(&info) {
            State::Moving => {}
            State::Running => guest.feed(),
            State::Paused => {
                if pending == Pending::Pause {
                    pending = Pending::Nothing;
                    guest.tell(Event::Paused);
                }
            }
            State::Crashed => {
                if pending == Pending::Stop {
                    return End::Off;
                }
                if pending == Pending::Reset {
                    pending = Pending::Nothing;
                    crash_told = false;
                    if let Err(end) = again(guest).await {
                        return end;
                    }
                    continue;
                }
                if !crash_told {
                    crash_told = true;
                    guest.tell(Event::Crashed(crash(guest)));
                }
            }
            // A guest that asks for a reset while it is being turned off is turned off.
            State::Reset | State::Stopped if pending == Pending::Stop => return End::Off,
            State::Stopped if pending != Pending::Reset => return End::Off,
            State::Reset | State::Stopped => {
                pending = Pending::Nothing;
                if let Err(end) = again(guest).await {
                    return end;
                }
                continue;
            }
        }
        guest.signal().wait().await;
    }
}

/// Boots the system again.
async fn again(guest: &Rc<Guest>) -> Result<(), End> {
    guest.tell(Event::Resetting);
    guest.remark("the system is reset");
    match boot::boot(guest).await {
        Ok(()) => {
            guest.tell(Event::ResetDone);
            Ok(())
        }
        Err(_) if guest.is_unwanted() => Err(End::Off),
        Err(failure) => Err(End::Failed(failure)),
    }
}

fn obey(guest: &Guest, command: Command, pending: &mut Pending) -> Result<(), String> {
    let control = |action| {
        let hypervisor = guest.host().hypervisor;
        let done = hypervisor.partition_control(guest.id(), action);
        done.map_err(|refusal| refusal.to_string())
    };
    match command {
        Command::Stop => {
            *pending = Pending::Stop;
            guest.enter(Phase::Ending);
            guest.stop_vcpus().map_err(|refusal| refusal.to_string())
        }
        Command::Reset => {
            if *pending != Pending::Stop {
                *pending = Pending::Reset;
            }
            guest.stop_vcpus().map_err(|refusal| refusal.to_string())
        }
        Command::Pause => {
            control(PartitionAction::Pause)?;
            if *pending == Pending::Nothing {
                *pending = Pending::Pause;
            }
            Ok(())
        }
        Command::Resume => {
            control(PartitionAction::Resume)?;
            guest.tell(Event::Resumed);
            Ok(())
        }
        Command::PowerButton => {
            guest.press_power_button();
            Ok(())
        }
    }
}

enum State {
    /// On its way to one of the others.
    Moving,
    Running,
    Paused,
    Stopped,
    Reset,
    Crashed,
}

fn state(info: &PartitionInfo) -> State {
    let is = |state: PartitionState| info.state == state as u32;
    if is(PartitionState::Running) {
        State::Running
    } else if info.settled == 0 {
        State::Moving
    } else if is(PartitionState::Paused) {
        State::Paused
    } else if is(PartitionState::Crashed) {
        State::Crashed
    } else if is(PartitionState::Reset) {
        State::Reset
    } else {
        State::Stopped
    }
}

/// What the hypervisor says of a crash.
pub fn crash(guest: &Guest) -> Crash {
    match guest.host().crash(guest.id()) {
        Ok(record) => {
            let reason = record
                .lines()
                .next()
                .unwrap_or("it has crashed")
                .to_string();
            report!("{} crashed: {record}", guest.name());
            guest.remark(&format!("the system has crashed: {reason}"));
            Crash { reason, record }
        }
        Err(refusal) => Crash {
            reason: format!("it has crashed, and its record cannot be read: {refusal}"),
            record: String::new(),
        },
    }
}

/// Ends a partition that was made for a system that nobody knows any more, or that nobody can serve.
pub async fn end_stranger(root: Root, host: Host, id: PartitionId, name: String, reason: String) {
    report!("{id} {name}: ended, for it cannot go on: {reason}");
    let _ = host.hypervisor.partition_control(id, PartitionAction::Stop);
    take_apart(&root, &host, id, &name).await;
}

/// Gives back all that the system holds.
async fn release(guest: &Rc<Guest>) {
    let _ = guest.stop_vcpus();
    guest.remark("the system is off");
    guest.let_go();
    take_apart(guest.root(), guest.host(), guest.id(), guest.name()).await;
}

/// Destroys a partition that was stopped, as soon as no CPU holds on to it.
async fn take_apart(root: &Root, host: &Host, id: PartitionId, name: &str) {
    loop {
        match host.hypervisor.partition_destroy(id) {
            Ok(()) => return,
            Err(Refusal {
                status: Some(Status::Busy | Status::BadState),
                ..
            }) => root.timers().sleep_until(root.now().after(AGAIN)).await,
            Err(refusal) => return report!("{id} {name}: {refusal}"),
        }
    }
}
