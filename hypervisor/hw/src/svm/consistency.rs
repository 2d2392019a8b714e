//! Says in words which of VMRUN's consistency checks a VMCB fails (APM 2 15.5.1).
//!
//! After such an exit the VMCB's state fields are still what was refused, on hardware; emulators may have
//! changed some, so that the answer can be that nothing was found.

use super::vmcb::{EFER_SVME, Vmcb};

const CR0_PE: u64 = 1 << 0;
const CR0_NW: u64 = 1 << 29;
const CR0_CD: u64 = 1 << 30;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;

/// The first failed check.
pub fn explain(vmcb: &Vmcb) -> &'static str {
    let [cr0, _, cr3, cr4, efer] = vmcb.control_registers();
    let long_paging = efer & EFER_LME != 0 && cr0 & CR0_PG != 0;
    let code = vmcb.cs();
    let checks = [
        (efer & EFER_SVME == 0, "EFER.SVME is 0"),
        (
            cr0 & CR0_CD == 0 && cr0 & CR0_NW != 0,
            "CR0.CD is 0 and CR0.NW is 1",
        ),
        (cr0 >> 32 != 0, "CR0 has bits above 31"),
        (cr3 >> 52 & 0x7ff != 0, "CR3 has reserved bits"),
        (cr4 & CR4_RESERVED != 0, "CR4 has reserved bits"),
        (efer & EFER_RESERVED != 0, "EFER has reserved bits"),
        (
            long_paging && cr4 & CR4_PAE == 0,
            "EFER.LME and CR0.PG are 1 and CR4.PAE is 0",
        ),
        (
            long_paging && cr0 & CR0_PE == 0,
            "EFER.LME and CR0.PG are 1 and CR0.PE is 0",
        ),
        (
            long_paging && code.attributes & 1 << 9 != 0 && code.attributes & 1 << 10 != 0,
            "CS.L and CS.D are both 1 in long mode",
        ),
    ];
    checks.iter().find(|(failed, _)| *failed).map_or(
        "no failed check was found in the saved state",
        |(_, text)| text,
    )
}

/// CR4 bits that no AMD CPU defines.
const CR4_RESERVED: u64 = !0x0000_0000_00ff_7fff;
/// EFER bits that no AMD CPU defines.
const EFER_RESERVED: u64 = !0x0000_0000_0020_fd01;

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_core::addr::Gpa;

    fn vmcb() -> Box<Vmcb> {
        // SAFETY: every bit pattern, zero included, is a valid Vmcb: it holds integers only.
        let mut vmcb = unsafe { Box::<Vmcb>::new_zeroed().assume_init() };
        vmcb.set_efer(0);
        vmcb.set_control_registers(0x10, Gpa::new(0), 0);
        vmcb
    }

    #[test]
    fn names_the_failed_check() {
        let mut bad = vmcb();
        bad.set_cr4(1 << 30);
        assert_eq!(explain(&bad), "CR4 has reserved bits");
        let mut bad = vmcb();
        bad.set_efer(EFER_LME);
        bad.set_control_registers(CR0_PG | CR0_PE, Gpa::new(0), 0);
        assert_eq!(explain(&bad), "EFER.LME and CR0.PG are 1 and CR4.PAE is 0");
        assert_eq!(
            explain(&vmcb()),
            "no failed check was found in the saved state"
        );
    }
}
