use super::registers::*;
use super::*;
use crate::time::Ticks;

mod model;
mod state;
mod timer;

const HZ: u64 = 1_000_000_000;
const NOW: Instant = Instant(5_000_000);

pub(super) fn config() -> LapicConfig {
    LapicConfig {
        timer_hz: Hertz::new(HZ).unwrap(),
        tsc_hz: Hertz::new(4 * HZ).unwrap(),
        physical_bits: 40,
        features: LapicFeatures::all(),
    }
}

/// A bootstrap APIC in xAPIC mode, enabled by software.
pub(super) fn enabled() -> LocalApic {
    let mut apic = LocalApic::new(ApicId(3), ProcessorRole::Bootstrap, &config());
    assert_eq!(apic.write_mmio(0xf0, 0x1ff, NOW), Effect::None);
    apic
}

fn x2apic() -> LocalApic {
    let mut apic = enabled();
    assert_eq!(
        apic.set_apic_base(apic.apic_base() | BASE_X2APIC),
        Ok(Effect::ModeChanged)
    );
    apic
}

fn vectors_pending(apic: &LocalApic) -> Vec<u8> {
    (0..=255)
        .filter(|&v| apic.irr.contains(Vector(v)))
        .collect()
}

#[test]
fn power_up_values_follow_the_manual() {
    let mut apic = LocalApic::new(ApicId(3), ProcessorRole::Bootstrap, &config());
    assert_eq!(apic.apic_base(), 0xfee0_0900);
    assert_eq!(apic.mmio_page(), Some(Gpa::new(0xfee0_0000)));
    for (offset, value) in [
        (0x20, 0x0300_0000),
        (0x30, 0x0105_0014),
        (0x80, 0),
        (0x90, 0),
        (0xa0, 0),
        (0xd0, 0),
        (0xe0, 0xffff_ffff),
        (0xf0, 0xff),
        (0x280, 0),
        (0x300, 0),
        (0x310, 0),
        (0x320, 0x1_0000),
        (0x370, 0x1_0000),
        (0x380, 0),
        (0x390, 0),
        (0x3e0, 0),
    ] {
        assert_eq!(apic.read_mmio(offset, NOW), value, "offset {offset:#x}");
    }
    assert_eq!(apic.deadline(), Instant::NEVER);
    assert_eq!(apic.next_vector(), None);
    let application = LocalApic::new(ApicId(4), ProcessorRole::Application, &config());
    assert_eq!(application.apic_base(), 0xfee0_0800);
}

#[test]
fn a_disabled_apic_accepts_nothing() {
    let mut apic = LocalApic::new(ApicId(0), ProcessorRole::Bootstrap, &config());
    assert_eq!(
        apic.accept(Vector(0x40), Trigger::Edge),
        Acceptance::Refused
    );
    assert_eq!(apic.highest_pending(), None);
}

#[test]
fn pending_vectors_are_held_while_software_disables_the_apic() {
    let mut apic = enabled();
    assert_eq!(apic.accept(Vector(0x40), Trigger::Edge), Acceptance::New);
    let _ = apic.write_mmio(0xf0, 0xff, NOW);
    assert_eq!(apic.next_vector(), None);
    assert_eq!(apic.highest_pending(), Some(Vector(0x40)));
    let _ = apic.write_mmio(0xf0, 0x1ff, NOW);
    assert_eq!(apic.next_vector(), Some(Vector(0x40)));
}

#[test]
fn vectors_nest_by_priority_class() {
    let mut apic = enabled();
    for vector in [0x45, 0x41, 0x62] {
        assert_eq!(apic.accept(Vector(vector), Trigger::Edge), Acceptance::New);
    }
    assert_eq!(
        apic.accept(Vector(0x62), Trigger::Edge),
        Acceptance::Coalesced
    );
    assert_eq!(apic.next_vector(), Some(Vector(0x62)));
    apic.acknowledge(Vector(0x62));
    assert_eq!(apic.ppr(), 0x60);
    assert_eq!(apic.next_vector(), None);
    // The same vector may be pending once more while it is in service.
    assert_eq!(apic.accept(Vector(0x62), Trigger::Edge), Acceptance::New);
    assert_eq!(apic.next_vector(), None, "same class does not preempt");
    let _ = apic.accept(Vector(0x70), Trigger::Edge);
    assert_eq!(apic.next_vector(), Some(Vector(0x70)));
    apic.acknowledge(Vector(0x70));
    assert_eq!(apic.eoi(), Effect::None);
    assert_eq!(apic.ppr(), 0x60);
    assert_eq!(apic.eoi(), Effect::None);
    assert_eq!(apic.next_vector(), Some(Vector(0x62)));
    apic.acknowledge(Vector(0x62));
    let _ = apic.eoi();
    assert_eq!(apic.next_vector(), Some(Vector(0x45)));
    apic.acknowledge(Vector(0x45));
    let _ = apic.eoi();
    assert_eq!(apic.next_vector(), Some(Vector(0x41)));
    assert_eq!(apic.eoi(), Effect::None, "EOI with nothing in service");
}

#[test]
fn the_threshold_is_right_for_every_tpr_and_vector() {
    for tpr in 0..=255u8 {
        for vector in 16..=255u8 {
            let mut apic = enabled();
            apic.set_tpr(tpr);
            let _ = apic.accept(Vector(vector), Trigger::Edge);
            let deliverable = vector >> 4 > tpr >> 4;
            assert_eq!(
                apic.next_vector().is_some(),
                deliverable,
                "{tpr:#x} {vector:#x}"
            );
            assert_eq!(apic.cr8(), tpr >> 4);
        }
    }
}

#[test]
fn cr8_is_the_high_nibble_of_the_tpr() {
    let mut apic = enabled();
    apic.set_cr8(9);
    assert_eq!(apic.read_mmio(0x80, NOW), 0x90);
    assert_eq!(apic.ppr(), 0x90);
}

#[test]
fn apic_base_obeys_the_mode_transitions() {
    // Modes: 0 disabled, 1 xAPIC, 2 x2APIC; the table says which writes pass.
    let value = |mode| match mode {
        0 => DEFAULT_BASE | BASE_BSP,
        1 => DEFAULT_BASE | BASE_BSP | BASE_ENABLE,
        _ => DEFAULT_BASE | BASE_BSP | BASE_ENABLE | BASE_X2APIC,
    };
    let legal = [[true, true, false], [true, true, true], [true, false, true]];
    for (from, row) in legal.iter().enumerate() {
        for (to, &passes) in row.iter().enumerate() {
            let mut apic = enabled();
            if from != 1 {
                apic.set_apic_base(value(from)).map(drop).unwrap();
            }
            let before = apic.apic_base();
            let answer = apic.set_apic_base(value(to));
            assert_eq!(answer.is_ok(), passes, "{from} to {to}");
            let expected = if passes { value(to) } else { before };
            assert_eq!(apic.apic_base(), expected);
        }
    }
}

#[test]
fn apic_base_refuses_reserved_bits() {
    for bit in [0, 1, 7, 9, 40, 52, 63] {
        let mut apic = enabled();
        let value = apic.apic_base() | 1 << bit;
        assert_eq!(apic.set_apic_base(value), Err(GuestFault::GP0), "bit {bit}");
    }
    let mut apic = enabled();
    assert_eq!(
        apic.set_apic_base(DEFAULT_BASE | BASE_X2APIC),
        Err(GuestFault::GP0)
    );
    let without = LapicConfig {
        features: LapicFeatures::empty(),
        ..config()
    };
    let mut apic = LocalApic::new(ApicId(0), ProcessorRole::Bootstrap, &without);
    let value = apic.apic_base() | BASE_X2APIC;
    assert_eq!(apic.set_apic_base(value), Err(GuestFault::GP0));
}

#[test]
fn the_register_page_moves_and_disappears() {
    let mut apic = enabled();
    let moved = 0x12_3456_7000 | BASE_ENABLE | BASE_BSP;
    assert_eq!(apic.set_apic_base(moved), Ok(Effect::ModeChanged));
    assert_eq!(apic.mmio_page(), Some(Gpa::new(0x12_3456_7000)));
    assert_eq!(apic.set_apic_base(moved), Ok(Effect::None));
    apic.set_apic_base(moved | BASE_X2APIC).map(drop).unwrap();
    assert_eq!(apic.mmio_page(), None);
    apic.set_apic_base(DEFAULT_BASE | BASE_BSP)
        .map(drop)
        .unwrap();
    assert_eq!((apic.mode(), apic.identity()), (ApicMode::Disabled, None));
    assert!(
        apic.passes_ext_int(),
        "without an APIC the 8259A is wired to the CPU"
    );
}

#[test]
fn x2apic_registers_follow_the_table() {
    let apic = x2apic();
    let readable = [
        0x802, 0x803, 0x808, 0x80a, 0x80d, 0x80f, 0x828, 0x830, 0x832, 0x833, 0x834, 0x835, 0x836,
        0x837, 0x838, 0x839, 0x83e,
    ];
    for msr in 0x800..=0x8ff {
        let expected = readable.contains(&msr) || (0x810..=0x827).contains(&msr);
        assert_eq!(apic.read_msr(msr, NOW).is_ok(), expected, "{msr:#x}");
    }
    let writable = [
        0x808, 0x80b, 0x80f, 0x828, 0x830, 0x832, 0x833, 0x834, 0x835, 0x836, 0x837, 0x838, 0x83e,
        0x83f,
    ];
    for msr in 0x800..=0x8ff {
        let mut apic = apic;
        assert_eq!(
            apic.write_msr(msr, 0, NOW).is_ok(),
            writable.contains(&msr),
            "{msr:#x}"
        );
    }
    let mut plain = enabled();
    for msr in 0x800..=0x83f {
        assert_eq!(plain.read_msr(msr, NOW), Err(GuestFault::GP0));
        assert_eq!(plain.write_msr(msr, 0, NOW), Err(GuestFault::GP0));
    }
}

#[test]
fn x2apic_reserved_bits_fault() {
    let writable = |msr: u32| -> u64 {
        match msr {
            0x808 | 0x83f => 0xff,
            0x80f => 0x13ff,
            0x830 => 0xffff_ffff_000c_dfff,
            0x832 => 0x0007_10ff,
            0x833 | 0x834 => 0x0001_17ff | 1 << 14,
            0x835 | 0x836 => 0x0001_f7ff,
            0x837 => 0x0001_10ff | 1 << 14,
            0x838 => 0xffff_ffff,
            0x83e => 0xb,
            _ => 0,
        }
    };
    for msr in [
        0x808u32, 0x80b, 0x80f, 0x828, 0x830, 0x832, 0x833, 0x834, 0x835, 0x836, 0x837, 0x838,
        0x83e, 0x83f,
    ] {
        for bit in 0..64 {
            let mut apic = x2apic();
            let legal = writable(msr) | if msr == 0x832 { 1 << 14 } else { 0 };
            assert_eq!(
                apic.write_msr(msr, 1 << bit, NOW).is_ok(),
                legal & 1 << bit != 0,
                "{msr:#x} bit {bit}"
            );
        }
    }
}

#[test]
fn x2apic_ids_are_32_bits_and_the_logical_id_follows() {
    let mut apic = LocalApic::new(ApicId(0x12345), ProcessorRole::Application, &config());
    apic.set_apic_base(apic.apic_base() | BASE_X2APIC)
        .map(drop)
        .unwrap();
    assert_eq!(apic.read_msr(0x802, NOW), Ok(0x12345));
    assert_eq!(apic.read_msr(0x80d, NOW), Ok(0x1234_0020));
    assert!(
        Destination::wide(0x1234_0020, DestinationMode::Logical).matches(&apic.identity().unwrap())
    );
}

#[test]
fn logical_ids_of_the_xapic_are_software_defined() {
    let mut apic = enabled();
    assert_eq!(
        apic.write_mmio(0xd0, 0x0412_3456, NOW),
        Effect::IdentityChanged
    );
    assert_eq!(apic.read_mmio(0xd0, NOW), 0x0400_0000);
    assert_eq!(apic.write_mmio(0xe0, 0, NOW), Effect::IdentityChanged);
    assert_eq!(apic.read_mmio(0xe0, NOW), 0x0fff_ffff);
    let identity = apic.identity().unwrap();
    assert_eq!(
        identity.mode,
        IdentityMode::XApic {
            ldr: 0x0400_0000,
            dfr: 0x0fff_ffff
        }
    );
}

#[test]
fn an_icr_write_becomes_a_request() {
    let mut apic = enabled();
    assert_eq!(apic.write_mmio(0x310, 0x0700_0000, NOW), Effect::None);
    let request = |shorthand, destination, delivery, vector| {
        Effect::Ipi(IpiRequest {
            shorthand,
            message: Message {
                destination,
                delivery,
                vector: Vector(vector),
                trigger: Trigger::Edge,
            },
        })
    };
    let seven = Destination::wide(7, DestinationMode::Physical);
    assert_eq!(
        apic.write_mmio(0x300, 0x40f1, NOW),
        request(Shorthand::Explicit, seven, DeliveryMode::Fixed, 0xf1)
    );
    assert_eq!(apic.read_mmio(0x300, NOW), 0x40f1);
    assert_eq!(apic.read_mmio(0x310, NOW), 0x0700_0000);
    assert_eq!(
        apic.write_mmio(0x300, 0xc4500, NOW),
        request(Shorthand::AllButSelf, seven, DeliveryMode::Init, 0)
    );
    assert_eq!(
        apic.write_mmio(0x300, 0xc500, NOW),
        request(Shorthand::Explicit, seven, DeliveryMode::Init, 0),
        "INIT, level assert"
    );
    assert_eq!(
        apic.write_mmio(0x300, 0x8500, NOW),
        Effect::None,
        "INIT de-assert"
    );
    assert_eq!(
        apic.write_mmio(0x300, 0x469a, NOW),
        request(Shorthand::Explicit, seven, DeliveryMode::Startup, 0x9a)
    );
    assert_eq!(
        apic.write_mmio(0x300, 0x4400, NOW),
        request(Shorthand::Explicit, seven, DeliveryMode::Nmi, 0)
    );
    assert_eq!(
        apic.write_mmio(0x300, 0x4341, NOW),
        Effect::None,
        "reserved mode"
    );
    let mut wide = x2apic();
    assert_eq!(
        wide.write_msr(0x830, 0x0001_0002_0000_08f2, NOW),
        Ok(request(
            Shorthand::Explicit,
            Destination::wide(0x1_0002, DestinationMode::Logical),
            DeliveryMode::Fixed,
            0xf2
        ))
    );
    assert_eq!(wide.read_msr(0x830, NOW), Ok(0x0001_0002_0000_08f2));
}

#[test]
fn ipis_to_self_stay_local() {
    let mut apic = x2apic();
    assert_eq!(apic.write_msr(0x83f, 0x41, NOW), Ok(Effect::None));
    assert_eq!(apic.write_msr(0x830, 0x4_0042, NOW), Ok(Effect::None));
    assert_eq!(apic.write_msr(0x830, 3 << 32 | 0x43, NOW), Ok(Effect::None));
    assert_eq!(vectors_pending(&apic), [0x41, 0x42, 0x43]);
}

#[test]
fn illegal_vectors_are_errors() {
    let mut apic = enabled();
    let _ = apic.write_mmio(0x370, 0x55, NOW);
    assert_eq!(apic.write_mmio(0x300, 0x4005, NOW), Effect::None);
    assert_eq!(
        apic.next_vector(),
        Some(Vector(0x55)),
        "the error interrupt"
    );
    assert_eq!(apic.read_mmio(0x280, NOW), 0, "not latched yet");
    let _ = apic.write_mmio(0x280, 0, NOW);
    assert_eq!(apic.read_mmio(0x280, NOW), 0x20);
    let _ = apic.write_mmio(0x280, 0, NOW);
    assert_eq!(apic.read_mmio(0x280, NOW), 0);
    assert_eq!(apic.accept(Vector(15), Trigger::Edge), Acceptance::Refused);
    let _ = apic.write_mmio(0x280, 0, NOW);
    assert_eq!(apic.read_mmio(0x280, NOW), 0x40);
    let _ = apic.read_mmio(0x40, NOW);
    let _ = apic.write_mmio(0x280, 0, NOW);
    assert_eq!(apic.read_mmio(0x280, NOW), 0x80);
}

#[test]
fn an_error_entry_with_an_illegal_vector_ends() {
    let mut apic = enabled();
    let _ = apic.write_mmio(0x370, 0x05, NOW);
    let _ = apic.read_mmio(0x40, NOW);
    let _ = apic.write_mmio(0x280, 0, NOW);
    assert_eq!(apic.read_mmio(0x280, NOW), 0xc0);
    assert_eq!(apic.highest_pending(), None);
}

#[test]
fn level_triggered_vectors_broadcast_their_eoi() {
    let mut apic = enabled();
    let _ = apic.accept(Vector(0x41), Trigger::Level);
    assert_eq!(apic.read_mmio(0x1a0, NOW), 2);
    apic.acknowledge(Vector(0x41));
    assert_eq!(
        apic.write_mmio(0xb0, 0, NOW),
        Effect::EoiBroadcast(Vector(0x41))
    );
    let _ = apic.accept(Vector(0x41), Trigger::Edge);
    assert_eq!(apic.read_mmio(0x1a0, NOW), 0);
    apic.acknowledge(Vector(0x41));
    assert_eq!(apic.eoi(), Effect::None);
    let _ = apic.write_mmio(0xf0, 0x11ff, NOW);
    let _ = apic.accept(Vector(0x41), Trigger::Level);
    apic.acknowledge(Vector(0x41));
    assert_eq!(apic.eoi(), Effect::None, "suppressed");
}

#[test]
fn pins_do_what_their_entries_say() {
    let mut apic = enabled();
    assert_eq!(apic.deliver_local(LvtEntry::Lint0), LocalDelivery::Ignored);
    assert!(!apic.passes_ext_int());
    let _ = apic.write_mmio(0x350, 0x700, NOW);
    assert_eq!(apic.deliver_local(LvtEntry::Lint0), LocalDelivery::ExtInt);
    assert!(apic.passes_ext_int());
    let _ = apic.write_mmio(0x360, 0x400, NOW);
    assert_eq!(apic.deliver_local(LvtEntry::Lint1), LocalDelivery::Nmi);
    let _ = apic.write_mmio(0x350, 0x31, NOW);
    assert_eq!(
        apic.deliver_local(LvtEntry::Lint0),
        LocalDelivery::Fixed(Acceptance::New)
    );
    let _ = apic.write_mmio(0xf0, 0xff, NOW);
    assert_eq!(
        apic.read_mmio(0x360, NOW),
        0x1_0400,
        "software disable masks"
    );
    let _ = apic.write_mmio(0x360, 0x400, NOW);
    assert_eq!(apic.read_mmio(0x360, NOW), 0x1_0400, "and keeps masked");
}

#[test]
fn firmware_wiring_lets_the_pic_through() {
    let mut apic = LocalApic::new(ApicId(0), ProcessorRole::Bootstrap, &config());
    assert!(!apic.passes_ext_int());
    apic.wire_like_firmware();
    assert!(apic.passes_ext_int());
    assert_eq!(apic.deliver_local(LvtEntry::Lint1), LocalDelivery::Nmi);
    assert_eq!(apic.accept(Vector(0x40), Trigger::Edge), Acceptance::New);
}

#[test]
fn init_keeps_mode_and_id() {
    let mut apic = x2apic();
    let _ = apic.accept(Vector(0x40), Trigger::Edge);
    apic.set_tpr(0x20);
    apic.init_reset();
    assert_eq!(apic.mode(), ApicMode::X2Apic);
    assert_eq!(apic.read_msr(0x802, NOW), Ok(3));
    assert_eq!(apic.read_msr(0x808, NOW), Ok(0));
    assert_eq!(apic.read_msr(0x80f, NOW), Ok(0xff));
    assert_eq!(apic.highest_pending(), None);
    apic.power_up_reset();
    assert_eq!(apic.mode(), ApicMode::XApic);
    assert_eq!(apic.apic_base(), 0xfee0_0900);
}

#[test]
fn the_arbitration_priority_follows_its_formula() {
    let mut apic = enabled();
    apic.set_tpr(0x35);
    assert_eq!(apic.read_mmio(0x90, NOW), 0x35);
    let _ = apic.accept(Vector(0x62), Trigger::Edge);
    assert_eq!(apic.read_mmio(0x90, NOW), 0x60);
    apic.acknowledge(Vector(0x62));
    assert_eq!(
        apic.read_mmio(0x90, NOW),
        0x20,
        "0x30 and 0x60 have bit 5 in common"
    );
}

#[test]
fn taking_at_once_equals_accepting_and_acknowledging() {
    for (pending, in_service, tpr) in [
        (0, 0, 0),
        (0x41, 0, 0),
        (0x40, 0, 0),
        (0, 0x45, 0),
        (0, 0x3f, 0),
        (0, 0, 0x40),
    ] {
        let mut apic = enabled();
        if in_service != 0 {
            let _ = apic.accept(Vector(in_service), Trigger::Edge);
            apic.acknowledge(Vector(in_service));
        }
        if pending != 0 {
            let _ = apic.accept(Vector(pending), Trigger::Edge);
        }
        apic.set_tpr(tpr);
        let mut slow = apic;
        let _ = slow.accept(Vector(0x41), Trigger::Edge);
        let delivered = slow.next_vector() == Some(Vector(0x41)) && pending != 0x41;
        let before = apic;
        assert_eq!(
            apic.take_at_once(Vector(0x41)),
            delivered,
            "{pending} {in_service} {tpr}"
        );
        if delivered {
            slow.acknowledge(Vector(0x41));
            assert_eq!(apic, slow);
        } else {
            assert_eq!(apic, before);
        }
    }
    let mut disabled = LocalApic::new(ApicId(0), ProcessorRole::Bootstrap, &config());
    assert!(!disabled.take_at_once(Vector(0xf1)));
}
