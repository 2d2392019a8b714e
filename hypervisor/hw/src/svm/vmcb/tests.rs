use super::layout::clean;
use super::*;
use bulkhead_core::addr::Hpa;
use bulkhead_core::vcpu::Watch;

fn vmcb() -> Box<Vmcb> {
    // SAFETY: every bit pattern, zero included, is a valid Vmcb: it holds integers only.
    unsafe { Box::<Vmcb>::new_zeroed().assume_init() }
}

/// A CPU that caches every group and reloads only those that are not clean.
fn reload(vmcb: &mut Vmcb) -> u32 {
    let dirty = clean::ALL & !vmcb.control.clean;
    vmcb.set_clean();
    dirty
}

#[test]
fn each_setter_clears_exactly_its_clean_group() {
    let mut vmcb = vmcb();
    assert_eq!(reload(&mut vmcb), clean::ALL);
    type Setter = fn(&mut Vmcb);
    let cases: [(&str, Setter, u32); 12] = [
        ("tsc offset", |v| v.set_tsc_offset(5), clean::INTERCEPTS),
        (
            "maps",
            |v| v.set_permission_maps(Hpa::new(1), Hpa::new(2)),
            clean::MAPS,
        ),
        ("tag", |v| v.set_tag(3), clean::TAG),
        ("tpr", |v| v.set_task_priority(3), clean::TPR),
        (
            "root",
            |v| v.set_nested_root(Hpa::new(0x1000)),
            clean::NESTED,
        ),
        ("pat", |v| v.set_pat(1), clean::NESTED),
        ("efer", |v| v.set_efer(1), clean::CONTROL),
        ("cr2", |v| v.set_cr2(1), clean::CR2),
        ("debug", |v| v.set_debug(1, 1), clean::DEBUG),
        (
            "tables",
            |v| v.set_tables(Segment::default(), Segment::default()),
            clean::TABLES,
        ),
        (
            "segments",
            |v| v.set_segments(Segment::default(), Segment::default()),
            clean::SEGMENTS,
        ),
        (
            "window",
            |v| v.set_window(Watch::On),
            clean::TPR | clean::INTERCEPTS,
        ),
    ];
    for (name, set, group) in cases {
        set(&mut vmcb);
        assert_eq!(reload(&mut vmcb), group, "{name}");
    }
}

#[test]
fn setting_the_same_value_keeps_the_group_clean() {
    let mut vmcb = vmcb();
    vmcb.set_tag(3);
    vmcb.set_task_priority(4);
    vmcb.set_nested_root(Hpa::new(0x1000));
    vmcb.set_clean();
    vmcb.set_tag(3);
    vmcb.set_task_priority(4);
    vmcb.set_nested_root(Hpa::new(0x1000));
    assert_eq!(reload(&mut vmcb), 0);
}

/// A vector was taken twice, where an emulator did not forget the event that it had injected.
#[test]
fn an_offered_interrupt_is_taken_once() {
    let mut vmcb = vmcb();
    vmcb.mask_host_interrupts();
    vmcb.set_task_priority(3);
    let plain = vmcb.control.virtual_interrupt;
    let event = Event::interrupt(0x60);
    assert_eq!(vmcb.offer_interrupt(), None, "nothing waits");
    vmcb.set_injection(Some(event));
    vmcb.set_clean();
    assert_eq!(vmcb.offer_interrupt(), Some(event));
    assert_eq!(reload(&mut vmcb), clean::TPR);
    assert_eq!(vmcb.injection(), None, "one way is enough");
    assert_eq!(vmcb.control.virtual_interrupt, plain | 0x60_001f_0100);
    assert_eq!(vmcb.withdraw_interrupt(), Taken::No);
    assert_eq!(reload(&mut vmcb), clean::TPR);
    assert_eq!(vmcb.control.virtual_interrupt, plain);
    vmcb.set_injection(Some(event));
    assert_eq!(vmcb.offer_interrupt(), Some(event));
    // As the CPU does it.
    vmcb.control.virtual_interrupt &= !(1 << 8);
    assert_eq!(vmcb.withdraw_interrupt(), Taken::Yes);
    assert_eq!(vmcb.control.virtual_interrupt, plain);
}

#[test]
fn what_cannot_be_offered_is_injected() {
    let mut vmcb = vmcb();
    for event in [Event::nmi(), Event::exception(14, Some(2))] {
        vmcb.set_injection(Some(event));
        assert_eq!(vmcb.offer_interrupt(), None);
        assert_eq!(vmcb.injection(), Some(event));
    }
    vmcb.set_injection(Some(Event::interrupt(0x60)));
    vmcb.set_window(Watch::On);
    let window = vmcb.control.virtual_interrupt;
    assert_eq!(vmcb.offer_interrupt(), None, "the window uses it");
    assert_eq!(vmcb.injection(), Some(Event::interrupt(0x60)));
    assert_eq!(vmcb.control.virtual_interrupt, window);
}

#[test]
fn the_end_of_an_nmis_handler_is_seen_while_one_runs() {
    let mut vmcb = vmcb();
    vmcb.set_window(Watch::On);
    let window = vmcb.control.intercept_1;
    assert!(!vmcb.nmi_blocked());
    vmcb.set_clean();
    vmcb.set_nmi_blocked(Watch::On);
    assert_eq!(reload(&mut vmcb), clean::INTERCEPTS);
    assert!(vmcb.nmi_blocked());
    assert_eq!(vmcb.control.intercept_1, window | 1 << 20);
    vmcb.set_nmi_blocked(Watch::Off);
    assert_eq!(
        (vmcb.nmi_blocked(), vmcb.control.intercept_1),
        (false, window)
    );
}

#[test]
fn events_keep_their_parts() {
    let event = Event::exception(14, Some(0x1_0002));
    assert_eq!((event.vector(), event.kind()), (14, EventKind::Exception));
    assert_eq!(event.bits(), 0x0001_0002_8000_0b0e);
    assert_eq!(event.error_code(), Some(0x1_0002));
    assert_eq!(Event::exception(6, None).error_code(), None);
    assert_eq!(Event::from_bits(event.bits() & !(1 << 31)), None);
    assert_eq!(Event::nmi().kind(), EventKind::Nmi);
}

#[test]
fn registers_come_back_as_they_were_set() {
    use bulkhead_core::cpu_state::{CpuState, SegmentRegister, TableRegister, segment};
    let usable = |attributes| SegmentRegister {
        selector: 0x33,
        attributes,
        limit: 0xffff_ffff,
        base: 0x1234_5000,
    };
    let mut state = CpuState {
        rip: 1,
        rflags: 2,
        cr0: 3,
        cr2: 4,
        cr3: 5,
        cr4: 6,
        efer: 0xd01,
        privilege: 3,
        segments: [usable(0xcf3); 6],
        ldtr: usable(0x82),
        tr: usable(0x8b),
        gdtr: TableRegister { base: 7, limit: 8 },
        idtr: TableRegister { base: 9, limit: 10 },
        dr6: 11,
        dr7: 12,
        sysenter: [13, 14, 15],
        syscall: [16, 17, 18, 19],
        kernel_gs_base: 20,
        pat: 21,
        ..CpuState::default()
    };
    state.segments[segment::CS].attributes = 0xafb;
    state.segments[segment::GS].base = u64::MAX;
    let mut vmcb = vmcb();
    vmcb.set_clean();
    vmcb.write_registers(&state);
    assert_eq!(vmcb.read_registers(), state);
    assert_eq!(reload(&mut vmcb), clean::ALL);
    // What some CPUs leave: segments that were not marked as accessed, a TR that is not busy.
    vmcb.save.cs.attributes = 0xafa;
    vmcb.save.tr.attributes = 0x89;
    vmcb.save.ss.attributes = 0xc93;
    assert_eq!(vmcb.read_registers(), state);
}
