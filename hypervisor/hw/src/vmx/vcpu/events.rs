//! Events on their way into the guest.

use bulkhead_core::fault::Exception;
use bulkhead_core::vcpu::Vcpu;

use super::{EFER_LMA, IN_NMI, SHADOWS, VmxVcpu};
use crate::virtualization::combine::{Combined, combine};
use crate::vmx::access::VmcsAccess;
use crate::vmx::event::{Event, EventKind};
use crate::vmx::field::Field;

/// CR0.PE.
const CR0_PE: u64 = 1;

impl<A: VmcsAccess> VmxVcpu<A> {
    /// Injects an event at the next entry.
    pub(super) fn inject(&mut self, event: Event) {
        let event = if self.vmcs.get(Field::Cr0) & CR0_PE == 0 {
            event.without_error_code()
        } else {
            event
        };
        if event.kind() != EventKind::Exception {
            // An entry with an interrupt is refused while the VMCS tells of a shadow, or of an NMI's handler (SDM 3C 26.3.1.5).
            let over = if event.kind() == EventKind::Nmi {
                SHADOWS | IN_NMI
            } else {
                SHADOWS
            };
            self.vmcs.update(Field::Interruptibility, over, 0);
        }
        if let Some(code) = event.error_code() {
            self.vmcs.set(Field::EntryErrorCode, u64::from(code));
        }
        self.vmcs.set(Field::EntryEvent, event.information());
        self.injection = Some(event);
    }

    /// Injects an exception, combined with what is being delivered; `false` where that is a triple fault.
    pub(super) fn combine(&mut self, exception: Exception) -> bool {
        let second = Event::exception(exception.vector, exception.error_code);
        let event = match self.injection {
            Some(first) if first.kind() == EventKind::Exception => {
                match combine(first.vector(), exception.vector) {
                    Combined::Second => second,
                    Combined::DoubleFault => Event::exception(8, Some(0)),
                    Combined::TripleFault => return false,
                }
            }
            Some(first) if first.kind() == EventKind::Interrupt => {
                // Acknowledged already, so it must not get lost: it comes when the exception's handler is through.
                self.deferred = Some(first);
                self.request_window();
                second
            }
            _ => second,
        };
        self.inject(event);
        true
    }

    /// Injects the event again whose delivery the exit interrupted.
    pub(super) fn redeliver(&mut self) {
        let information = self.vmcs.get(Field::VectoringEvent);
        if information >> 31 & 1 == 0 {
            return;
        }
        let error_code = self.vmcs.get(Field::VectoringErrorCode);
        match Event::from_fields(information, error_code) {
            // RIP still points to the INT, INT3 or INTO, which will run again.
            Some(event) if event.kind() != EventKind::Software => self.inject(event),
            _ => {}
        }
    }

    /// Whether the guest runs 64-bit code.
    pub(super) fn code_64(&self) -> bool {
        // Bit 13 is L.
        self.vmcs.get(Field::CsRights) & 1 << 13 != 0
            && self.vmcs.get(Field::GuestEfer) & EFER_LMA != 0
    }
}
