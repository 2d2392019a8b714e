//! A guest that works with all its registers and two timers is paused, saved, and goes on elsewhere.
//!
//! What it has computed in the end must be what it computes without a pause; its interrupts must come on; and its clocks must
//! go on from where they were, as if no time had passed between the save and the restore.

use core::cell::UnsafeCell;

use micro_guests::abi::host::PartitionState;
use micro_guests::abi::hypercall::{Number, PartitionAction, Status};
use micro_guests::abi::start::StartInfo;
use micro_guests::{check, cpu, hypercall, result};

use crate::made::{MIB, Made, control, create, info_of, left};
use crate::worker::{
    CLOCK, DONE, FAULT, GATE, LOG, LOG_ENTRIES, MEGABYTES, PIT_TICKS, RESULTS, RESULTS_END, TICKS,
    VCPUS, WENT_BACK, start,
};

/// Ticks before it is paused.
const BEFORE: u64 = 8;

/// Pages for a state.
const PAGES: usize = 8;

#[repr(C, align(4096))]
struct Buffer(UnsafeCell<[[u8; 4096]; PAGES]>);

// SAFETY: the guest has one vCPU.
unsafe impl Sync for Buffer {}

static STATE: Buffer = Buffer(UnsafeCell::new([[0; 4096]; PAGES]));

impl Buffer {
    fn page(&self, number: u64) -> u64 {
        check!(number < PAGES as u64, "the state is too long");
        self.0.get().addr() as u64 + number * 4096
    }

    fn byte(&self, at: u64) -> *mut u8 {
        (self.page(at / 4096) + at % 4096) as *mut u8
    }

    fn flip(&self, at: u64, bits: u8) {
        // SAFETY: inside of the buffer, which nobody else uses.
        unsafe { *self.byte(at) ^= bits };
    }

    fn number(&self, at: u64) -> u64 {
        // SAFETY: as above.
        u64::from_le_bytes(core::array::from_fn(|byte| unsafe {
            *self.byte(at + byte as u64)
        }))
    }

    fn set_number(&self, at: u64, number: u64) {
        for (byte, at) in number.to_le_bytes().into_iter().zip(at..) {
            // SAFETY: as above.
            unsafe { *self.byte(at) = byte };
        }
    }

    /// Makes the checksum right again: the CRC-32 of all before it.
    fn seal(&self, length: u64) {
        let mut sum = u32::MAX;
        for at in 0..length - 4 {
            // SAFETY: as above.
            sum ^= u32::from(unsafe { *self.byte(at) });
            for _ in 0..8 {
                sum = sum >> 1 ^ if sum & 1 != 0 { 0xedb8_8320 } else { 0 };
            }
        }
        for (byte, at) in (!sum).to_le_bytes().into_iter().zip(length - 4..) {
            // SAFETY: as above.
            unsafe { *self.byte(at) = byte };
        }
    }
}

/// The whole of it: a guest without a pause, one that goes on elsewhere, and once more where it was.
pub fn transfer(info: &StartInfo) {
    let before = left();
    let undisturbed = start(0);
    finish(undisturbed);
    let right = Computed::of(undisturbed);
    end(undisturbed);

    let first = start(0);
    let m0 = cpu::rdtsc();
    let seen = first.get(TICKS);
    spin(|| first.get(TICKS) >= BEFORE && first.get(TICKS) > seen);
    control(first, PartitionAction::Pause);
    settled(first, PartitionState::Paused);
    check!(first.get(DONE) == 0, "it was done before it was paused");
    let length = save(first);
    let w0 = cpu::rdtsc();
    result("bytes", length);
    let ticks = first.get(TICKS);

    let second = create(MEGABYTES, VCPUS, 1);
    for at in (0..MEGABYTES * MIB).step_by(8) {
        second.put(at, first.get(at));
    }
    for at in (0..length).step_by(97) {
        STATE.flip(at, 0x40);
        let refused = restore(second, length);
        check!(
            refused == Status::BadArgument as u64,
            "byte {at} was changed, and the answer was {refused}"
        );
        STATE.flip(at, 0x40);
    }
    while cpu::rdtsc() - w0 < info.tsc_hz / 5 {
        core::hint::spin_loop();
    }
    let w1 = cpu::rdtsc();
    let status = restore(second, length);
    check!(status == 0, "a restore was refused with status {status}");
    settled(second, PartitionState::Paused);
    check!(second.get(TICKS) == ticks, "it ran while it was paused");
    control(second, PartitionAction::Resume);
    spin(|| second.get(TICKS) > ticks);
    let m1 = cpu::rdtsc();
    let around =
        |guest: Made| [ticks - 1, ticks].map(|tick| guest.get(LOG + tick % LOG_ENTRIES * 8));
    let [old, new] = around(second);
    check!(new > old, "its TSC went back from {old} to {new}");
    let (passed, at_most) = (new - old, (m1 - m0) - (w1 - w0));
    check!(
        passed <= at_most,
        "its TSC ran on by {passed} from save to restore, more than {at_most}"
    );
    let [old, new] = [clock(first, old), clock(second, new)];
    check!(new > old, "its clock went back from {old} ns to {new} ns");
    let at_most = nanoseconds(at_most, info) + 1000;
    check!(
        new - old <= at_most,
        "its clock ran on by {} ns, more than {at_most}",
        new - old
    );
    finish(second);
    check!(
        Computed::of(second) == right,
        "elsewhere it computes something else"
    );

    // The first one is where it was when it was saved; so is its memory.
    control(first, PartitionAction::Stop);
    settled(first, PartitionState::Stopped);
    let status = restore(first, length);
    check!(
        status == 0,
        "a restore after a stop was refused with status {status}"
    );
    control(first, PartitionAction::Resume);
    finish(first);
    check!(
        Computed::of(first) == right,
        "after a stop it computes something else"
    );
    end(first);
    end(second);
    let after = left();
    check!(after == before, "{after:x?} are left of {before:x?}");
}

/// Where a state has the rate of the TSC: behind its head, the head of its first section, bytes of RAM, and the number of vCPUs.
const RATE_AT: u64 = 16 + 8 + 8 + 2;

/// A guest whose state says that its TSC ran at 5/2 of the rate that it has here goes on at that rate, and its timers at theirs.
pub fn rates(scaled: bool) {
    const TICKS_COUNTED: u64 = 40;
    let first = start(0);
    spin(|| first.get(TICKS) >= BEFORE);
    control(first, PartitionAction::Pause);
    settled(first, PartitionState::Paused);
    let length = save(first);
    let shown = first.get(LOG + (first.get(TICKS) - 1) % LOG_ENTRIES * 8);
    let host = STATE.number(RATE_AT);
    STATE.set_number(RATE_AT, host * 5 / 2);
    STATE.seal(length);
    let second = create(MEGABYTES, VCPUS, 1);
    for at in (0..MEGABYTES * MIB).step_by(8) {
        second.put(at, first.get(at));
    }
    let status = restore(second, length);
    if !scaled {
        check!(
            status == Status::BadArgument as u64,
            "a guest whose TSC cannot run at its rate was restored: {status}"
        );
        second.destroy();
        return end(first);
    }
    check!(status == 0, "a restore was refused with status {status}");
    settled(second, PartitionState::Paused);
    let ticks = second.get(TICKS);
    control(second, PartitionAction::Resume);
    let reach = |tick: u64| {
        spin(|| second.get(TICKS) > tick);
        let here = cpu::rdtsc();
        (here, second.get(LOG + tick % LOG_ENTRIES * 8))
    };
    let (from, there) = reach(ticks + 1);
    check!(there > shown, "its TSC went back from {shown} to {there}");
    let (to, later) = reach(ticks + 1 + TICKS_COUNTED);
    let (here, there) = (to - from, later - there);
    result("host_ticks", here);
    result("guest_ticks", there);
    check!(
        there.abs_diff(here * 5 / 2) < here / 8,
        "its TSC got on by {there} where the host's did by {here}"
    );
    let [old, new] = [later - there, later].map(|tsc| clock(second, tsc));
    let passed = u128::from(here) * 1_000_000_000 / u128::from(host);
    check!(
        (new - old).abs_diff(passed as u64) < passed as u64 / 8,
        "its clock got on by {} ns in {passed} ns",
        new - old
    );
    finish(second);
    end(second);
    end(first);
}

/// States that somebody has changed and sealed again are refused, or run as well as they can; nobody else notices.
pub fn forged(rounds: u64, info: &StartInfo) {
    let honest = start(0);
    spin(|| honest.get(TICKS) >= BEFORE);
    control(honest, PartitionAction::Pause);
    settled(honest, PartitionState::Paused);
    let length = save(honest);
    let victim = create(MEGABYTES, VCPUS, 1);
    let (mut refused, mut crashed) = (0, 0);
    let mut random = 1_u64;
    for round in 0..rounds {
        for at in (0..MEGABYTES * MIB).step_by(8) {
            if victim.get(at) != honest.get(at) {
                victim.put(at, honest.get(at));
            }
        }
        // One to four bits, anywhere.
        let mut flips = [(0, 0); 4];
        for flip in flips.iter_mut().take(1 + round as usize % 4) {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *flip = (16 + (random >> 33) % (length - 20), 1 << (random >> 30 & 7));
        }
        for (at, bits) in flips {
            STATE.flip(at, bits);
        }
        STATE.seal(length);
        let status = restore(victim, length);
        if status == 0 {
            settled(victim, PartitionState::Paused);
            control(victim, PartitionAction::Resume);
            let start = cpu::rdtsc();
            while cpu::rdtsc() - start < info.tsc_hz / 500 {
                core::hint::spin_loop();
            }
            // It may have ended by itself meanwhile.
            let _ = hypercall::call(
                Number::PartitionControl,
                [victim.id, PartitionAction::Stop as u64, 0, 0],
            );
            spin(|| info_of(victim.id).settled == 1);
            crashed += u64::from(info_of(victim.id).state == PartitionState::Crashed as u32);
        } else {
            check!(
                status == Status::BadArgument as u64,
                "round {round}: the answer was {status}"
            );
            refused += 1;
        }
        for (at, bits) in flips {
            STATE.flip(at, bits);
        }
    }
    result("refused", refused);
    result("crashed", crashed);
    check!(refused > rounds / 20, "only {refused} states were refused");
    check!(refused < rounds, "all states were refused");
    victim.destroy();
    // The one that all were made of has not noticed.
    control(honest, PartitionAction::Resume);
    finish(honest);
    end(honest);
}

/// What a worker has left.
#[derive(PartialEq, Eq)]
struct Computed(u64);

impl Computed {
    fn of(guest: Made) -> Self {
        let words = (RESULTS..RESULTS_END).step_by(8);
        let sum = words.fold(1, |sum: u64, at| {
            sum.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) ^ guest.get(at)
        });
        Self(sum)
    }
}

/// Lets the worker go on to its end, and waits until it is done and its interrupts still come.
fn finish(guest: Made) {
    guest.put(GATE, 1);
    spin(|| {
        check!(guest.get(FAULT) == 0, "the worker has met an exception");
        guest.get(DONE) != 0
    });
    let (ticks, pit) = (guest.get(TICKS), guest.get(PIT_TICKS));
    spin(|| guest.get(TICKS) > ticks + 2 && guest.get(PIT_TICKS) > pit + 1);
    check!(guest.get(FAULT) == 0, "the worker has met an exception");
    check!(guest.get(WENT_BACK) == 0, "its TSC went back");
}

fn end(guest: Made) {
    control(guest, PartitionAction::Stop);
    settled(guest, PartitionState::Stopped);
    guest.destroy();
}

fn settled(guest: Made, state: PartitionState) {
    spin(|| {
        let info = info_of(guest.id);
        info.settled == 1 && info.state == state as u32
    });
}

/// Waits without sleeping; the runner's patience ends this where it never comes true.
fn spin(condition: impl Fn() -> bool) {
    while !condition() {
        core::hint::spin_loop();
    }
}

/// Takes the state of a paused guest.
fn save(guest: Made) -> u64 {
    let piece = |offset: u64| {
        let page = STATE.page(offset / 4096);
        hypercall::call(Number::PartitionSave, [guest.id, page, offset, 0])
    };
    let (mut status, mut length) = piece(0);
    while status == Status::Busy as u64 {
        core::hint::spin_loop();
        (status, length) = piece(0);
    }
    check!(status == 0, "a save was refused with status {status}");
    for offset in (4096..length).step_by(4096) {
        let again = piece(offset);
        check!(again == (0, length), "the rest of a state gave {again:?}");
    }
    length
}

/// Hands a state in: the last status.
fn restore(guest: Made, length: u64) -> u64 {
    let mut offset = 0;
    loop {
        let page = STATE.page(offset / 4096);
        let (status, next) =
            hypercall::call(Number::PartitionRestore, [guest.id, page, offset, length]);
        if status != 0 || next == 0 {
            return status;
        }
        offset = next;
    }
}

/// What the paravirtual clock shows at a TSC value, in nanoseconds: version, TSC, system time, factor, shift.
fn clock(guest: Made, tsc: u64) -> u64 {
    let (base, time) = (guest.get(CLOCK + 8), guest.get(CLOCK + 16));
    let scale = guest.get(CLOCK + 24);
    let (factor, shift) = (scale & 0xffff_ffff, (scale >> 32) as i8);
    check!(factor != 0, "there is no clock");
    let passed = tsc.wrapping_sub(base);
    let passed = if shift < 0 {
        passed >> shift.unsigned_abs()
    } else {
        passed << shift
    };
    time + ((u128::from(passed) * u128::from(factor)) >> 32) as u64
}

fn nanoseconds(ticks: u64, info: &StartInfo) -> u64 {
    (u128::from(ticks) * 1_000_000_000 / u128::from(info.tsc_hz)) as u64
}
