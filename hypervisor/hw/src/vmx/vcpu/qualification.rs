//! What the exit qualification says (SDM 3C 27.2.1).

use bulkhead_core::addr::Gpa;
use bulkhead_core::vcpu::{Access, Direction, NestedFault, PortAccess, PortForm};

use super::VmxVcpu;
use crate::vmx::access::VmcsAccess;
use crate::vmx::field::Field;

impl<A: VmcsAccess> VmxVcpu<A> {
    pub(super) fn port_access(&self) -> PortAccess {
        let info = self.vmcs.get(Field::Qualification);
        PortAccess {
            port: (info >> 16) as u16,
            size: (info as u8 & 7) + 1,
            direction: if info & 1 << 3 != 0 {
                Direction::Read
            } else {
                Direction::Write
            },
            form: if info & 1 << 4 != 0 {
                PortForm::String
            } else {
                PortForm::Single
            },
        }
    }

    pub(super) fn nested_fault(&mut self) -> NestedFault {
        self.redeliver();
        let info = self.vmcs.get(Field::Qualification);
        NestedFault {
            gpa: Gpa::new(self.vmcs.get(Field::GuestPhysicalAddress)),
            access: if info & 1 << 2 != 0 {
                Access::Fetch
            } else if info & 1 << 1 != 0 {
                Access::Write
            } else {
                Access::Read
            },
            // With a linear address, but not for what it leads to.
            in_walk: info & 0b11 << 7 == 1 << 7,
        }
    }
}
