//! The devices of the PC platform that a partition's vCPUs share and the hypervisor itself emulates.
//!
//! A [`PcBoard`] with its signals turned into posts to vCPUs. Behind the partition's lock; the exit loop calls it for ports,
//! for the I/O APIC's page, for ends of level-triggered interrupts, and when the board's timers are due.

use core::sync::atomic::Ordering::Relaxed;

use crate::addr::Gpa;
use crate::config::Role;
use crate::console_page::{ConsolePage, REPORTS_PER_SECOND, Unconnected};
use crate::event_page::EventPort;
use crate::exit::deliver::{self, Woken, deliver_message, wake};
use crate::host::{Host, SharedPage};
use crate::id::{Gsi, Vector};
use crate::level::Level;
use crate::paravirtual_clock::ClockBase;
use crate::partition::Partition;
use crate::pc_board::{BoardConfig, BoardState, PcBoard, Signal};
use crate::saved_state::{BadState, SavedPartition};
use crate::time::{Instant, Ticks};
use crate::uart::Register;
use crate::vcpu::{Direction, PortAccess};

/// The page of the I/O APIC's registers.
pub const IOAPIC_PAGE: Gpa = Gpa::new(0xfec0_0000);
/// The PC's reset control register, and the command port of its keyboard controller.
const RESET_CONTROL: u16 = 0xcf9;
const KEYBOARD_COMMAND: u16 = 0x64;
/// COM1's first port, and how many it has.
const SERIAL_PORT: u16 = 0x3f8;
const SERIAL_PORTS: u16 = 8;
/// What Linux writes to for a short wait where it does not want port 0x80.
const DELAY_PORT: u16 = 0xed;

/// What came of a port access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortAnswer {
    /// Done; for reads with this value.
    Done {
        /// The value read; its low bytes count.
        value: u32,
        /// Whether a vCPU of this CPU got an interrupt.
        woken: Woken,
    },
    /// The guest resets its machine.
    Reset,
    /// No device here has this port.
    NotMine,
}

/// The devices.
#[derive(Debug)]
pub struct PlatformDevices {
    board: PcBoard,
    /// Where COM1's line leads, while management has a page for it.
    console: Option<ConsolePage>,
    /// How long output may wait for its announcement.
    patience: Ticks,
    clock: ClockBase,
}

impl PlatformDevices {
    /// The devices after power-up.
    pub fn new(config: &BoardConfig, now: Instant) -> Self {
        Self {
            board: PcBoard::new(config, now),
            console: None,
            patience: Ticks(config.tsc.get() / REPORTS_PER_SECOND),
            clock: ClockBase {
                tsc: config.tsc,
                guest_tsc: config.tsc,
                origin: now,
                seconds: config.seconds,
            },
        }
    }

    /// What the partition's paravirtual clocks count from.
    pub const fn clock_base(&self) -> ClockBase {
        self.clock
    }

    /// A reset of the partition.
    pub fn reset(&mut self, now: Instant) {
        self.board.reset(now);
        self.clock.guest_tsc = self.clock.tsc;
    }

    /// The state of the board for a later [`PlatformDevices::restore`].
    pub fn save(&mut self, now: Instant) -> BoardState {
        self.board.save(now)
    }

    /// Takes over the devices of a saved state of a partition none of whose vCPUs runs; what was posted to them is of their
    /// former life, and forgotten. The clocks go on from what they showed.
    ///
    /// # Errors
    /// Where no board can be in that state, or the TSC cannot run at its rate here; nothing has changed then.
    pub fn restore<H: Host>(
        &mut self,
        state: &SavedPartition,
        now: Instant,
        partition: &Partition,
        host: &mut H,
    ) -> Result<(), BadState> {
        let elapsed = state.time.elapsed_at(self.clock.tsc);
        let guest_tsc = state.time.rate_here(self.clock.tsc, host.tsc_scaling())?;
        self.board.restore(&state.board, now)?;
        self.clock.origin = Instant(now.0.wrapping_sub(elapsed));
        self.clock.seconds = state.time.seconds;
        self.clock.guest_tsc = guest_tsc;
        for (vcpu, saved) in partition.vcpus.iter().zip(&state.vcpus) {
            vcpu.mailbox.clear();
            vcpu.set_identity(saved.apic.identity());
        }
        self.publish_deadline(partition, host);
        Ok(())
    }

    /// A port access.
    pub fn port<H: Host>(
        &mut self,
        access: PortAccess,
        value: u32,
        partition: &Partition,
        host: &mut H,
    ) -> PortAnswer {
        let register = access.port.wrapping_sub(SERIAL_PORT);
        if register < SERIAL_PORTS && partition.role == Role::Guest {
            return self.serial(Register(register as u8), access, value, partition, host);
        }
        match (access.port, access.direction) {
            (RESET_CONTROL, Direction::Write) if value & 4 != 0 => return PortAnswer::Reset,
            (KEYBOARD_COMMAND, Direction::Write) if value == 0xfe => return PortAnswer::Reset,
            (DELAY_PORT, Direction::Write) => {
                return PortAnswer::Done {
                    value: 0,
                    woken: Woken::Elsewhere,
                };
            }
            _ => {}
        }
        if !self.board.may_have(access.port) {
            return PortAnswer::NotMine;
        }
        let now = host.now();
        let mut woken = Woken::Elsewhere;
        let signal = |signal| woken = woken.or(send(partition, host, signal));
        let answer = match access.direction {
            Direction::Read => self.board.read_port(access.port, access.size, now, signal),
            Direction::Write => self
                .board
                .write_port(access.port, access.size, value, now, signal)
                .map(|()| 0),
        };
        match answer {
            Some(value) => {
                self.publish_deadline(partition, host);
                PortAnswer::Done { value, woken }
            }
            None => PortAnswer::NotMine,
        }
    }

    /// An access to COM1: the console's output goes this way, byte by byte.
    fn serial<H: Host>(
        &mut self,
        register: Register,
        access: PortAccess,
        value: u32,
        partition: &Partition,
        host: &mut H,
    ) -> PortAnswer {
        let now = host.now();
        let mut woken = Woken::Elsewhere;
        let mut answer = 0;
        for offset in 0..access.size.min(4) {
            let signal = |signal| woken = woken.or(send(partition, host, signal));
            let register = Register(register.0.wrapping_add(offset));
            let shift = u32::from(offset) * 8;
            let written = value.wrapping_shr(shift) as u8;
            // What lies behind the port is no device's.
            if u16::from(register.0) >= SERIAL_PORTS {
                answer |= 0xff_u32.wrapping_shl(shift);
                continue;
            }
            let board = &mut self.board;
            match (access.direction, &mut self.console) {
                (Direction::Read, Some(console)) => {
                    let byte = board.read_serial(register, now, console.at(now), signal);
                    answer |= u32::from(byte).wrapping_shl(shift);
                }
                (Direction::Read, None) => {
                    let byte = board.read_serial(register, now, &mut Unconnected, signal);
                    answer |= u32::from(byte).wrapping_shl(shift);
                }
                (Direction::Write, Some(console)) => {
                    board.write_serial(register, written, now, console.at(now), signal);
                }
                (Direction::Write, None) => {
                    board.write_serial(register, written, now, &mut Unconnected, signal);
                }
            }
        }
        woken = woken.or(self.announce(now, host));
        let deadline = self.serial_deadline();
        // Relaxed: this side alone makes it earlier, under the lock.
        if deadline.0 < partition.device_deadline.load(Relaxed) {
            self.publish_deadline(partition, host);
        }
        PortAnswer::Done {
            value: answer,
            woken,
        }
    }

    /// Connects COM1 to a page whose events raise `port`, or to nothing.
    pub fn set_console(&mut self, page: Option<(SharedPage, EventPort)>) {
        self.console = page.map(|(page, port)| ConsolePage::new(page, port, self.patience));
    }

    /// The console page has input, or room again.
    pub fn console_changed<H: Host>(&mut self, partition: &Partition, host: &mut H) -> Woken {
        let now = host.now();
        let woken = self.service_serial(now, partition, host);
        self.publish_deadline(partition, host);
        woken
    }

    /// The partition has stopped: its last words are announced, for which its timers do not run any more.
    pub fn finish_console<H: Host>(&mut self, host: &H) -> Woken {
        if let Some(console) = &mut self.console {
            console.hurry();
        }
        self.announce(host.now(), host)
    }

    fn service_serial<H: Host>(&mut self, now: Instant, partition: &Partition, host: &H) -> Woken {
        let mut woken = Woken::Elsewhere;
        let signal = |signal| woken = woken.or(send(partition, host, signal));
        match &mut self.console {
            Some(console) => self.board.service_serial(now, console.at(now), signal),
            None => self.board.service_serial(now, &mut Unconnected, signal),
        }
        woken.or(self.announce(now, host))
    }

    /// Tells management what is new in the console page.
    #[inline]
    fn announce<H: Host>(&mut self, now: Instant, host: &H) -> Woken {
        match self.console.as_mut().and_then(|page| page.take_event(now)) {
            Some(port) => deliver::raise_event(port, host).with_time(),
            None => Woken::Elsewhere,
        }
    }

    /// When COM1 or its page has something to do.
    #[inline]
    fn serial_deadline(&self) -> Instant {
        let page = self.console.as_ref();
        let announcement = page.map_or(Instant::NEVER, ConsolePage::deadline);
        self.board.serial_deadline().min(announcement)
    }

    /// An access to the I/O APIC's registers: the value read, and whether a vCPU of this CPU got an interrupt.
    pub fn ioapic_access<H: Host>(
        &mut self,
        offset: u16,
        direction: Direction,
        value: u32,
        partition: &Partition,
        host: &H,
    ) -> (u32, Woken) {
        match direction {
            Direction::Read => (self.board.read_ioapic(offset), Woken::Elsewhere),
            Direction::Write => {
                let mut woken = Woken::Elsewhere;
                self.board.write_ioapic(offset, value, |signal| {
                    woken = woken.or(send(partition, host, signal));
                });
                (0, woken)
            }
        }
    }

    /// A level-triggered vector was ended.
    pub fn end_of_interrupt<H: Host>(
        &mut self,
        vector: Vector,
        partition: &Partition,
        host: &H,
    ) -> Woken {
        let mut woken = Woken::Elsewhere;
        self.board.end_of_interrupt(vector, |signal| {
            woken = woken.or(send(partition, host, signal));
        });
        woken
    }

    /// The vector of the 8259A's most urgent request.
    pub fn acknowledge_ext_int(&mut self) -> Option<Vector> {
        self.board.acknowledge()
    }

    /// The 8259A's output.
    pub fn ext_int(&self) -> Level {
        self.board.ext_int()
    }

    /// Sets an input of the I/O APIC; `None` where there is no such pin.
    pub fn set_line<H: Host>(
        &mut self,
        gsi: Gsi,
        level: Level,
        partition: &Partition,
        host: &H,
    ) -> Option<Woken> {
        let mut woken = Woken::Elsewhere;
        self.board.set_line(gsi, level, |signal| {
            woken = woken.or(send(partition, host, signal));
        })?;
        Some(woken)
    }

    /// Lets the timers fire that are due.
    pub fn expire<H: Host>(&mut self, partition: &Partition, host: &mut H) -> Woken {
        let mut woken = Woken::Elsewhere;
        let now = host.now();
        self.board.expire(now, |signal| {
            woken = woken.or(send(partition, host, signal))
        });
        if self.serial_deadline() <= now {
            woken = woken.or(self.service_serial(now, partition, host));
        }
        self.publish_deadline(partition, host);
        woken
    }

    /// Tells the owner of vCPU 0 when the timers need attention.
    fn publish_deadline<H: Host>(&self, partition: &Partition, host: &mut H) {
        let deadline = self.board.deadline().min(self.serial_deadline());
        // Relaxed: read by the owner of vCPU 0 on its next pass, which the wake below brings about.
        let before = partition.device_deadline.swap(deadline.0, Relaxed);
        if deadline.0 >= before {
            return;
        }
        match partition.vcpus.first() {
            Some(first) if first.owner() != host.cpu() => {
                let _ = wake(first, host);
            }
            _ => host.arm(deadline),
        }
    }
}

/// Posts what the board signals.
fn send<H: Host>(partition: &Partition, host: &H, signal: Signal) -> Woken {
    match signal {
        Signal::Message(message) => deliver_message(partition, &message, host),
        // The 8259A is wired to the first processor, as on the boards of its time.
        Signal::ExtInt => partition.vcpus.first().map_or(Woken::Elsewhere, |vcpu| {
            let _ = vcpu.mailbox.post_ext_int();
            wake(vcpu, host)
        }),
    }
}
