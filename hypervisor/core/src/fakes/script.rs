//! A vCPU that plays a script instead of running a guest, and checks that the exit loop treats it as hardware must be.

use std::collections::{BTreeMap, VecDeque};

use super::registers;
use crate::addr::Hpa;
use crate::cpu_state::{CpuState, ExtendedImage};
use crate::decode::{Segment, Width};
use crate::fault::Exception;
use crate::guest_tsc::GuestTsc;
use crate::id::Vector;
use crate::interrupt_delivery::HeldInterrupts;
use crate::local_apic::VectorBits;
use crate::vcpu::{Exit, Gpr, StartState, SystemState, Watch};

/// What the guest did until an exit.
pub struct Step {
    /// Changes to its registers.
    pub effects: Box<dyn FnOnce(&mut Scripted) + Send>,
    /// Why it exits then.
    pub exit: Exit,
}

/// What the next entry delivers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queued {
    Interrupt(u8),
    Exception(Exception),
    Nmi,
}

/// Whether the CPU tells the lengths of instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lengths {
    /// It does: so many bytes.
    Reported(u8),
    /// It does not, like CPUs without NRIPS.
    Unknown,
}

/// What the fake keeps for a physical CPU.
#[derive(Default, Debug)]
pub struct FakeCpu {
    /// The vCPU whose extended state the CPU holds, by its serial number.
    pub active: Option<u64>,
    /// Root and epoch of each activation.
    pub activations: Vec<(Hpa, u64)>,
    /// Epochs taken over while active.
    pub refreshes: Vec<u64>,
}

/// Whether something is so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    Yes,
    No,
}

/// The scripted vCPU. Fields are the guest's state, free for tests to read and write.
pub struct Scripted {
    pub(super) serial: u64,
    pub script: VecDeque<Step>,
    pub gprs: [u64; 16],
    pub rip: u64,
    pub system: SystemState,
    pub cr8: u8,
    pub xcr0: u64,
    pub tsc: GuestTsc,
    pub kept: BTreeMap<u32, u64>,
    pub bases: BTreeMap<u8, u64>,
    pub stack_width: Width,
    pub lengths: Lengths,
    pub learned: BTreeMap<u64, u8>,
    /// The next instruction is in the shadow of STI or MOV SS.
    pub shadow: bool,
    pub queued: Option<Queued>,
    pub window: Watch,
    pub cr8_watch: Watch,
    pub(super) held: Held,
    pub(super) active: Held,
    /// What entries have delivered.
    pub delivered: Vec<Queued>,
    /// The values of `complete`.
    pub completed: Vec<u64>,
    pub resets: Vec<StartState>,
    pub entries: u64,
    pub settled: u64,
    /// Whether the CPU delivers interrupts by itself, what of them it holds, and whose end it tells.
    pub delivers: bool,
    pub lent: Option<HeldInterrupts>,
    pub watched: VectorBits,
    /// Registers that are in no other field.
    pub rest: CpuState,
    pub extended: ExtendedImage,
}

/// The fake's exit code.
pub const EXIT_CODE: u64 = 0xc0de;
/// What the fake says of each exit.
pub const EXPLANATION: &str = "as the script has it";
/// RFLAGS.IF.
pub const IF: u64 = 1 << 9;

impl Scripted {
    /// A vCPU with interrupts off, in 64-bit mode at CPL 0, without paging of its own to look through.
    pub fn new(serial: u64) -> Self {
        Self {
            serial,
            script: VecDeque::new(),
            gprs: [0; 16],
            rip: 0x1000,
            system: SystemState {
                cr0: 0x11,
                rflags: 2,
                cs_selector: 8,
                code_32: true,
                ..SystemState::default()
            },
            cr8: 0,
            xcr0: 1,
            tsc: GuestTsc::HOST,
            kept: BTreeMap::new(),
            bases: BTreeMap::new(),
            stack_width: Width::Dword,
            lengths: Lengths::Reported(2),
            learned: BTreeMap::new(),
            shadow: false,
            queued: None,
            window: Watch::Off,
            cr8_watch: Watch::Off,
            held: Held::No,
            active: Held::No,
            delivered: Vec::new(),
            completed: Vec::new(),
            resets: Vec::new(),
            entries: 0,
            settled: 0,
            delivers: false,
            lent: None,
            watched: VectorBits::EMPTY,
            rest: registers::rest(),
            extended: registers::initial(),
        }
    }

    /// Adds a step without effects.
    pub fn then(&mut self, exit: Exit) -> &mut Self {
        self.after(|_| {}, exit)
    }

    /// Adds a step.
    pub fn after(
        &mut self,
        effects: impl FnOnce(&mut Scripted) + Send + 'static,
        exit: Exit,
    ) -> &mut Self {
        self.script.push_back(Step {
            effects: Box::new(effects),
            exit,
        });
        self
    }

    /// Sets a register.
    pub fn set(&mut self, register: Gpr, value: u64) {
        self.gprs[register as usize] = value;
    }

    /// Reads a register.
    pub fn get(&self, register: Gpr) -> u64 {
        self.gprs[register as usize]
    }

    /// Sets RFLAGS.IF.
    pub fn enable_interrupts(&mut self) {
        self.system.rflags |= IF;
    }

    /// Clears RFLAGS.IF.
    pub fn disable_interrupts(&mut self) {
        self.system.rflags &= !IF;
    }

    /// The interrupts that were delivered.
    pub fn interrupts(&self) -> Vec<u8> {
        let vector = |queued: &Queued| match queued {
            Queued::Interrupt(vector) => Some(*vector),
            _ => None,
        };
        self.delivered.iter().filter_map(vector).collect()
    }

    /// The last exception that was delivered or waits.
    pub fn exception(&self) -> Option<Exception> {
        self.delivered
            .iter()
            .chain(&self.queued)
            .rev()
            .find_map(|queued| match queued {
                Queued::Exception(exception) => Some(*exception),
                _ => None,
            })
    }

    /// Runs until the next exit, as hardware would.
    pub(super) fn play(&mut self) -> Exit {
        assert_eq!(self.held, Held::Yes, "entered with interrupts released");
        assert_eq!(self.active, Held::Yes, "entered while inactive");
        self.entries += 1;
        if let Some(queued) = self.queued.take() {
            self.delivered.push(queued);
        }
        let open = self.system.rflags & IF != 0 && !self.shadow;
        if self.window == Watch::On && open {
            self.window = Watch::Off;
            return Exit::Window;
        }
        if open && self.window == Watch::Off {
            self.deliver_held();
        }
        let Some(step) = self.script.pop_front() else {
            return Exit::Interrupt;
        };
        self.shadow = false;
        (step.effects)(self);
        step.exit
    }

    pub(super) fn base(&self, segment: Segment) -> u64 {
        self.bases.get(&(segment as u8)).copied().unwrap_or(0)
    }

    pub(super) fn start(&mut self, start: StartState) {
        self.resets.push(start);
        self.gprs = [0; 16];
        self.queued = None;
        self.window = Watch::Off;
        self.cr8_watch = Watch::Off;
        self.shadow = false;
        self.cr8 = 0;
        self.xcr0 = 1;
        self.rest = registers::rest();
        self.extended = registers::initial();
        self.learned.clear();
        self.system = SystemState {
            rflags: 2,
            ..SystemState::default()
        };
        match start {
            StartState::StartUp {
                vector: Vector(page),
            } => {
                self.system.cr0 = 0x6000_0010;
                self.system.cs_selector = u16::from(page) << 8;
                self.system.cs_base = u64::from(page) << 12;
                self.rip = 0;
            }
            StartState::Direct {
                entry,
                stack,
                argument,
                page_tables,
                ..
            } => {
                self.system.cr0 = 0x8001_0033;
                self.system.cr3 = page_tables.as_u64();
                self.system.cr4 = 0x20;
                self.system.efer = 0xd00;
                self.system.cs_selector = 8;
                self.system.code_64 = true;
                self.rip = entry;
                self.set(Gpr::Rsp, stack);
                self.set(Gpr::Rdi, argument);
            }
            StartState::Registers(state) => {
                self.system.cr0 = state.cr0;
                self.system.cr3 = state.cr3;
                self.system.cr4 = state.cr4;
                self.system.efer = state.efer;
                self.system.cs_selector = state.cs.selector;
                self.system.cs_base = state.cs.base;
                self.rip = state.rip;
                self.gprs = state.registers;
            }
        }
    }
}
