//! A vCPU over a VMCS that counts. `cargo xtask bench exits` shows the counts that the first test prints.

mod delivery;
mod refusals;

use super::*;
use crate::probe::VmxProbe;
use crate::probe::machines::skylake_x;
use crate::vmx::vmcs::fake::Fake;
use bulkhead_core::guest_tsc::TscScale;
use bulkhead_core::time::Hertz;

pub fn vcpu() -> VmxVcpu<Fake> {
    let machine = skylake_x();
    let probe = VmxProbe::read(&machine, &machine).unwrap();
    let maps = PermissionMaps::intercept_all().unwrap();
    VmxVcpu::over(Fake::default(), &maps, &probe, Ticks(1 << 20)).unwrap()
}

/// One exit by an instruction of this length at this place.
fn exit(vcpu: &mut VmxVcpu<Fake>, number: u16, rip: u64, length: u64) -> Exit {
    vcpu.vmcs.access().exits_with(&[
        (Field::ExitReason, u64::from(number)),
        (Field::Rip, rip),
        (Field::ExitLength, length),
    ]);
    vcpu.enter()
}

/// What core's handler of CPUID asks of the vCPU.
fn cpuid(vcpu: &mut VmxVcpu<Fake>) {
    let next = vcpu.next_rip().unwrap();
    let _ = (vcpu.gpr(Gpr::Rax), vcpu.gpr(Gpr::Rcx), vcpu.cr4());
    for register in [Gpr::Rax, Gpr::Rbx, Gpr::Rcx, Gpr::Rdx] {
        vcpu.set_gpr(register, 0);
    }
    vcpu.complete(next);
}

/// The same of the null hypercall and of HLT.
fn simple(vcpu: &mut VmxVcpu<Fake>) {
    let next = vcpu.next_rip().unwrap();
    vcpu.complete(next);
}

/// The same of an access to an MSR that core keeps.
fn msr(vcpu: &mut VmxVcpu<Fake>) {
    let next = vcpu.next_rip().unwrap();
    let _ = (vcpu.gpr(Gpr::Rcx), vcpu.gpr(Gpr::Rax), vcpu.gpr(Gpr::Rdx));
    vcpu.set_gpr(Gpr::Rax, 0);
    vcpu.complete(next);
}

/// The same of OUT.
fn port(vcpu: &mut VmxVcpu<Fake>) {
    let next = vcpu.next_rip_of_port();
    vcpu.complete(next);
}

type Handler = fn(&mut VmxVcpu<Fake>);

/// Name, exit reason, length, handler; VMREADs and VMWRITEs of an exit from a place that has exited before.
type Cost = (&'static str, u16, u64, Handler, (u32, u32));

const COSTS: [Cost; 6] = [
    ("cpuid", reason::CPUID, 2, cpuid, (2, 1)),
    ("hypercall", reason::VMCALL, 3, simple, (2, 1)),
    ("rdmsr", reason::RDMSR, 2, msr, (2, 1)),
    ("wrmsr", reason::WRMSR, 2, msr, (2, 1)),
    ("hlt", reason::HLT, 1, simple, (2, 1)),
    ("out", reason::PORT, 1, port, (4, 1)),
];

#[test]
fn exits_cost_these_vmcs_accesses() {
    for (name, number, length, handler, expected) in COSTS {
        let mut vcpu = vcpu();
        for _ in 0..3 {
            exit(&mut vcpu, number, 0x1000, length);
            handler(&mut vcpu);
        }
        vcpu.vmcs.access().take_counts();
        exit(&mut vcpu, number, 0x1000, length);
        handler(&mut vcpu);
        let (reads, writes) = vcpu.vmcs.access().take_counts();
        println!("VMCS {name} {reads} {writes}");
        assert_eq!((reads, writes), expected, "{name}");
        assert_eq!(vcpu.rip(), 0x1000 + length);
    }
}

#[test]
fn an_exit_from_a_new_place_costs_the_length_as_well() {
    let mut vcpu = vcpu();
    exit(&mut vcpu, reason::CPUID, 0x1000, 2);
    vcpu.vmcs.access().take_counts();
    exit(&mut vcpu, reason::CPUID, 0x1000, 2);
    cpuid(&mut vcpu);
    assert_eq!(vcpu.vmcs.access().take_counts().0, 3);
}

#[test]
fn a_prefixed_instruction_is_left_at_its_end() {
    let mut vcpu = vcpu();
    for (rip, length) in [(0x1000, 2), (0x1000, 2), (0x2000, 5), (0x1000, 3)] {
        exit(&mut vcpu, reason::CPUID, rip, length);
        assert_eq!(vcpu.next_rip(), Ok(rip + length));
    }
}

#[test]
fn outside_of_64_bit_mode_the_instruction_pointer_wraps() {
    let mut vcpu = vcpu();
    for _ in 0..2 {
        exit(&mut vcpu, reason::HLT, 0xffff_ffff, 1);
        assert_eq!(vcpu.next_rip(), Ok(0));
    }
}

#[test]
fn a_tsc_of_another_rate_is_scaled_and_one_of_the_hosts_is_not() {
    let mut vcpu = vcpu();
    let rate = |hz| Hertz::new(hz).unwrap();
    let scale = TscScale::new(rate(2_000_000_000), rate(3_000_000_000)).unwrap();
    vcpu.set_guest_tsc(GuestTsc { scale, offset: 7 });
    exit(&mut vcpu, reason::HLT, 0x1000, 1);
    let field =
        |vcpu: &VmxVcpu<Fake>, field: Field| vcpu.vmcs.access().fields.borrow()[&field.encoding()];
    assert_eq!(field(&vcpu, Field::TscMultiplier), 3 << 47);
    assert_eq!(field(&vcpu, Field::TscOffset), 7);
    let controls = field(&vcpu, Field::SecondaryControls);
    assert_ne!(controls & u64::from(bit::TSC_SCALING), 0);
    vcpu.set_guest_tsc(GuestTsc::with_offset(8));
    exit(&mut vcpu, reason::HLT, 0x1000, 1);
    assert_eq!(field(&vcpu, Field::TscOffset), 8);
    let controls = field(&vcpu, Field::SecondaryControls);
    assert_eq!(controls & u64::from(bit::TSC_SCALING), 0);
}
