//! The exit loop, driven by scripts.

use crate::exit::Leave;
use crate::fakes::Bench;
use crate::vcpu::{Exit, Gpr};

#[test]
fn cpuid_answers_and_goes_on() {
    let mut bench = Bench::guest();
    let rip = bench.vcpu.hw.rip;
    let leave = bench.exit(&[(Gpr::Rax, 0x4000_0000)], Exit::Cpuid);
    assert_eq!(leave, Leave::Interrupted);
    assert_eq!(
        bench.vcpu.hw.get(Gpr::Rbx),
        u64::from(u32::from_le_bytes(*b"Bulk"))
    );
    assert_eq!(bench.vcpu.hw.rip, rip + 2);
}
