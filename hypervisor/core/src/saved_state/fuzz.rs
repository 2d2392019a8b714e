//! Entry point of the fuzzer: whatever bytes come as a state, it is refused, or taken without harm.
//!
//! The checksum is made right first, as an enemy would.

use alloc::vec;
use alloc::vec::Vec;

use super::bytes::sealed;
use super::{BadState, Limits, SavedPartition, SavedTime, SavedVcpu, Shape};
use crate::console_page::Unconnected;
use crate::cpu_shape::CpuShape;
use crate::cpu_state::{CpuState, ExtendedImage, SegmentRegister, segment};
use crate::cpuid::{CpuidFeatures, CpuidPolicy, CpuidTable, HypervisorLeaves};
use crate::guest_tsc::GuestTsc;
use crate::id::{ApicId, Gsi, VcpuId};
use crate::level::Level;
use crate::lifecycle::maker::TscScaling;
use crate::local_apic::{
    ExtendedDestination, LapicConfig, LapicFeatures, LocalApic, ProcessorRole,
};
use crate::msr::{Bank, BankConfig, ControlRules, Vendor};
use crate::paravirtual_clock::ClockState;
use crate::pc_board::{BoardConfig, PcBoard};
use crate::time::{Hertz, Instant, Ticks};
use crate::vcpu_record::Activity;

const RATE: Hertz = match Hertz::new(2_400_000_000) {
    Some(rate) => rate,
    None => unreachable!(),
};
const NOW: Instant = Instant(1 << 40);
const PHYSICAL_BITS: u8 = 40;
const FEATURES: LapicFeatures = LapicFeatures::X2APIC.union(LapicFeatures::TSC_DEADLINE);
const SHAPE: Shape = Shape {
    ram: 2 << 20,
    vcpus: 1,
};

fn rules() -> ControlRules {
    let policy = CpuidPolicy {
        shape: CpuShape::flat(1),
        features: CpuidFeatures::all(),
        physical_bits: PHYSICAL_BITS,
        xcr0: 7,
        tsc: Some(RATE),
        lapic_timer: RATE,
        hypervisor: HypervisorLeaves {
            interface: [0; 4],
            compatible: None,
        },
    };
    // A CPU that has everything.
    let host = |leaf, subleaf| match (leaf, subleaf) {
        (0xd, 0) => [7, 0x340, 0x340, 0],
        (0xd, 2) => [0x100, 0x240, 0, 0],
        (0xd, _) => [0; 4],
        _ => [u32::MAX; 4],
    };
    ControlRules::new(&CpuidTable::new(&policy, &host))
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

fn apic() -> LocalApic {
    let config = LapicConfig {
        timer_hz: RATE,
        tsc_hz: RATE,
        physical_bits: PHYSICAL_BITS,
        features: FEATURES,
    };
    let mut apic = LocalApic::new(ApicId(0), ProcessorRole::Bootstrap, &config);
    apic.wire_like_firmware();
    apic
}

fn bank() -> Bank {
    Bank::new(BankConfig {
        vendor: Vendor::Amd,
        physical_bits: PHYSICAL_BITS,
        microcode: 0,
        tsc: Some(RATE),
    })
}

/// Flat protected mode.
fn registers() -> CpuState {
    let register = |attributes, limit| SegmentRegister {
        selector: 8,
        attributes,
        limit,
        base: 0,
    };
    let mut state = CpuState {
        rip: 0x10_0000,
        rflags: 2,
        cr0: 0x11,
        segments: [register(0xc93, u32::MAX); 6],
        tr: register(0x8b, 0xffff),
        dr6: 0xffff_0ff0,
        dr7: 0x400,
        pat: 0x0007_0406_0007_0406,
        ..CpuState::default()
    };
    if let Some(code) = state.segments.get_mut(segment::CS) {
        *code = register(0xc9b, u32::MAX);
    }
    state
}

/// A state to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let vcpu = SavedVcpu {
        id: VcpuId(0),
        at: NOW,
        tsc_offset: 0,
        activity: Activity::Running,
        nmi: false,
        ext_int: false,
        registers: registers(),
        extended: ExtendedImage {
            xcr0: 1,
            in_use: 0,
            legacy: [0; 512],
            components: Vec::new(),
        },
        apic: apic().save(NOW),
        bank: bank().save(),
        clock: ClockState::default(),
    };
    let state = SavedPartition {
        shape: SHAPE,
        time: SavedTime {
            tsc: RATE,
            at: NOW,
            elapsed: 1 << 30,
            seconds: 1_800_000_000,
        },
        board: board().save(NOW),
        vcpus: vec![vcpu],
    };
    state.save().into_iter().collect()
}

/// Takes any bytes; panics where a state is taken that cannot be used or saved again.
pub fn fuzz_state(bytes: &[u8]) {
    let bytes = sealed(bytes.to_vec());
    let Ok(state) = SavedPartition::load(&bytes, &SHAPE) else {
        return;
    };
    assert!(
        state.save().is_ok_and(|again| again == bytes),
        "what was loaded is saved as something else"
    );
    let _ = state
        .time
        .rate_here(RATE, TscScaling::Any)
        .map(|_| state.time.elapsed_at(RATE));
    let _refused = restore(&state);
}

fn restore(state: &SavedPartition) -> Result<(), BadState> {
    let rules = rules();
    for vcpu in &state.vcpus {
        vcpu.check(&Limits {
            rules: &rules,
            physical_bits: PHYSICAL_BITS,
            lapic: FEATURES,
            apic_id: ApicId(0),
        })?;
        let mut apic = apic();
        apic.set_guest_tsc(GuestTsc::with_offset(vcpu.tsc_offset), NOW);
        let restored = apic.restore(&vcpu.apic, NOW);
        assert!(restored.is_ok(), "what was checked is refused");
        assert!(bank().restore(&vcpu.bank).is_ok(), "MSRs are refused");
        use_apic(&mut apic);
    }
    let mut board = board();
    board.restore(&state.board, NOW)?;
    use_board(&mut board);
    Ok(())
}

fn use_apic(apic: &mut LocalApic) {
    for step in 0..8 {
        let now = NOW + Ticks(1 << (step * 6));
        apic.expire(now);
        if let Some(vector) = apic.next_vector() {
            apic.acknowledge(vector);
        }
        let _ = (apic.eoi(), apic.deadline(), apic.passes_ext_int());
        let again = apic.save(now);
        assert!(
            again.check(FEATURES, PHYSICAL_BITS).is_ok(),
            "a state that is saved could not be restored"
        );
    }
}

fn use_board(board: &mut PcBoard) {
    let mut now = NOW;
    for step in 0..8 {
        now = now + Ticks(1 << (step * 5));
        board.expire(now, |_| {});
        for port in [0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x42, 0x61, 0x71, 0x608] {
            let _ = board.read_port(port, 1, now, |_| {});
        }
        for pin in 0..24 {
            let _ = board.set_line(Gsi(pin), Level::High, |_| {});
            let _ = board.set_line(Gsi(pin), Level::Low, |_| {});
        }
        let _ = board.acknowledge();
        board.service_serial(now, &mut Unconnected, |_| {});
        let _ = (board.deadline(), board.serial_deadline());
        let again = board.save(now);
        assert!(
            board.restore(&again, now).is_ok(),
            "a board that is saved could not be restored"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_is_a_state_that_is_taken() {
        let seeds = seeds();
        assert_eq!(seeds.len(), 1);
        for seed in seeds {
            let state = SavedPartition::load(&seed, &SHAPE).unwrap();
            assert_eq!(restore(&state), Ok(()));
            fuzz_state(&seed);
            fuzz_state(&seed[..seed.len() / 2]);
        }
        fuzz_state(&[]);
    }
}
