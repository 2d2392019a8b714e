use super::*;

fn with_timer(lvt: u32, divide: u32) -> LocalApic {
    let mut apic = enabled();
    assert_eq!(apic.write_mmio(0x3e0, divide, NOW), Effect::TimerChanged);
    assert_eq!(apic.write_mmio(0x320, lvt, NOW), Effect::TimerChanged);
    apic
}

#[test]
fn one_shot_fires_once() {
    let mut apic = with_timer(0x40, 0b1011);
    assert_eq!(apic.write_mmio(0x380, 1000, NOW), Effect::TimerChanged);
    assert_eq!(apic.deadline(), NOW + Ticks(4001));
    assert_eq!(apic.read_mmio(0x390, NOW + Ticks(2000)), 500);
    apic.expire(NOW + Ticks(4000));
    assert_eq!(apic.next_vector(), None);
    apic.expire(NOW + Ticks(4001));
    assert_eq!(apic.next_vector(), Some(Vector(0x40)));
    assert_eq!(apic.deadline(), Instant::NEVER);
    assert_eq!(apic.read_mmio(0x390, NOW + Ticks(9000)), 0);
    assert_eq!(apic.read_mmio(0x380, NOW), 1000);
}

#[test]
fn every_divider_divides() {
    for (code, divider) in [
        (0b0000, 2),
        (0b0001, 4),
        (0b0010, 8),
        (0b0011, 16),
        (0b1000, 32),
        (0b1001, 64),
        (0b1010, 128),
        (0b1011, 1),
    ] {
        let mut apic = with_timer(0x40, code);
        let _ = apic.write_mmio(0x380, 1000, NOW);
        let at = apic.deadline().since(NOW).0;
        assert_eq!(at, 4000 * divider + 1, "code {code:#b}");
        assert_eq!(apic.read_mmio(0x390, NOW), 1000);
        assert_eq!(apic.read_mmio(0x390, NOW + Ticks(2000 * divider)), 500);
    }
}

#[test]
fn periodic_deadlines_do_not_drift() {
    // A TSC that is no multiple of the timer.
    let odd = LapicConfig {
        tsc_hz: Hertz::new(2_999_999_983).unwrap(),
        ..config()
    };
    let mut apic = LocalApic::new(ApicId(0), ProcessorRole::Bootstrap, &odd);
    let _ = apic.write_mmio(0xf0, 0x1ff, NOW);
    let _ = apic.write_mmio(0x3e0, 0b1011, NOW);
    let _ = apic.write_mmio(0x320, 0x2_0040, NOW);
    let _ = apic.write_mmio(0x380, 999, NOW);
    for _ in 0..1_000_000 {
        let due = apic.deadline();
        apic.expire(due);
        assert_eq!(apic.next_vector(), Some(Vector(0x40)));
        apic.acknowledge(Vector(0x40));
        let _ = apic.eoi();
    }
    let exact = 1_000_001u128 * 999 * 2_999_999_983 / u128::from(HZ);
    let passed = u128::from(apic.deadline().since(NOW).0);
    assert!(passed.abs_diff(exact) <= 1, "{passed} {exact}");
}

#[test]
fn missed_periods_are_one_interrupt() {
    let mut apic = with_timer(0x2_0040, 0b1011);
    let _ = apic.write_mmio(0x380, 1000, NOW);
    let late = NOW + Ticks(4000 * 7 + 800);
    apic.expire(late);
    assert_eq!(vectors_pending(&apic), [0x40]);
    assert_eq!(apic.deadline(), NOW + Ticks(4000 * 8 + 1));
    assert_eq!(apic.read_mmio(0x390, late), 800);
}

#[test]
fn a_masked_timer_counts_silently() {
    let mut apic = with_timer(0x3_0040, 0b1011);
    let _ = apic.write_mmio(0x380, 1000, NOW);
    assert_eq!(apic.deadline(), Instant::NEVER);
    assert_eq!(apic.read_mmio(0x390, NOW + Ticks(4000 * 2 + 1200)), 700);
    let later = NOW + Ticks(4000 * 2 + 1200);
    let _ = apic.write_mmio(0x320, 0x2_0040, later);
    assert_eq!(apic.next_vector(), None);
    assert_eq!(apic.deadline(), NOW + Ticks(4000 * 3 + 1));
}

#[test]
fn the_divider_changes_a_running_count() {
    let mut apic = with_timer(0x40, 0b1011);
    let _ = apic.write_mmio(0x380, 1000, NOW);
    let half = NOW + Ticks(2000);
    let _ = apic.write_mmio(0x3e0, 0b0000, half);
    assert_eq!(apic.read_mmio(0x390, half), 500);
    assert_eq!(apic.deadline(), half + Ticks(4001));
}

#[test]
fn zero_stops_the_timer() {
    let mut apic = with_timer(0x40, 0b1011);
    let _ = apic.write_mmio(0x380, 1000, NOW);
    let _ = apic.write_mmio(0x380, 0, NOW);
    assert_eq!(apic.deadline(), Instant::NEVER);
}

#[test]
fn tsc_deadlines_follow_the_guests_clock() {
    let mut apic = with_timer(0x4_0040, 0b1011);
    apic.set_guest_tsc(GuestTsc::with_offset(0u64.wrapping_sub(1_000_000)), NOW);
    let target = NOW.0 - 1_000_000 + 500;
    assert_eq!(apic.write_msr(0x6e0, target, NOW), Ok(Effect::TimerChanged));
    assert_eq!(apic.deadline(), NOW + Ticks(500));
    assert_eq!(apic.read_msr(0x6e0, NOW), Ok(target));
    let _ = apic.write_mmio(0x380, 5, NOW);
    assert_eq!(apic.deadline(), NOW + Ticks(500), "the count is ignored");
    apic.set_guest_tsc(GuestTsc::with_offset(0u64.wrapping_sub(1_000_100)), NOW);
    assert_eq!(apic.deadline(), NOW + Ticks(600));
    apic.expire(NOW + Ticks(600));
    assert_eq!(apic.next_vector(), Some(Vector(0x40)));
    assert_eq!(apic.read_msr(0x6e0, NOW + Ticks(600)), Ok(0));
    assert_eq!(apic.deadline(), Instant::NEVER);
    let _ = apic.write_msr(0x6e0, 1, NOW);
    assert_eq!(apic.deadline(), NOW, "a target in the past fires at once");
    let _ = apic.write_msr(0x6e0, u64::MAX, NOW);
    assert!(apic.deadline() > NOW + Ticks(1 << 62), "far, not past");
    let _ = apic.write_msr(0x6e0, 0, NOW);
    assert_eq!(apic.deadline(), Instant::NEVER);
}

#[test]
fn changing_to_or_from_tsc_deadline_mode_disarms() {
    let mut apic = with_timer(0x40, 0b1011);
    let _ = apic.write_mmio(0x380, 1000, NOW);
    let _ = apic.write_mmio(0x320, 0x4_0040, NOW);
    assert_eq!(apic.deadline(), Instant::NEVER);
    let _ = apic.write_msr(0x6e0, NOW.0 + 10, NOW);
    assert_eq!(apic.deadline(), NOW + Ticks(10));
    let _ = apic.write_mmio(0x320, 0x40, NOW);
    assert_eq!(apic.deadline(), Instant::NEVER);
    let _ = apic.write_msr(0x6e0, NOW.0 + 10, NOW);
    assert_eq!(apic.deadline(), Instant::NEVER, "ignored in other modes");
    assert_eq!(apic.read_msr(0x6e0, NOW), Ok(0));
}

#[test]
fn without_the_feature_there_is_no_tsc_deadline() {
    let plain = LapicConfig {
        features: LapicFeatures::X2APIC,
        ..config()
    };
    let mut apic = LocalApic::new(ApicId(0), ProcessorRole::Bootstrap, &plain);
    assert_eq!(apic.write_msr(0x6e0, 1, NOW), Err(GuestFault::GP0));
    assert_eq!(apic.read_msr(0x6e0, NOW), Err(GuestFault::GP0));
    let _ = apic.write_mmio(0xf0, 0x1ff, NOW);
    let _ = apic.write_mmio(0x320, 0x4_0040, NOW);
    assert_eq!(apic.read_mmio(0x320, NOW), 0x40);
}

#[test]
fn arming_anew_does_not_take_back_what_was_due() {
    let mut apic = with_timer(0x4_0040, 0b1011);
    let _ = apic.write_msr(0x6e0, NOW.0 + 10, NOW);
    let late = NOW + Ticks(20);
    let _ = apic.write_msr(0x6e0, NOW.0 + 1000, late);
    assert_eq!(apic.next_vector(), Some(Vector(0x40)));
    assert_eq!(apic.deadline(), NOW + Ticks(1000));
    let mut apic = with_timer(0x40, 0b1011);
    let _ = apic.write_mmio(0x380, 10, NOW);
    let _ = apic.write_mmio(0x380, 10, NOW + Ticks(100));
    assert_eq!(apic.next_vector(), Some(Vector(0x40)));
}
