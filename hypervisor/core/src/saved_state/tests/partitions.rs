//! A partition's state as a whole.

use super::*;
use crate::cpu_shape::CpuShape;
use crate::cpu_state::{Component, EventKind, PendingEvent, Shadow};
use crate::fakes::{cpuid_table, initial_extended};
use crate::id::{ApicId, VcpuId, Vector};
use crate::lifecycle::maker::TscScaling;
use crate::local_apic::{
    ExtendedDestination, LapicConfig, LapicFeatures, LapicState, LocalApic, ProcessorRole, Trigger,
};
use crate::msr::{Bank, BankConfig, ControlRules, Vendor};
use crate::paravirtual_clock::ClockState;
use crate::pc_board::{BoardConfig, PcBoard};
use crate::time::{Hertz, Instant};
use crate::vcpu_record::Activity;

const RATE: Hertz = Hertz::new(2_400_000_000).unwrap();
const NOW: Instant = Instant(1 << 36);
const SHAPE: Shape = Shape {
    ram: 64 << 20,
    vcpus: 2,
};

fn apic(id: u32) -> LapicState {
    let config = LapicConfig {
        timer_hz: RATE,
        tsc_hz: RATE,
        physical_bits: 40,
        features: LapicFeatures::X2APIC | LapicFeatures::TSC_DEADLINE,
    };
    let mut apic = LocalApic::new(ApicId(id), ProcessorRole::Bootstrap, &config);
    apic.wire_like_firmware();
    let _ = apic.accept(Vector(0x31), Trigger::Level);
    let _ = apic.accept(Vector(0xe1), Trigger::Edge);
    apic.acknowledge(Vector(0xe1));
    let _ = apic.write_mmio(0x320, 0x2_0040, NOW);
    let _ = apic.write_mmio(0x380, 100_000, NOW);
    apic.save(NOW)
}

fn vcpu(id: u16) -> SavedVcpu {
    let bank = Bank::new(BankConfig {
        vendor: Vendor::Amd,
        physical_bits: 40,
        microcode: 0,
        tsc: None,
    });
    let mut registers = crate::cpu_state::long_mode();
    registers.registers = [0x1122_3344_5566_7788; 16];
    registers.shadow = Shadow::Sti;
    registers.event = Some(PendingEvent {
        kind: EventKind::Exception,
        vector: 14,
        error_code: Some(2),
    });
    registers.deferred = Some(0x51);
    SavedVcpu {
        id: VcpuId(id),
        at: NOW,
        tsc_offset: 0u64.wrapping_sub(77),
        activity: Activity::Halted,
        nmi: true,
        ext_int: false,
        registers,
        extended: crate::cpu_state::ExtendedImage {
            xcr0: 7,
            in_use: 7,
            components: vec![Component {
                number: 2,
                bytes: vec![0x5a; 256],
            }],
            ..initial_extended()
        },
        apic: apic(id.into()),
        bank: bank.save(),
        clock: ClockState {
            system_time: 0x5001,
            steal_time: 0x6001,
            system_version: 4,
            stolen: 1234,
            ..ClockState::default()
        },
    }
}

fn board() -> PcBoard {
    let config = BoardConfig {
        tsc: RATE,
        seconds: 1_800_000_000,
        extended: ExtendedDestination::On,
        pm_timer_port: 0x608,
    };
    PcBoard::new(&config, NOW)
}

fn partition() -> SavedPartition {
    SavedPartition {
        shape: SHAPE,
        time: SavedTime {
            tsc: RATE,
            at: NOW,
            elapsed: 5_000_000,
            seconds: 1_800_000_000,
        },
        board: board().save(NOW),
        vcpus: vec![vcpu(0), vcpu(1)],
    }
}

/// Whether a partition takes it, as the restore of one asks.
fn check(state: &SavedPartition) -> Result<(), BadState> {
    let rules = ControlRules::new(&cpuid_table(&CpuShape::flat(2)));
    for vcpu in &state.vcpus {
        vcpu.check(&Limits {
            rules: &rules,
            physical_bits: 40,
            lapic: LapicFeatures::X2APIC | LapicFeatures::TSC_DEADLINE,
            apic_id: ApicId(vcpu.id.0.into()),
        })?;
    }
    board().restore(&state.board, NOW)?;
    Ok(())
}

#[test]
fn a_partition_comes_back_from_its_bytes() {
    let state = partition();
    let bytes = state.save().unwrap();
    assert!(bytes.len() as u64 <= SavedPartition::most_bytes(2));
    let back = SavedPartition::load(&bytes, &SHAPE).unwrap();
    assert_eq!(back, state);
    assert_eq!(check(&back), Ok(()));
    assert_eq!(back.save().unwrap(), bytes);
}

#[test]
fn a_state_of_another_partition_is_refused() {
    let bytes = partition().save().unwrap();
    for shape in [
        Shape { vcpus: 1, ..SHAPE },
        Shape { vcpus: 3, ..SHAPE },
        Shape { ram: 1, ..SHAPE },
    ] {
        let refused = SavedPartition::load(&bytes, &shape);
        assert_eq!(refused, Err(BadState::Shape(SHAPE)));
    }
    let mut other = partition();
    other.vcpus.swap(0, 1);
    assert!(SavedPartition::load(&other.save().unwrap(), &SHAPE).is_err());
    let mut other = partition();
    other.vcpus.pop();
    let refused = SavedPartition::load(&other.save().unwrap(), &SHAPE);
    assert_eq!(refused, Err(BadState::Short(Kind::Vcpu)));
    let mut other = partition();
    other.vcpus.push(vcpu(2));
    let refused = SavedPartition::load(&other.save().unwrap(), &SHAPE);
    assert_eq!(refused, Err(BadState::Rest));
}

#[test]
fn a_state_that_was_cut_off_or_damaged_is_refused() {
    let bytes = partition().save().unwrap();
    for length in 0..bytes.len() {
        assert!(SavedPartition::load(&bytes[..length], &SHAPE).is_err());
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(SavedPartition::load(&damaged, &SHAPE).is_err(), "{at}");
    }
}

#[test]
fn a_state_that_was_forged_is_refused_or_one_that_can_be() {
    let bytes = partition().save().unwrap();
    let (mut refused, mut taken) = (0, 0);
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut forged = bytes.clone();
            forged[at] ^= flip;
            let state = SavedPartition::load(&sealed(forged), &SHAPE);
            match state.and_then(|state| check(&state).map(|()| state)) {
                Ok(state) => {
                    taken += 1;
                    // What is taken can be saved again.
                    let again = SavedPartition::load(&state.save().unwrap(), &SHAPE);
                    assert_eq!(again, Ok(state));
                }
                Err(_) => refused += 1,
            }
        }
    }
    // Most bytes are numbers that can be anything.
    assert!(refused > 1000 && taken > 1000, "{refused} {taken}");
}

#[test]
fn time_that_ran_at_nearly_the_same_rate_is_not_shorter() {
    let time = partition().time;
    assert_eq!(time.elapsed_at(RATE), 5_000_000);
    let faster = Hertz::new(RATE.get() + RATE.get() / 2000).unwrap();
    let elapsed = time.elapsed_at(faster);
    assert!((5_002_500..5_002_502).contains(&elapsed), "{elapsed}");
    let much_faster = Hertz::new(RATE.get() + RATE.get() / 100).unwrap();
    let rate = |host, scaling| time.rate_here(host, scaling);
    for scaling in [TscScaling::None, TscScaling::Any] {
        assert_eq!(rate(RATE, scaling), Ok(RATE));
        assert_eq!(rate(faster, scaling), Ok(faster));
    }
    let refused = Err(BadState::Rate(RATE));
    assert_eq!(rate(much_faster, TscScaling::None), refused);
    assert_eq!(rate(much_faster, TscScaling::Any), Ok(RATE));
    let absurd = Hertz::new(1 << 60).unwrap();
    assert_eq!(rate(absurd, TscScaling::Any), refused);
}

#[test]
fn refusals_are_sentences() {
    for error in [
        BadState::NotAState,
        BadState::Form(2),
        BadState::Checksum,
        BadState::Short(Kind::Bank),
        BadState::Shape(SHAPE),
        BadState::Rate(RATE),
        BadState::Value(StateError::Impossible("CR0")),
    ] {
        let text = error.to_string();
        assert!(
            text.split(' ').count() > 7 && text.contains("saved state"),
            "{text}"
        );
    }
}
