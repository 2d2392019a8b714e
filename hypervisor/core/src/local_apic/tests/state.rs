use super::*;

fn busy() -> LocalApic {
    let mut apic = x2apic();
    let _ = apic.accept(Vector(0x41), Trigger::Level);
    apic.acknowledge(Vector(0x41));
    let _ = apic.accept(Vector(0x92), Trigger::Edge);
    let _ = apic.accept(Vector(0x33), Trigger::Edge);
    apic.set_tpr(0x51);
    for (msr, value) in [
        (0x832, 0x2_0040),
        (0x83e, 0b0001),
        (0x838, 1000),
        (0x835, 0x700),
    ] {
        apic.write_msr(msr, value, NOW).map(drop).unwrap();
    }
    apic
}

#[test]
fn a_saved_apic_goes_on_elsewhere() {
    let mut apic = busy();
    let at = NOW + Ticks(8000);
    let state = apic.save(at);
    let mut copy = LocalApic::new(ApicId(0), ProcessorRole::Application, &config());
    let elsewhere = Instant(77);
    copy.restore(&state, elsewhere).unwrap();
    assert_eq!(copy.save(elsewhere), state);
    assert_eq!(copy.next_vector(), Some(Vector(0x92)));
    assert_eq!(
        copy.deadline()
            .since(elsewhere)
            .0
            .abs_diff(apic.deadline().since(at).0),
        0
    );
    assert_eq!(copy.eoi(), Effect::EoiBroadcast(Vector(0x41)));
    let due = copy.deadline();
    copy.expire(due);
    assert_eq!(
        copy.deadline(),
        due + Ticks(16_000),
        "the period is the initial count again"
    );
}

#[test]
fn a_tsc_deadline_survives() {
    let mut apic = enabled();
    let _ = apic.write_mmio(0x320, 0x4_0040, NOW);
    let _ = apic.write_msr(0x6e0, NOW.0 + 900, NOW);
    let state = apic.save(NOW);
    let mut copy = LocalApic::new(ApicId(3), ProcessorRole::Bootstrap, &config());
    let elsewhere = Instant(10);
    copy.set_guest_tsc(GuestTsc::with_offset(NOW.0 - 10), elsewhere);
    copy.restore(&state, elsewhere).unwrap();
    assert_eq!(copy.deadline(), elsewhere + Ticks(900));
}

#[test]
fn damaged_states_are_refused_and_change_nothing() {
    let mut apic = busy();
    let good = apic.save(NOW);
    let mut bad = [good; 7];
    bad[0].base = DEFAULT_BASE | BASE_X2APIC;
    bad[1].base |= 1;
    bad[2].irr.0[0] |= 1;
    bad[3].lvt[0] |= 1 << 31;
    bad[4].timer_divide = 4;
    bad[5].timer_remaining = u64::MAX;
    bad[6].svr = 0xff;
    for state in bad {
        let before = apic;
        assert!(apic.restore(&state, NOW).is_err());
        assert_eq!(apic, before);
    }
    let plain = LapicConfig {
        features: LapicFeatures::empty(),
        ..config()
    };
    let mut apic = LocalApic::new(ApicId(0), ProcessorRole::Bootstrap, &plain);
    assert_eq!(
        apic.restore(&good, NOW),
        Err(StateError::MissingFeature("x2APIC"))
    );
}
