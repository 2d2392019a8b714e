//! Checks of the host's state (SDM 3C 26.2.2 to 26.2.4), of a host in 64-bit mode.

use super::{Check, Subject, canonical, first, valid_pat};
use crate::vmx::access::VmcsAccess;
use crate::vmx::field::Field;

/// PCIDE and PAE.
const CR4_PAE: u64 = 1 << 5;
/// LMA and LME.
const EFER_LONG: u64 = 1 << 10 | 1 << 8;

/// The first check that fails.
pub fn failed<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    let get = |field| subject.get(field);
    let selectors = [
        Field::HostEsSelector,
        Field::HostCsSelector,
        Field::HostSsSelector,
        Field::HostDsSelector,
        Field::HostFsSelector,
        Field::HostGsSelector,
        Field::HostTrSelector,
    ];
    let bases = [
        Field::HostFsBase,
        Field::HostGsBase,
        Field::HostTrBase,
        Field::HostGdtrBase,
        Field::HostIdtrBase,
        Field::HostSysenterEsp,
        Field::HostSysenterEip,
        Field::HostRip,
    ];
    let probe = subject.probe;
    let checks: [Check; 11] = [
        (
            get(Field::HostCr0) & probe.cr0_ones != probe.cr0_ones,
            "the host's CR0 lacks a bit that VMX wants to be 1",
        ),
        (
            get(Field::HostCr4) & probe.cr4_ones != probe.cr4_ones,
            "the host's CR4 lacks a bit that VMX wants to be 1",
        ),
        (
            get(Field::HostCr4) & !probe.cr4_may != 0,
            "the host's CR4 has a bit that the CPU does not have in VMX operation",
        ),
        (
            get(Field::HostCr3) >> 52 != 0,
            "the host's CR3 has bits above the physical addresses",
        ),
        (
            selectors.into_iter().any(|field| get(field) & 7 != 0),
            "a selector of the host has a privilege level or points into an LDT",
        ),
        (
            get(Field::HostCsSelector) == 0 || get(Field::HostTrSelector) == 0,
            "the host's CS or TR is null",
        ),
        (
            bases.into_iter().any(|field| !canonical(get(field))),
            "a base or an address of the host is not canonical",
        ),
        (
            !subject.has(Field::ExitControls, 9),
            "exits do not lead to a host in 64-bit mode",
        ),
        (
            get(Field::HostCr4) & CR4_PAE == 0,
            "the host's CR4.PAE is 0",
        ),
        (
            get(Field::HostEfer) & EFER_LONG != EFER_LONG,
            "the host's EFER is not that of 64-bit mode",
        ),
        (
            !valid_pat(get(Field::HostPat)),
            "the host's PAT has an entry that is no memory type",
        ),
    ];
    first(&checks)
}
