//! The scripted vCPU as the exit loop's port.

use super::script::{EXIT_CODE, EXPLANATION, FakeCpu, Held, IF, Lengths, Queued, Scripted};
use crate::addr::Hpa;
use crate::decode::{Segment, Width};
use crate::fault::Exception;
use crate::guest_tsc::GuestTsc;
use crate::id::Vector;
use crate::vcpu::{Exit, Gpr, LengthUnknown, StartState, SystemState, Vcpu, Watch};

impl Vcpu for Scripted {
    type Cpu = FakeCpu;

    fn enter(&mut self) -> Exit {
        self.play()
    }

    fn activate(&mut self, cpu: &mut FakeCpu, root: Hpa, epoch: u64) {
        assert_eq!(cpu.active, None, "the CPU's state belongs to another vCPU");
        assert_eq!(self.active, Held::No, "activated twice");
        self.active = Held::Yes;
        cpu.active = Some(self.serial);
        cpu.activations.push((root, epoch));
    }

    fn refresh(&mut self, cpu: &mut FakeCpu, epoch: u64) {
        assert_eq!(cpu.active, Some(self.serial), "refreshed while inactive");
        cpu.refreshes.push(epoch);
    }

    fn deactivate(&mut self, cpu: &mut FakeCpu) {
        assert_eq!(cpu.active.take(), Some(self.serial));
        assert_eq!(
            self.held,
            Held::No,
            "switched away with interrupts held back"
        );
        self.active = Held::No;
    }

    fn hold_interrupts(&mut self) {
        assert_eq!(self.held, Held::No, "held back twice");
        self.held = Held::Yes;
    }

    fn release_interrupts(&mut self) {
        assert_eq!(self.held, Held::Yes, "released twice");
        self.held = Held::No;
    }

    fn gpr(&self, register: Gpr) -> u64 {
        self.get(register)
    }

    fn set_gpr(&mut self, register: Gpr, value: u64) {
        self.set(register, value);
    }

    fn rip(&self) -> u64 {
        self.rip
    }

    fn next_rip(&self) -> Result<u64, LengthUnknown> {
        match self.lengths {
            Lengths::Reported(length) => Ok(self.rip.wrapping_add(u64::from(length))),
            Lengths::Unknown => match self.learned.get(&self.rip) {
                Some(length) => Ok(self.rip.wrapping_add(u64::from(*length))),
                None => Err(LengthUnknown),
            },
        }
    }

    fn next_rip_of_port(&self) -> u64 {
        self.rip.wrapping_add(2)
    }

    fn complete(&mut self, next: u64) {
        self.completed.push(next);
        self.rip = next;
        self.shadow = false;
    }

    fn learn_length(&mut self, length: u8) {
        assert!((1..=15).contains(&length));
        self.learned.insert(self.rip, length);
    }

    fn can_take_interrupt(&self) -> bool {
        self.system.rflags & IF != 0 && !self.shadow && self.queued.is_none()
    }

    fn in_shadow(&self) -> bool {
        self.shadow
    }

    fn inject_interrupt(&mut self, vector: Vector) {
        assert!(
            self.can_take_interrupt(),
            "injected where the guest cannot take it"
        );
        self.queued = Some(Queued::Interrupt(vector.0));
    }

    fn inject_exception(&mut self, exception: Exception) -> bool {
        let fatal = |first: Exception| first.vector == 8;
        if let Some(Queued::Exception(first)) = self.queued
            && fatal(first)
        {
            return false;
        }
        self.queued = Some(Queued::Exception(exception));
        true
    }

    fn inject_nmi(&mut self) -> bool {
        let free = self.queued.is_none() && !self.shadow;
        if free {
            self.queued = Some(Queued::Nmi);
        }
        free
    }

    fn request_window(&mut self) {
        self.window = Watch::On;
        self.cr8_watch = Watch::On;
    }

    fn cr8(&self) -> u8 {
        self.cr8
    }

    fn set_cr8(&mut self, priority: u8) {
        assert!(priority < 16);
        self.cr8 = priority;
    }

    fn watch_cr8(&mut self, watch: Watch) {
        self.cr8_watch = watch;
    }

    fn cr4(&self) -> u64 {
        self.system.cr4
    }

    fn system(&self) -> SystemState {
        self.system
    }

    fn settle(&mut self) {
        self.settled += 1;
    }

    fn segment_base(&self, segment: Segment) -> u64 {
        assert_ne!(self.settled, 0, "asked before it was settled");
        self.base(segment)
    }

    fn stack_width(&self) -> Width {
        self.stack_width
    }

    fn set_rflags(&mut self, rflags: u64) {
        self.system.rflags = rflags;
    }

    fn set_cr2(&mut self, address: u64) {
        self.system.cr2 = address;
    }

    fn set_cr4(&mut self, value: u64) {
        self.system.cr4 = value;
    }

    fn set_efer(&mut self, value: u64) {
        self.system.efer = value;
    }

    fn xcr0(&self) -> u64 {
        self.xcr0
    }

    fn set_xcr0(&mut self, value: u64) {
        self.xcr0 = value;
    }

    fn set_guest_tsc(&mut self, tsc: GuestTsc) {
        self.tsc = tsc;
    }

    fn kept_msr(&self, msr: u32) -> Option<u64> {
        self.kept.get(&msr).copied()
    }

    fn set_kept_msr(&mut self, msr: u32, value: u64) -> Option<()> {
        self.kept.get_mut(&msr).map(|slot| *slot = value)
    }

    fn reset(&mut self, start: StartState) {
        self.start(start);
    }

    fn exit_code(&self) -> u64 {
        EXIT_CODE
    }

    fn explain(&self) -> &'static str {
        EXPLANATION
    }
}
