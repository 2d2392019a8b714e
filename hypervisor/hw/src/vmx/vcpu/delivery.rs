//! Interrupts that the CPU delivers by itself (SDM 3C 29): the local APIC's state is in the virtual-APIC page and in the guest interrupt
//! status, and the MSRs of the x2APIC that the CPU virtualizes are open.

use bulkhead_core::interrupt_delivery::{HeldInterrupts, InterruptDelivery};
use bulkhead_core::local_apic::VectorBits;
use bulkhead_core::vcpu::{Exit, Vcpu, Watch};

use super::{RFLAGS_IF, SHADOWS, VmxVcpu};
use crate::probe::vmx::Delivery;
use crate::probe::vmx::bit;
use crate::vmx::access::VmcsAccess;
use crate::vmx::field::Field;
use crate::vmx::virtual_apic;

/// Each has a quarter of the vectors.
const END_EXITS: [Field; 4] = [
    Field::EndExits0,
    Field::EndExits1,
    Field::EndExits2,
    Field::EndExits3,
];

impl<A: VmcsAccess> InterruptDelivery for VmxVcpu<A> {
    const POSSIBLE: bool = true;

    #[inline(always)]
    fn delivers(&self) -> bool {
        self.probe.delivery == Delivery::ByCpu
    }

    fn lend(&mut self, held: &HeldInterrupts) {
        let (requested, in_service) = self.virtual_apic.hold(held);
        let status = u64::from(requested) | u64::from(in_service) << 8;
        self.vmcs.set(Field::InterruptStatus, status);
        self.vmcs
            .update(Field::SecondaryControls, 0, u64::from(bit::DELIVERY));
        self.vmcs.set(Field::MsrBitmap, self.open_msrs.as_u64());
        // The CPU looks at the priority itself.
        self.control(bit::CR8_LOAD, Watch::Off);
    }

    fn give_back(&mut self) -> HeldInterrupts {
        self.vmcs
            .update(Field::SecondaryControls, u64::from(bit::DELIVERY), 0);
        self.vmcs.set(Field::MsrBitmap, self.closed_msrs.as_u64());
        self.virtual_apic.held()
    }

    fn request(&mut self, vectors: &VectorBits) {
        self.virtual_apic.request(vectors);
        let status = self.vmcs.get(Field::InterruptStatus);
        let requested = (status & 0xff).max(u64::from(vectors.highest()));
        self.vmcs
            .set(Field::InterruptStatus, status & 0xff00 | requested);
    }

    fn watch_ends(&mut self, level: &VectorBits) {
        if self.watched_ends == *level {
            return;
        }
        self.watched_ends = *level;
        self.virtual_apic.set_level(level);
        for (field, word) in END_EXITS.into_iter().zip(level.0) {
            self.vmcs.set(field, word);
        }
    }

    fn has_deliverable(&mut self) -> bool {
        let status = self.vmcs.get(Field::InterruptStatus);
        let (requested, in_service) = (status as u8, (status >> 8) as u8);
        let priority = self.virtual_apic.task_priority().max(in_service) & 0xf0;
        if requested & 0xf0 <= priority {
            return false;
        }
        if self.shadow_over {
            // The VMCS tells of it still, and the CPU would run one instruction more before it delivers.
            self.vmcs.update(Field::Interruptibility, SHADOWS, 0);
        }
        if self.probe.forgets_interrupt_flag && self.vmcs.get(Field::Rflags) & RFLAGS_IF == 0 {
            // Nothing is delivered while a window is asked for.
            self.request_window();
        }
        true
    }
}

impl<A: VmcsAccess> VmxVcpu<A> {
    /// The guest has ended a vector that is watched.
    pub(super) fn end_of_interrupt(&self) -> Exit {
        let vector = self.vmcs.get(Field::Qualification) as u8;
        Exit::EndOfInterrupt(bulkhead_core::id::Vector(vector))
    }

    /// The guest has written a register that the CPU leaves to the hypervisor.
    pub(super) fn apic_write(&self) -> Exit {
        if self.vmcs.get(Field::Qualification) & 0xfff == virtual_apic::SELF_IPI {
            Exit::SelfIpi(self.virtual_apic.self_ipi())
        } else {
            Exit::Unknown
        }
    }
}
