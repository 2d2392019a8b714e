//! A management partition that makes three guests which only count, all on its own physical CPU, and weighs what they get: by their
//! weights, then with a reservation, then with a limit, changed while they run.
#![no_std]
#![allow(
    clippy::indexing_slicing,
    reason = "a guest that fails its own bounds reports that it failed"
)]
#![no_main]

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use micro_guests::abi::host::PartitionInfo;
use micro_guests::abi::hypercall::{Number, PartitionAction, Status};
use micro_guests::abi::partition::{BootSegment, BootState, PartitionRequest};
use micro_guests::abi::start::StartInfo;
use micro_guests::{apic, check, cpu, guest, hypercall, result, trap, wait};

guest!(main);

/// Guest-physical addresses of a made guest.
const TABLES: u64 = 0x1000;
const COUNTER: u64 = 0x4000;
const CODE: u64 = 0x8000;
const BYTES: u64 = 2 << 20;
const GUESTS: usize = 3;
/// How long each weighing takes, in ticks of the TSC: some tenths of a second.
const LONG: u64 = 400_000_000;
/// How much a share may be off, as a part of itself.
const PART: u64 = 33;

global_asm!(
    "counting_guest:",
    "mov ebx, 0x4000",
    "2: inc qword ptr [rbx]",
    "jmp 2b",
    "counting_guest_end:",
);

unsafe extern "C" {
    static counting_guest: u8;
    static counting_guest_end: u8;
}

/// A page for records.
#[repr(C, align(4096))]
struct Record(UnsafeCell<[u8; 4096]>);

// SAFETY: the guest has one vCPU.
unsafe impl Sync for Record {}

static RECORD: Record = Record(UnsafeCell::new([0; 4096]));

#[repr(C, align(4096))]
struct Table([AtomicU64; 512]);

/// The page table for windows above the first 512 GiB; all of them lie in the same 512.
static HIGH_TABLE: Table = Table([const { AtomicU64::new(0) }; 512]);

impl Record {
    fn address(&self) -> u64 {
        self.0.get().addr() as u64
    }

    fn put<T: Copy>(&self, record: &T) {
        // SAFETY: records of the contract fit into the page.
        unsafe { self.0.get().cast::<T>().write_volatile(*record) };
    }

    fn take<T: Copy>(&self) -> T {
        // SAFETY: the hypervisor filled the record in, whose fields are numbers.
        unsafe { self.0.get().cast::<T>().read_volatile() }
    }
}

/// A guest that was made.
#[derive(Clone, Copy)]
struct Made {
    id: u64,
    /// Where its address 0 is.
    base: u64,
}

/// Counts and times.
#[derive(Clone, Copy)]
struct Sample {
    counts: [u64; GUESTS],
    ticks: [u64; GUESTS],
    now: u64,
}

fn main(_: &'static StartInfo) {
    trap::install();
    apic::enable();
    let guests = [100, 200, 400].map(make);
    for guest in guests {
        control(guest, PartitionAction::Start);
    }
    by_weight(guests);
    by_reservation(guests);
    limited(guests);
    refusals(guests);
    for guest in guests {
        control(guest, PartitionAction::Stop);
    }
    // The machine ends with its management partition only where no guest is active any more.
    wait::until("the end of the guests", 1000, || {
        guests.iter().all(|guest| info_of(*guest).settled == 1)
    });
}

/// One to two to four.
fn by_weight(guests: [Made; GUESTS]) {
    let gained = weigh(guests);
    let counts: u64 = gained.counts.iter().sum();
    for (index, weight) in [1, 2, 4].into_iter().enumerate() {
        near(
            "by weight",
            gained.counts[index] * 1000 / counts,
            weight * 1000 / 7,
        );
        let time = gained.ticks[index] * 1000 / gained.ticks.iter().sum::<u64>();
        near("time by weight", time, weight * 1000 / 7);
    }
    result("light_permille", gained.counts[0] * 1000 / counts);
    result("heavy_permille", gained.counts[2] * 1000 / counts);
}

/// The one without weight gets what it was promised; the others share the rest.
fn by_reservation(guests: [Made; GUESTS]) {
    shares(guests[0], [1, 40, 0]);
    shares(guests[1], [10_000, 0, 0]);
    shares(guests[2], [10_000, 0, 0]);
    let gained = weigh(guests);
    let counts: u64 = gained.counts.iter().sum();
    near("by reservation", gained.counts[0] * 1000 / counts, 400);
    near(
        "beside a reservation",
        gained.counts[1] * 1000 / counts,
        300,
    );
    near(
        "beside a reservation",
        gained.counts[2] * 1000 / counts,
        300,
    );
    result("reserved_permille", gained.counts[0] * 1000 / counts);
}

/// The one that wants all gets half, with others and without.
fn limited(guests: [Made; GUESTS]) {
    shares(guests[0], [10_000, 0, 50]);
    shares(guests[1], [100, 0, 0]);
    shares(guests[2], [100, 0, 0]);
    let gained = weigh(guests);
    let counts: u64 = gained.counts.iter().sum();
    near("by limit", gained.counts[0] * 1000 / counts, 500);
    near("time by limit", gained.ticks[0] * 1000 / gained.now, 500);
    control(guests[1], PartitionAction::Pause);
    control(guests[2], PartitionAction::Pause);
    let gained = weigh(guests);
    check!(
        gained.counts[1] == 0 && gained.counts[2] == 0,
        "guests that are paused count"
    );
    near("by limit alone", gained.ticks[0] * 1000 / gained.now, 500);
    result("limited_permille", gained.ticks[0] * 1000 / gained.now);
}

/// What cannot be promised is refused, and changes nothing.
fn refusals(guests: [Made; GUESTS]) {
    shares(guests[0], [300, 60, 70]);
    for (guest, numbers, status) in [
        (guests[1], [0, 60, 0], Status::NoResource),
        (guests[0], [10_001, 0, 0], Status::BadArgument),
        (guests[0], [0, 91, 0], Status::BadArgument),
        (guests[0], [0, 50, 40], Status::BadArgument),
        (guests[0], [1 << 40, 0, 0], Status::BadArgument),
    ] {
        let (answer, _) = change(guest, numbers);
        check!(
            answer == status as u64,
            "{numbers:?} gave status {answer}, not {status:?}"
        );
    }
    let info = info_of(guests[0]);
    let known = (info.weight, info.reservation_percent, info.limit_percent);
    check!(known == (300, 60, 70), "the numbers are {known:?}");
}

/// Fails where a share is further away than it may be.
fn near(what: &str, permille: u64, ideal: u64) {
    check!(
        permille.abs_diff(ideal) * PART <= ideal,
        "{what}: {permille} of 1000, not {ideal}"
    );
}

/// What each gains in the time of a weighing; the manager sleeps meanwhile.
fn weigh(guests: [Made; GUESTS]) -> Sample {
    wait::nap(50);
    let before = sample(guests);
    while cpu::rdtsc() - before.now < LONG {
        wait::nap(50);
    }
    let after = sample(guests);
    Sample {
        counts: [0, 1, 2].map(|index| after.counts[index] - before.counts[index]),
        ticks: [0, 1, 2].map(|index| after.ticks[index] - before.ticks[index]),
        now: after.now - before.now,
    }
}

fn sample(guests: [Made; GUESTS]) -> Sample {
    Sample {
        now: cpu::rdtsc(),
        // SAFETY: the window shows the guest's memory, which is no memory of this program.
        counts: guests.map(|guest| unsafe { guest.word(COUNTER).read_volatile() }),
        ticks: guests.map(|guest| info_of(guest).run_ticks),
    }
}

/// A hypercall that must succeed.
fn done(what: &str, number: Number, arguments: [u64; 4]) -> u64 {
    let (status, value) = hypercall::call(number, arguments);
    check!(status == 0, "{what} was refused with status {status}");
    value
}

fn change(guest: Made, [weight, reservation, limit]: [u64; 3]) -> (u64, u64) {
    hypercall::call(
        Number::PartitionShares,
        [guest.id, weight, reservation, limit],
    )
}

fn shares(guest: Made, numbers: [u64; 3]) {
    let (status, _) = change(guest, numbers);
    check!(status == 0, "{numbers:?} was refused with status {status}");
}

fn control(guest: Made, action: PartitionAction) {
    done(
        "a change of state",
        Number::PartitionControl,
        [guest.id, action as u64, 0, 0],
    );
}

fn info_of(guest: Made) -> PartitionInfo {
    done(
        "PartitionInfo",
        Number::PartitionInfo,
        [guest.id, RECORD.address(), 0, 0],
    );
    RECORD.take()
}

/// Maps the 512 GiB around an address one to one, where the start page tables do not.
fn reach(at: u64) {
    let number = (at >> 39) as usize;
    if number == 0 {
        return;
    }
    for (gigabyte, entry) in (0u64..).zip(&HIGH_TABLE.0) {
        // Writable, accessed, dirty, large.
        entry.store(at >> 39 << 39 | gigabyte << 30 | 0xe3, SeqCst);
    }
    // SAFETY: the tables are the guest's own and mapped one to one; what was mapped stays so.
    unsafe {
        let level4: u64;
        asm!("mov {}, cr3", out(reg) level4);
        (level4 as *mut u64)
            .add(number)
            .write_volatile(HIGH_TABLE.address() | 0x23);
        asm!("mov cr3, {}", in(reg) level4);
    }
}

impl Table {
    fn address(&self) -> u64 {
        core::ptr::from_ref(self).addr() as u64
    }
}

impl Made {
    fn word(self, at: u64) -> *mut u64 {
        (self.base + at) as *mut u64
    }
}

/// Makes a guest that counts, with this weight.
fn make(weight: u32) -> Made {
    let mut request = PartitionRequest {
        name: [0; 64],
        memory_bytes: BYTES,
        vcpus: 1,
        threads_per_core: 1,
        cores_per_socket: 1,
        cpus: [1, 0, 0, 0],
        cookie: [0; 16],
        weight,
        reservation_percent: 0,
        limit_percent: 0,
        zero: 0,
        node_blocks: [0; 8],
    };
    request.name[..8].copy_from_slice(b"counting");
    RECORD.put(&request);
    let create = [RECORD.address(), 0, 0, 0];
    let id = done("a creation", Number::PartitionCreate, create);
    let mut from = 0;
    loop {
        from = done("clearing", Number::MemoryClear, [id, from, 0, 0]);
        if from == 0 {
            break;
        }
    }
    let base = done("a window", Number::MemoryWindow, [id, 0, 0, 0]);
    reach(base);
    let guest = Made { id, base };
    let start = &raw const counting_guest;
    let bytes = (&raw const counting_guest_end).addr() - start.addr();
    // SAFETY: the program is static, and the window no memory of this one.
    unsafe {
        start.copy_to_nonoverlapping(guest.word(CODE).cast(), bytes);
        guest.word(TABLES).write_volatile((TABLES + 0x1000) | 3);
        guest.word(TABLES + 0x1000).write_volatile(0x83);
    }
    let segment = |selector, attributes| BootSegment {
        base: 0,
        limit: u32::MAX,
        selector,
        attributes,
    };
    let state = BootState {
        rip: CODE,
        cr0: 0x8000_0011,
        cr3: TABLES,
        cr4: 1 << 5,
        efer: 1 << 8,
        cs: segment(8, 0xa9b),
        data: segment(16, 0xc93),
        ..BootState::default()
    };
    RECORD.put(&state);
    done(
        "a boot state",
        Number::BootState,
        [id, RECORD.address(), 0, 0],
    );
    guest
}
