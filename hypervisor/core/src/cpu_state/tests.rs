//! States that CPUs are in, and states that none is in.

use super::*;
use crate::cpu_shape::CpuShape;
use crate::fakes::{cpuid_table, initial_extended};
use crate::local_apic::StateError;
use crate::msr::ControlRules;

fn rules() -> ControlRules {
    ControlRules::new(&cpuid_table(&CpuShape::flat(1)))
}

fn segment(selector: u16, attributes: u16) -> SegmentRegister {
    SegmentRegister {
        selector,
        attributes,
        limit: if attributes & 1 << 11 != 0 {
            u32::MAX
        } else {
            0xffff
        },
        base: 0,
    }
}

/// As after reset.
pub fn real() -> CpuState {
    let mut state = CpuState {
        rip: 0x10,
        rflags: 2,
        cr0: 0x6000_0010,
        segments: [segment(0, 0x93); 6],
        ldtr: segment(0, 0x82),
        tr: segment(0, 0x8b),
        dr6: 0xffff_0ff0,
        dr7: 0x400,
        pat: 0x0007_0406_0007_0406,
        ..CpuState::default()
    };
    state.segments[segment::CS] = segment(0x9a00, 0x9b);
    state.segments[segment::CS].base = 0x9_a000;
    state
}

/// An operating system's kernel in 64-bit mode.
pub fn long() -> CpuState {
    let mut state = CpuState {
        rip: 0xffff_ffff_8100_0000,
        rflags: 0x202,
        cr0: 0x8005_0033,
        cr2: 0x7fff_1234_5678,
        cr3: 0x12_3456_7000,
        cr4: 0x6b0,
        efer: 0xd01,
        segments: [SegmentRegister::default(); 6],
        ldtr: SegmentRegister::default(),
        tr: segment(0x40, 0x8b),
        ..real()
    };
    state.segments[segment::CS] = segment(0x10, 0xa9b);
    state.segments[segment::SS] = segment(0x18, 0xc93);
    state.segments[segment::GS].base = 0xffff_8880_0000_0000;
    state.tr.base = 0xffff_fe00_0000_1000;
    state.gdtr = TableRegister {
        base: 0xffff_fe00_0000_0000,
        limit: 0x7f,
    };
    state
}

fn protected() -> CpuState {
    let mut state = real();
    state.cr0 = 0x11;
    state.segments = [segment(0x10, 0xc93); 6];
    state.segments[segment::CS] = segment(8, 0xc9b);
    state
}

fn virtual_8086() -> CpuState {
    let mut state = protected();
    state.rflags |= 1 << 17;
    state.privilege = 3;
    state.segments = [SegmentRegister {
        selector: 0x1234,
        attributes: 0xf3,
        limit: 0xffff,
        base: 0x1_2340,
    }; 6];
    state
}

fn user() -> CpuState {
    let mut state = long();
    state.privilege = 3;
    state.rip = 0x40_1000;
    state.segments[segment::CS] = segment(0x33, 0xafb);
    state.segments[segment::SS] = segment(0x2b, 0xcf3);
    state
}

#[test]
fn what_cpus_are_in_passes() {
    let mut pae = protected();
    pae.cr0 |= 1 << 31;
    pae.cr4 = 0x20;
    pae.page_pointers = Some([0x5001, 0, 0x40_0000_0000 - 0xfff, 0]);
    let mut null_stack = long();
    null_stack.segments[segment::SS] = SegmentRegister::default();
    let mut unreal = real();
    unreal.segments[segment::ES] = segment(0, 0xc93);
    let states = [
        real(),
        long(),
        protected(),
        virtual_8086(),
        user(),
        pae,
        null_stack,
        unreal,
    ];
    for (number, state) in states.iter().enumerate() {
        assert_eq!(state.check(&rules(), 40), Ok(()), "{number}");
    }
}

#[test]
fn what_no_cpu_is_in_is_named() {
    type Damage = (fn(&mut CpuState), &'static str);
    let damages: [Damage; 44] = [
        (|s| s.cr0 |= 1 << 32, "CR0"),
        (|s| s.cr0 |= 1 << 6, "CR0"),
        (|s| s.cr0 |= 1 << 29, "CR0"),
        (|s| s.cr0 &= !1, "CR0"),
        (|s| s.cr4 |= 1 << 13, "CR4"),
        (|s| s.cr4 |= 1 << 30, "CR4"),
        (|s| s.cr4 &= !0x20, "CR4 for this mode"),
        (|s| s.efer |= 1 << 12, "EFER"),
        (|s| s.efer &= !(1 << 10), "EFER"),
        (|s| s.efer &= !(1 << 8), "EFER"),
        (|s| s.cr3 |= 1 << 40, "CR3"),
        (
            |s| s.page_pointers = Some([0; 4]),
            "page-directory pointers without PAE paging",
        ),
        (
            |s| s.page_pointers = Some([3, 0, 0, 0]),
            "a page-directory pointer",
        ),
        (|s| s.rflags = 0x200, "RFLAGS"),
        (|s| s.rflags |= 1 << 3, "RFLAGS"),
        (|s| s.rflags |= 1 << 22, "RFLAGS"),
        (|s| s.rflags |= 1 << 17, "RFLAGS"),
        (|s| s.rip = 1 << 47, "RIP"),
        (|s| s.privilege = 3, "the privilege level"),
        (|s| s.privilege = 4, "the privilege level"),
        (|s| s.segments[segment::CS].attributes = 0xe9b, "CS"),
        (|s| s.segments[segment::CS].attributes = 0xa13, "CS"),
        (|s| s.segments[segment::CS].attributes = 0xafb, "CS"),
        (|s| s.segments[segment::CS].limit = 0x1_0000, "CS"),
        (
            |s| s.segments[segment::CS].base = 1 << 32,
            "the base of a segment",
        ),
        (
            |s| s.segments[segment::GS].base = 1 << 47,
            "the base of a segment",
        ),
        (
            |s| s.segments[segment::DS].attributes = 0x1000,
            "a segment's attributes",
        ),
        (
            |s| s.segments[segment::DS] = segment(8, 0xc92),
            "a data segment",
        ),
        (|s| s.segments[segment::SS] = segment(8, 0xc91), "SS"),
        (|s| s.tr.attributes = 0x89, "TR"),
        (|s| s.tr.attributes = 0, "TR"),
        (|s| s.tr.selector = 4, "TR"),
        (|s| s.ldtr = segment(0, 0x8b), "LDTR"),
        (|s| s.gdtr.base = 1 << 47, "the base of GDTR or IDTR"),
        (|s| s.idtr.base = 1 << 63, "the base of GDTR or IDTR"),
        (|s| s.sysenter[1] = 1 << 47, "a SYSENTER register"),
        (|s| s.syscall[1] = 1 << 62, "a SYSCALL register"),
        (|s| s.syscall[3] = 1 << 32, "a SYSCALL register"),
        (|s| s.kernel_gs_base = 1 << 47, "KERNEL_GS_BASE"),
        (|s| s.pat = 2, "PAT"),
        (|s| s.tsc_aux = 1 << 32, "TSC_AUX"),
        (|s| s.dr6 |= 1 << 32, "DR6 or DR7"),
        (|s| s.dr7 |= 1 << 40, "DR6 or DR7"),
        (|s| s.pending_debug = 1 << 16, "pending debug exceptions"),
    ];
    for (number, (damage, what)) in damages.into_iter().enumerate() {
        let mut bad = long();
        damage(&mut bad);
        assert_eq!(
            bad.check(&rules(), 40),
            Err(StateError::Impossible(what)),
            "{number}"
        );
    }
    let mut bad = virtual_8086();
    bad.segments[segment::DS].base += 16;
    let what = StateError::Impossible("a segment in virtual-8086 mode");
    assert_eq!(bad.check(&rules(), 40), Err(what));
}

#[test]
fn events_come_only_where_they_can() {
    let event = |kind, vector, error_code| {
        Some(PendingEvent {
            kind,
            vector,
            error_code,
        })
    };
    let with = |event, change: fn(&mut CpuState)| {
        let mut state = long();
        state.event = event;
        change(&mut state);
        state.check(&rules(), 40).is_ok()
    };
    let interrupt = event(EventKind::Interrupt, 0x41, None);
    let fault = event(EventKind::Exception, 14, Some(2));
    let nmi = event(EventKind::Nmi, 2, None);
    for good in [interrupt, fault, nmi, event(EventKind::Exception, 6, None)] {
        assert!(with(good, |_| {}), "{good:?}");
    }
    assert!(with(fault, |state| state.shadow = Shadow::Sti));
    assert!(!with(interrupt, |state| state.rflags = 2));
    assert!(!with(interrupt, |state| state.shadow = Shadow::Sti));
    assert!(!with(nmi, |state| state.shadow = Shadow::MovSs));
    assert!(!with(None, |state| {
        state.shadow = Shadow::Sti;
        state.rflags = 2;
    }));
    for bad in [
        event(EventKind::Exception, 14, None),
        event(EventKind::Exception, 14, Some(1 << 15)),
        event(EventKind::Exception, 6, Some(0)),
        event(EventKind::Exception, 2, None),
        event(EventKind::Exception, 32, None),
        event(EventKind::Nmi, 3, None),
        event(EventKind::Interrupt, 0x41, Some(0)),
    ] {
        assert!(!with(bad, |_| {}), "{bad:?}");
    }
}

#[test]
fn extended_states_go_with_what_the_guest_may_have() {
    let good = ExtendedImage {
        xcr0: 7,
        in_use: 7,
        components: vec![Component {
            number: 2,
            bytes: vec![1; 256],
        }],
        ..initial_extended()
    };
    assert_eq!(good.check(&rules()), Ok(()));
    assert_eq!(initial_extended().check(&rules()), Ok(()));
    let damages: [fn(&mut ExtendedImage); 6] = [
        |image| image.xcr0 = 4,
        |image| image.xcr0 = 1 << 9 | 7,
        |image| image.in_use = 3,
        |image| image.in_use = 1 << 9 | 7,
        |image| image.components[0].number = 1,
        |image| image.legacy[27] = 1,
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let mut bad = good.clone();
        damage(&mut bad);
        assert!(bad.check(&rules()).is_err(), "{number}");
    }
}
