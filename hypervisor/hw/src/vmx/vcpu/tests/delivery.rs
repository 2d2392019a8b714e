//! What the VMCS and the page hold while the CPU delivers interrupts.

use super::*;
use bulkhead_core::interrupt_delivery::{HeldInterrupts, InterruptDelivery};

fn set(vectors: &[u8]) -> VectorBits {
    vectors.iter().copied().map(Vector).collect()
}

/// A vCPU on a CPU without the fault of the emulator that the recorded machine is.
fn sound() -> VmxVcpu<Fake> {
    let mut vcpu = vcpu();
    vcpu.probe.forgets_interrupt_flag = false;
    vcpu
}

fn field(vcpu: &VmxVcpu<Fake>, field: Field) -> u64 {
    vcpu.vmcs.access().fields.borrow()[&field.encoding()]
}

fn halt(vcpu: &mut VmxVcpu<Fake>) {
    exit(vcpu, reason::HLT, 0x1000, 1);
}

fn held() -> HeldInterrupts {
    HeldInterrupts {
        requested: set(&[0x31, 0x62]),
        in_service: set(&[0x21, 0x51]),
        task_priority: 0x17,
    }
}

#[test]
fn what_is_lent_is_in_the_vmcs_and_comes_back() {
    let mut vcpu = sound();
    assert!(vcpu.delivers());
    vcpu.watch_cr8(Watch::On);
    vcpu.lend(&held());
    halt(&mut vcpu);
    assert_eq!(field(&vcpu, Field::InterruptStatus), 0x5162);
    let secondary = field(&vcpu, Field::SecondaryControls);
    assert_eq!(secondary & u64::from(bit::DELIVERY), 0x310);
    assert_eq!(field(&vcpu, Field::MsrBitmap), vcpu.open_msrs.as_u64());
    let processor = field(&vcpu, Field::ProcessorControls);
    assert_eq!(processor & u64::from(bit::CR8_LOAD), 0);
    assert_eq!(vcpu.cr8(), 1);
    assert_eq!(vcpu.give_back(), held());
    halt(&mut vcpu);
    let secondary = field(&vcpu, Field::SecondaryControls);
    assert_eq!(secondary & u64::from(bit::DELIVERY), 0);
    assert_eq!(field(&vcpu, Field::MsrBitmap), vcpu.closed_msrs.as_u64());
    assert_eq!(vcpu.cr8(), 1);
}

#[test]
fn a_request_costs_one_read_and_one_write_of_the_vmcs() {
    let mut vcpu = sound();
    vcpu.lend(&held());
    vcpu.watch_ends(&VectorBits::EMPTY);
    halt(&mut vcpu);
    vcpu.vmcs.access().take_counts();
    vcpu.request(&set(&[0x30, 0x71]));
    vcpu.watch_ends(&VectorBits::EMPTY);
    vcpu.vmcs.flush();
    assert_eq!(vcpu.vmcs.access().take_counts(), (1, 1));
    assert_eq!(field(&vcpu, Field::InterruptStatus), 0x5171);
    vcpu.request(&set(&[0x33]));
    vcpu.vmcs.flush();
    assert_eq!(
        vcpu.vmcs.access().take_counts(),
        (0, 0),
        "the highest is another"
    );
    let requested = vcpu.give_back().requested;
    assert_eq!(requested, set(&[0x30, 0x31, 0x33, 0x62, 0x71]));
}

#[test]
fn a_vector_is_deliverable_above_the_priorities_of_task_and_service_only() {
    let mut vcpu = sound();
    for (requested, in_service, task_priority, expected) in [
        (0x62, 0x51, 0x17, true),
        (0x62, 0x61, 0x00, false),
        (0x62, 0x00, 0x60, false),
        (0x62, 0x00, 0x5f, true),
        (0x00, 0x00, 0x00, false),
    ] {
        let of = |vector| {
            if vector == 0 {
                set(&[])
            } else {
                set(&[vector])
            }
        };
        vcpu.lend(&HeldInterrupts {
            requested: of(requested),
            in_service: of(in_service),
            task_priority,
        });
        assert_eq!(vcpu.has_deliverable(), expected, "{requested:#x}");
        let _ = vcpu.give_back();
    }
}

#[test]
fn ends_are_watched_where_the_ioapic_waits_for_them() {
    let mut vcpu = sound();
    vcpu.lend(&held());
    vcpu.watch_ends(&set(&[0x22, 0xc1]));
    halt(&mut vcpu);
    assert_eq!(field(&vcpu, Field::EndExits0), 1 << 0x22);
    assert_eq!(field(&vcpu, Field::EndExits3), 2);
    vcpu.vmcs.access().exits_with(&[
        (Field::ExitReason, u64::from(reason::END_OF_INTERRUPT)),
        (Field::Qualification, 0x22),
    ]);
    assert_eq!(vcpu.enter(), Exit::EndOfInterrupt(Vector(0x22)));
}

#[test]
fn an_illegal_self_ipi_is_told_and_no_other_register_is_left_to_the_hypervisor() {
    let mut vcpu = sound();
    for (offset, expected) in [(0x3f0, Exit::SelfIpi(Vector(0))), (0x300, Exit::Unknown)] {
        vcpu.vmcs.access().exits_with(&[
            (Field::ExitReason, u64::from(reason::APIC_WRITE)),
            (Field::Qualification, offset),
        ]);
        assert_eq!(vcpu.enter(), expected);
    }
}

#[test]
fn an_interrupt_after_a_halt_is_delivered_before_the_next_instruction() {
    let mut vcpu = sound();
    vcpu.lend(&held());
    vcpu.vmcs.access().exits_with(&[
        (Field::ExitReason, u64::from(reason::HLT)),
        (Field::Rip, 0x1000),
        (Field::ExitLength, 1),
        (Field::Interruptibility, 1),
        (Field::Rflags, 0x202),
    ]);
    vcpu.enter();
    simple(&mut vcpu);
    assert!(vcpu.has_deliverable() && vcpu.can_take_interrupt());
    vcpu.vmcs.flush();
    assert_eq!(field(&vcpu, Field::Interruptibility), 0);
}

#[test]
fn where_the_emulator_forgets_the_interrupt_flag_what_waits_for_it_is_held_back() {
    let mut vcpu = vcpu();
    assert!(vcpu.probe.forgets_interrupt_flag);
    let window = |vcpu: &mut VmxVcpu<Fake>, rflags: u64| {
        vcpu.vmcs.access().exits_with(&[(Field::Rflags, rflags)]);
        vcpu.enter();
        vcpu.control(bit::WINDOW, Watch::Off);
        assert!(vcpu.has_deliverable());
        vcpu.vmcs.flush();
        field(vcpu, Field::ProcessorControls) & u64::from(bit::WINDOW) != 0
    };
    vcpu.lend(&held());
    assert!(window(&mut vcpu, 0x2));
    assert!(!window(&mut vcpu, 0x202));
}
