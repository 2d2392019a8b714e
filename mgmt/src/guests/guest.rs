//! [`Guest`]: one virtual system that is on: its partition, its devices, and the way to its task.

mod parts;
mod processors;

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell, RefCell};
use core::future::poll_fn;
use core::task::Poll;

use bulkhead_abi::hypercall::{PartitionAction, Status};
use bulkhead_abi::io::SLOTS;
use cim_domain::{Event, ProcessorUsage, StartFailure, StartOrder, SystemId, Usage};
use mgmt_executor::Signal;
use mgmt_hypercall::{Doorbell, LineLevel, Message, PartitionId, Refusal, Request};
use vmm_board::{Access, Board, DoorbellId, Effect, Level, Operation, Space, Width};
use vmm_ram::RamLayout;

use super::consoles::GuestConsole;
use super::kept::{KeptState, Phase};
use super::reports::Reports;
use super::{Host, Shelf};
use crate::events::{Listener, Ports};
use crate::guest_window::GuestWindow;
use crate::images::DiskLibrary;
use crate::io_requests::IoRequests;
use crate::report;
use crate::root::Root;

/// What the domain asks of a system that is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Off, at once.
    Stop,
    /// Off and on.
    Reset,
    /// Out of guest mode.
    Pause,
    /// And back.
    Resume,
    /// The wish that it shuts itself down.
    PowerButton,
}

/// A board over the guest's window.
type GuestBoard = Board<Rc<GuestWindow>>;

/// One virtual system that is on.
pub struct Guest {
    root: Root,
    host: Host,
    shelf: Shelf,
    system: SystemId,
    id: PartitionId,
    order: StartOrder,
    /// How many of its vCPUs it has.
    processors: Cell<u32>,
    /// How many it has yet to give back, while it is asked for some.
    returning: Cell<Option<u32>>,
    /// All vCPUs that it can have, as slots of the I/O page.
    slots: u16,
    signal: Signal,
    commands: RefCell<VecDeque<Command>>,
    /// A stop was asked for.
    unwanted: Cell<bool>,
    /// What the guest did with its devices: a power-off or a reset.
    wish: Cell<Option<Command>>,
    ram: RefCell<Option<Rc<GuestWindow>>>,
    board: RefCell<Option<GuestBoard>>,
    console: GuestConsole,
    requests: OnceCell<IoRequests>,
    ports: RefCell<Option<Ports>>,
    phase: Cell<Phase>,
    /// What the hypervisor keeps of it.
    kept: RefCell<Vec<u8>>,
    /// What it had used when it was taken apart.
    spent: Cell<Option<Usage>>,
}

/// What a guest is made of.
pub struct Making {
    /// The system.
    pub system: SystemId,
    /// Its partition.
    pub id: PartitionId,
    /// What it shall be.
    pub order: StartOrder,
}

impl Guest {
    /// The guest in a partition that was just made, or of which something was `kept` over a restart of ours, with its events
    /// registered.
    ///
    /// # Errors
    /// What is missing, in words; the partition is as it was.
    pub fn new(
        root: &Root,
        host: &Host,
        shelf: &Shelf,
        making: Making,
        kept: Option<&KeptState>,
    ) -> Result<Rc<Self>, String> {
        let text = |refusal: Refusal| refusal.to_string();
        let Making { system, id, order } = making;
        let slots = u16::try_from(order.processors.maximum)
            .unwrap_or(u16::MAX)
            .min(SLOTS as u16);
        let page = host.pages.take().ok_or("no memory for its I/O page")?;
        let signal = Signal::new();
        let console = shelf.desk.console(system, &order.name);
        let console = GuestConsole::new(host, id, console, &signal)?;
        let guest = Rc::new(Guest {
            phase: Cell::new(Phase::Loading),
            kept: RefCell::default(),
            spent: Cell::new(None),
            root: root.clone(),
            host: host.clone(),
            shelf: shelf.clone(),
            system,
            id,
            processors: Cell::new(order.processors.count),
            returning: Cell::new(None),
            order,
            slots,
            signal,
            commands: RefCell::default(),
            unwanted: Cell::new(false),
            wish: Cell::new(None),
            ram: RefCell::default(),
            board: RefCell::default(),
            console,
            requests: OnceCell::new(),
            ports: RefCell::default(),
        });
        // Before anybody can ask it for anything.
        if let Some(kept) = kept.filter(|kept| kept.phase == Phase::Running) {
            guest.take_over(&kept.board)?;
        }
        let count = slots + Self::FIXED_PORTS + MAX_DOORBELLS;
        let ports = host.events.listen(count, guest.clone());
        let ports = ports.ok_or("no event ports are left")?;
        let hypervisor = host.hypervisor;
        hypervisor
            .lifecycle_port(id, ports.port(slots))
            .map_err(text)?;
        guest
            .console
            .register(ports.port(slots + 1))
            .map_err(text)?;
        let requests = IoRequests::register(hypervisor, id, page, ports.port(0)).map_err(text)?;
        let _ = guest.requests.set(requests);
        *guest.ports.borrow_mut() = Some(ports);
        match kept {
            Some(kept) if kept.phase != Phase::Running => guest.phase.set(kept.phase),
            _ => guest.go_on(),
        }
        Ok(guest)
    }

    /// Behind those of the vCPUs: life cycle and console.
    const FIXED_PORTS: u16 = 2;

    /// Its name.
    pub fn name(&self) -> &str {
        &self.order.name
    }

    /// Its partition.
    pub fn id(&self) -> PartitionId {
        self.id
    }

    /// What it shall be.
    pub fn order(&self) -> &StartOrder {
        &self.order
    }

    /// The runtime.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The hypervisor.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The images.
    pub fn library(&self) -> &DiskLibrary {
        &self.shelf.library
    }

    /// A word of ours on its console.
    pub fn remark(&self, text: &str) {
        self.console.remark(text);
    }

    /// Raised when there is something new.
    pub fn signal(&self) -> &Signal {
        &self.signal
    }

    /// Tells the domain.
    pub fn tell(&self, event: Event) {
        self.reports().add(self.system, event);
    }

    fn reports(&self) -> &Reports {
        &self.shelf.reports
    }

    /// Asks something of it.
    pub fn command(&self, command: Command) {
        if command == Command::Stop {
            self.unwanted.set(true);
        }
        self.commands.borrow_mut().push_back(command);
        self.signal.raise();
    }

    /// The oldest command that was not looked at.
    pub fn next_command(&self) -> Option<Command> {
        self.commands.borrow_mut().pop_front()
    }

    /// Whether it was asked to stop.
    pub fn is_unwanted(&self) -> bool {
        self.unwanted.get()
    }

    /// What the guest did with its devices, asked once.
    pub fn take_wish(&self) -> Option<Command> {
        self.wish.take()
    }

    /// Lets the other tasks have their turn.
    pub async fn give_way(&self) {
        let mut given = false;
        poll_fn(|context| {
            if given {
                return Poll::Ready(());
            }
            given = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn ram_layout(&self) -> RamLayout {
        RamLayout {
            bytes: self.order.memory_bytes,
        }
    }

    /// Maps its memory, which was cleared.
    ///
    /// # Errors
    /// It cannot be mapped.
    pub fn map(&self) -> Result<Rc<GuestWindow>, StartFailure> {
        if let Some(ram) = self.ram() {
            return Ok(ram);
        }
        let failed = |reason: String| StartFailure::Machine(reason);
        let base = self.host.hypervisor.memory_window(self.id);
        let base = base.map_err(|refusal| failed(refusal.to_string()))?;
        let mut tables = self.root.tables();
        let window = GuestWindow::map(&mut tables, base, self.ram_layout());
        let window = window.ok_or_else(|| failed("its memory cannot be mapped here".into()))?;
        let window = Rc::new(window);
        *self.ram.borrow_mut() = Some(window.clone());
        Ok(window)
    }

    /// Its memory, where it is mapped.
    pub fn ram(&self) -> Option<Rc<GuestWindow>> {
        self.ram.borrow().clone()
    }

    /// Switches its devices on, or off and on; no vCPU runs.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn power_up(&self) -> Result<(), StartFailure> {
        let failed = |reason: String| StartFailure::Machine(reason);
        let ram = self
            .ram()
            .ok_or_else(|| failed("its memory is not mapped".into()))?;
        let mut board = self.board.borrow_mut();
        if let Some(board) = &mut *board {
            board.reset().map_err(|error| failed(error.to_string()))?;
            board.offer_processors(self.processors.get());
        } else {
            let new = Board::new(ram, self.parts().map_err(failed)?);
            *board = Some(new.map_err(|error| failed(error.to_string()))?);
        }
        self.wish.set(None);
        drop(board);
        self.with_board(|_| ());
        self.keep();
        Ok(())
    }

    /// Takes its devices over as they were kept; its vCPUs may be running.
    ///
    /// # Errors
    /// Why that cannot be.
    pub fn take_over(&self, state: &[u8]) -> Result<(), String> {
        let ram = self.map().map_err(|failure| failure.to_string())?;
        let board =
            Board::restored(ram, self.parts()?, state).map_err(|error| error.to_string())?;
        *self.board.borrow_mut() = Some(board);
        self.phase.set(Phase::Running);
        Ok(())
    }

    /// Does what its devices want first, once it can be reached.
    pub fn go_on(&self) {
        self.with_board(|_| ());
        self.keep();
    }

    /// How far it has come, for a restart of ours.
    pub fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.keep();
    }

    /// Has the hypervisor keep what a restart of ours would need, where that has changed.
    fn keep(&self) {
        let state = KeptState {
            phase: self.phase.get(),
            console: self.shelf.desk.port(self.system),
            board: match &*self.board.borrow() {
                Some(board) => board.save(),
                None => Vec::new(),
            },
        };
        let state = state.to_bytes();
        if *self.kept.borrow() == state {
            return;
        }
        match self.host.keep_state(self.id, &state) {
            Ok(()) => *self.kept.borrow_mut() = state,
            Err(refusal) => report!("{}: {refusal}", self.name()),
        }
    }

    /// Presses the power button.
    pub fn press_power_button(&self) {
        self.with_board(|board| board.power_button());
        self.keep();
    }

    /// Uses the board, then does what came of it.
    fn with_board<T>(&self, access: impl FnOnce(&mut GuestBoard) -> T) -> Option<T> {
        let mut board = self.board.borrow_mut();
        let board = board.as_mut()?;
        let result = access(board);
        let mut output = false;
        for effect in board.take_effects() {
            match effect {
                Effect::ConsoleOutput => output = true,
                effect => self.carry_out(effect),
            }
        }
        if output {
            self.console
                .virtio_output(|into| board.console_output(into));
            for effect in board.take_effects() {
                self.carry_out(effect);
            }
        }
        Some(result)
    }

    fn carry_out(&self, effect: Effect) {
        let hypervisor = self.host.hypervisor;
        let done = match effect {
            Effect::Message(message) => match u32::try_from(message.address) {
                Ok(address) => hypervisor.message_send(
                    self.id,
                    Message {
                        address,
                        data: message.data,
                    },
                ),
                // No APIC is there: on a bus the write would go nowhere.
                Err(_) => Ok(()),
            },
            Effect::Line { gsi, level } => {
                let level = match level {
                    Level::High => LineLevel::High,
                    Level::Low => LineLevel::Low,
                };
                hypervisor.line_set(self.id, gsi.0.into(), level)
            }
            Effect::DoorbellAdd { bell, address } => match self.doorbell(bell, address) {
                Some(doorbell) => hypervisor.doorbell_add(self.id, doorbell),
                None => Ok(()),
            },
            Effect::DoorbellRemove { bell, address } => match self.doorbell(bell, address) {
                Some(doorbell) => hypervisor.doorbell_remove(self.id, doorbell),
                None => Ok(()),
            },
            Effect::Fault { slot, fault } => {
                report!("{}: device {slot}: {fault}", self.name());
                Ok(())
            }
            Effect::ProcessorEjected(_) | Effect::ProcessorKept(_) => {
                self.returned(effect);
                Ok(())
            }
            Effect::PowerOff => self.end_by_itself(Command::Stop),
            Effect::Reset => self.end_by_itself(Command::Reset),
            Effect::WorkLeft => {
                self.shelf.work.raise();
                Ok(())
            }
            Effect::ConsoleRoom => {
                self.signal.raise();
                Ok(())
            }
            Effect::ConsoleOutput => Ok(()),
        };
        // A message to nowhere is the guest's own affair.
        if let Err(refusal) = done
            && refusal.status != Some(Status::BadArgument)
        {
            report!("{}: {refusal}", self.name());
        }
    }

    /// Stops the vCPUs before the access that asked for it is answered: nothing of the guest runs after its own end, where an
    /// idle loop without interrupts would look like a crash.
    fn end_by_itself(&self, wish: Command) -> Result<(), Refusal> {
        self.wish.set(Some(wish));
        self.signal.raise();
        self.stop_vcpus()
    }

    /// Stops the vCPUs; where they stand still already, all is well.
    ///
    /// # Errors
    /// The hypervisor's refusal.
    pub fn stop_vcpus(&self) -> Result<(), Refusal> {
        let hypervisor = self.host.hypervisor;
        match hypervisor.partition_control(self.id, PartitionAction::Stop) {
            Err(refusal) if refusal.status != Some(Status::BadState) => Err(refusal),
            _ => Ok(()),
        }
    }

    fn doorbell(&self, bell: DoorbellId, address: u64) -> Option<Doorbell> {
        let offset = self.slots + Self::FIXED_PORTS + bell.0;
        (bell.0 < MAX_DOORBELLS).then_some(())?;
        Some(Doorbell {
            address,
            space: Space::Memory,
            size: 0,
            data: None,
            port: self.ports.borrow().as_ref()?.port(offset),
        })
    }

    /// Gives it what was typed.
    pub fn feed(&self) {
        self.with_board(|board| self.console.feed(|bytes| board.console_input(bytes)));
    }

    /// Does what its devices had left.
    pub fn work(&self) {
        self.with_board(Board::work);
    }

    /// What each of its vCPUs has used; nothing once it is being taken apart.
    pub fn processor_usage(&self) -> Vec<ProcessorUsage> {
        let usage = match self.spent.get() {
            None => self.host.vcpu_usage(self.id).unwrap_or_default(),
            Some(_) => Vec::new(),
        };
        let usage = usage.into_iter();
        usage
            .map(|vcpu| ProcessorUsage {
                cpu_nanoseconds: self.nanoseconds(vcpu.run_ticks),
                exits: vcpu.exits,
            })
            .collect()
    }

    fn nanoseconds(&self, ticks: u64) -> u64 {
        let hz = u128::from(self.shelf.tsc_hz.get());
        let nanoseconds = (u128::from(ticks) * 1_000_000_000).checked_div(hz);
        u64::try_from(nanoseconds.unwrap_or_default()).unwrap_or(u64::MAX)
    }

    /// What it uses; what it had used, once it is being taken apart.
    pub fn usage(&self) -> Option<Usage> {
        if let Some(spent) = self.spent.get() {
            return Some(spent);
        }
        let info = self.host.info(self.id).ok()?;
        Some(Usage {
            cpu_nanoseconds: self.nanoseconds(info.run_ticks),
            exits: info.exits,
            memory_bytes: info.memory_bytes,
            console_written: self.console.written(),
            console_read: self.console.read(),
        })
    }

    /// Lets go of its memory and devices, before the partition is taken apart.
    pub fn let_go(&self) {
        self.spent.set(self.usage());
        *self.board.borrow_mut() = None;
        *self.ram.borrow_mut() = None;
        self.console.close();
    }

    /// Gives back its event ports; the partition is gone.
    pub fn forget(&self) {
        let ports = self.ports.borrow_mut().take();
        drop(ports);
        if let Some(spent) = self.spent.get() {
            // Its memory is free again.
            let spent = Usage {
                memory_bytes: 0,
                ..spent
            };
            let sum = &self.shelf.spent;
            sum.set(sum.get().plus(spent));
        }
        self.shelf.guests.borrow_mut().remove(&self.system);
    }
}

/// Doorbells that a board may have.
const MAX_DOORBELLS: u16 = 8;

impl Listener for Guest {
    fn event(&self, offset: u16) {
        if offset < self.slots {
            if let Some(requests) = self.requests.get() {
                requests.serve(offset.into(), |request| {
                    let access = access(request);
                    let done = access.and_then(|access| {
                        self.with_board(|board| (board.access(access), board.take_changed()))
                    });
                    let (value, changed) = done.unwrap_or((u64::MAX, false));
                    // Before the answer: what the guest knows to be done is not lost.
                    if changed {
                        self.keep();
                    }
                    value
                });
            }
        } else if offset == self.slots {
            self.signal.raise();
        } else if offset == self.slots + 1 {
            self.console.serial_event();
        } else {
            let bell = DoorbellId(offset - self.slots - Self::FIXED_PORTS);
            self.with_board(|board| board.notify(bell));
        }
    }
}

fn access(request: Request) -> Option<Access> {
    use mgmt_hypercall::{Direction, Place};
    let (space, address) = match request.place {
        Place::Port(port) => (Space::Port, port.into()),
        Place::Memory(address) => (Space::Memory, address),
    };
    Some(Access {
        space,
        address,
        width: Width::from_bytes(request.size.into())?,
        operation: match request.direction {
            Direction::Read => Operation::Read,
            Direction::Write(value) => Operation::Write(value),
        },
    })
}
