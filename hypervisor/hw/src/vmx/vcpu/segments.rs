//! The guest's segment registers in the VMCS.

use bulkhead_core::cpu_state::SegmentRegister;

use super::VmxVcpu;
use crate::vmx::access::VmcsAccess;
use crate::vmx::field::Field;

/// The rights of a segment that cannot be used.
pub(super) const UNUSABLE: u64 = 1 << 16;
/// Attributes: DPL, P.
const DPL: u16 = 3 << 5;
const PRESENT: u16 = 1 << 7;

/// The fields of a segment: selector, base, limit, rights.
type SegmentFields = [Field; 4];

const ES: SegmentFields = [
    Field::EsSelector,
    Field::EsBase,
    Field::EsLimit,
    Field::EsRights,
];
pub(super) const CS: SegmentFields = [
    Field::CsSelector,
    Field::CsBase,
    Field::CsLimit,
    Field::CsRights,
];
const SS: SegmentFields = [
    Field::SsSelector,
    Field::SsBase,
    Field::SsLimit,
    Field::SsRights,
];
const DS: SegmentFields = [
    Field::DsSelector,
    Field::DsBase,
    Field::DsLimit,
    Field::DsRights,
];
const FS: SegmentFields = [
    Field::FsSelector,
    Field::FsBase,
    Field::FsLimit,
    Field::FsRights,
];
const GS: SegmentFields = [
    Field::GsSelector,
    Field::GsBase,
    Field::GsLimit,
    Field::GsRights,
];
pub(super) const LDTR: SegmentFields = [
    Field::LdtrSelector,
    Field::LdtrBase,
    Field::LdtrLimit,
    Field::LdtrRights,
];
pub(super) const TR: SegmentFields = [
    Field::TrSelector,
    Field::TrBase,
    Field::TrLimit,
    Field::TrRights,
];
/// ES, CS, SS, DS, FS, GS.
pub(super) const ALL: [SegmentFields; 6] = [ES, CS, SS, DS, FS, GS];

/// Access rights as attributes of 12 bits (SDM 3C table 24-2).
const fn attributes(rights: u64) -> u16 {
    let attributes = (rights & 0xff | rights >> 4 & 0xf00) as u16;
    if rights & UNUSABLE != 0 {
        attributes & !PRESENT
    } else {
        attributes
    }
}

/// The reverse. The DPL of SS counts also where the segment cannot be used.
const fn rights(attributes: u16) -> u64 {
    if attributes & PRESENT == 0 {
        return UNUSABLE | (attributes & DPL) as u64;
    }
    let attributes = attributes as u64;
    attributes & 0xff | (attributes & 0xf00) << 4
}

impl<A: VmcsAccess> VmxVcpu<A> {
    pub(super) fn segment(&self, fields: SegmentFields) -> SegmentRegister {
        let [selector, base, limit, rights] = fields;
        SegmentRegister {
            selector: self.vmcs.get(selector) as u16,
            attributes: attributes(self.vmcs.get(rights)),
            limit: self.vmcs.get(limit) as u32,
            base: self.vmcs.get(base),
        }
    }

    pub(super) fn put_segment(&mut self, fields: SegmentFields, register: &SegmentRegister) {
        let [selector, base, limit, rights_field] = fields;
        self.vmcs.set(selector, u64::from(register.selector));
        self.vmcs.set(base, register.base);
        self.vmcs.set(limit, u64::from(register.limit));
        self.vmcs.set(rights_field, rights(register.attributes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_attributes_with_a_gap() {
        assert_eq!(rights(0xa9b), 0xa09b);
        assert_eq!(rights(0x093), 0x0093);
        assert_eq!(rights(0), UNUSABLE);
    }

    #[test]
    fn rights_and_attributes_say_the_same() {
        for (rights_field, attributes_field) in [
            (0xa09b, 0xa9b),
            (0xc0f3, 0xcf3),
            (0x8b, 0x8b),
            (UNUSABLE, 0),
            (UNUSABLE | 0x60, 0x60),
        ] {
            assert_eq!(attributes(rights_field), attributes_field);
            assert_eq!(rights(attributes_field), rights_field);
        }
        // What is left of a segment that was unloaded does not count.
        assert_eq!(attributes(UNUSABLE | 0xc093), 0xc13);
        assert_eq!(rights(0xc13), UNUSABLE);
    }
}
