//! A management partition that makes guests at run time, out of code that it writes through their windows.
//!
//! `way=lives` makes, starts, pauses, resumes, resets, stops and destroys them `rounds=` times and compares what the machine has
//! left; `way=many` has `count=` of them at once; `way=isolation` looks for what former owners left in memory, and for memory of
//! others; `way=windows` touches the window of a guest that it has destroyed, which must end it; `way=orphans` dies and finds its
//! guest again.
#![no_std]
#![allow(
    clippy::indexing_slicing,
    reason = "a guest that fails its own bounds reports that it failed"
)]
#![no_main]

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use micro_guests::abi::event::FIRST_PORT;
use micro_guests::abi::host::{HostInfo, PartitionInfo, PartitionOrigin, PartitionState};
use micro_guests::abi::hypercall::{Number, PartitionAction, Status};
use micro_guests::abi::io::{DIRECTION_READ, DIRECTION_WRITE, STATE_PENDING, Space};
use micro_guests::abi::partition::{BootSegment, BootState, PartitionRequest};
use micro_guests::abi::start::StartInfo;
use micro_guests::{apic, check, cpu, fail, guest, hypercall, idt, number, option, result, trap};

guest!(main);

/// Guest-physical addresses of a made guest.
const TABLES: u64 = 0x1000;
const COUNTER: u64 = 0x4000;
const STOP_SPINNING: u64 = 0x4008;
const ADDRESS: u64 = 0x4010;
const CODE: u64 = 0x8000;
const MARK: u64 = 0x10_0000;
/// What a guest leaves at [`MARK`].
const SECRET: u64 = 0x5ec2_e700;
/// Ports of a made guest: it reads its orders, and writes what it has found.
const ORDERS: u64 = 0x500;
const FINDINGS: u64 = 0x501;
/// Its orders; any other ends it.
const LOOK: u64 = 1;
const SPIN: u64 = 2;
const RESET: u64 = 3;
const READ: u64 = 4;
const END: u64 = 5;

/// Most guests at a time.
const MOST: usize = 40;
const MIB: u64 = 1 << 20;

// The same bytes do the same in 32-bit mode.
global_asm!(
    "made_guest:",
    "2: mov edx, 0x500",
    "in eax, dx",
    "cmp eax, 1",
    "je 10f",
    "cmp eax, 2",
    "je 20f",
    "cmp eax, 3",
    "je 30f",
    "cmp eax, 4",
    "je 40f",
    "mov eax, 2",
    "xor edi, edi",
    "vmmcall",
    "jmp 2b",
    "10: mov ebx, 0x100000",
    "mov eax, dword ptr [rbx]",
    "mov dword ptr [rbx], 0x5ec2e700",
    "mov edx, 0x501",
    "out dx, eax",
    "jmp 2b",
    "20: mov ebx, 0x4000",
    "21: lock inc dword ptr [rbx]",
    "pause",
    "cmp dword ptr [rbx + 8], 0",
    "je 21b",
    "jmp 2b",
    "30: mov edx, 0xcf9",
    "mov eax, 6",
    "out dx, al",
    "jmp 30b",
    "40: mov ebx, 0x4010",
    "mov ebx, dword ptr [rbx]",
    "mov eax, dword ptr [rbx]",
    "mov edx, 0x501",
    "out dx, eax",
    "jmp 2b",
    "made_guest_end:",
);

unsafe extern "C" {
    static made_guest: u8;
    static made_guest_end: u8;
}

#[repr(C, align(4096))]
struct Page([AtomicU64; 512]);

impl Page {
    fn address(&self) -> u64 {
        core::ptr::from_ref(self).addr() as u64
    }
}

static EVENTS: Page = Page([const { AtomicU64::new(0) }; 512]);
static REQUESTS: [Page; MOST] = [const { Page([const { AtomicU64::new(0) }; 512]) }; MOST];

/// The page table for windows above the first 512 GiB; all of them lie in the same 512.
static HIGH_TABLE: Page = Page([const { AtomicU64::new(0) }; 512]);

/// A page for records.
#[repr(C, align(4096))]
struct Record(UnsafeCell<[u8; 4096]>);

// SAFETY: the guest has one vCPU.
unsafe impl Sync for Record {}

static RECORD: Record = Record(UnsafeCell::new([0; 4096]));

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

/// How a guest starts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Long,
    Protected,
}

/// A guest that was made.
#[derive(Clone, Copy)]
struct Made {
    id: u64,
    /// Where its address 0 is.
    base: u64,
    /// Its page of [`REQUESTS`].
    page: usize,
}

fn main(info: &'static StartInfo) {
    trap::install();
    apic::enable();
    idt::set(0x40, idt::tick as *const () as u64);
    idt::load();
    done(
        "the event page",
        Number::EventPage,
        [EVENTS.address(), 0x40, 0, 0],
    );
    match option(info, "way").unwrap_or("") {
        "lives" => lives(number(info, "rounds").unwrap_or(1)),
        "many" => many(number(info, "count").unwrap_or(1) as usize),
        "isolation" => isolation(),
        "windows" => windows(info),
        "orphans" => orphans(info),
        other => fail(format_args!("unknown way {other:?}")),
    }
}

/// A hypercall that must succeed.
fn done(what: &str, number: Number, arguments: [u64; 4]) -> u64 {
    let (status, value) = hypercall::call(number, arguments);
    check!(status == 0, "{what} was refused with status {status}");
    value
}

/// What the machine has left.
fn left() -> [u64; 3] {
    done("HostInfo", Number::HostInfo, [RECORD.address(), 0, 0, 0]);
    let info: HostInfo = RECORD.take();
    [
        info.guest_memory_free,
        info.hypervisor_bytes,
        info.hypervisor_free_bytes,
    ]
}

fn info_of(id: u64) -> PartitionInfo {
    done(
        "PartitionInfo",
        Number::PartitionInfo,
        [id, RECORD.address(), 0, 0],
    );
    RECORD.take()
}

/// Sleeps until events bring the condition about.
fn wait(condition: impl Fn() -> bool) {
    // The runner's patience ends this where it never comes true.
    loop {
        cpu::cli();
        EVENTS.0[0].swap(0, SeqCst);
        for word in &EVENTS.0[1..8] {
            word.swap(0, SeqCst);
        }
        if condition() {
            cpu::sti();
            return;
        }
        cpu::sti_hlt();
    }
}

/// Waits for a state in which no vCPU is in guest mode.
fn settle(guest: Made, state: PartitionState) {
    wait(|| {
        let info = info_of(guest.id);
        info.settled == 1 && info.state == state as u32
    });
}

fn control(guest: Made, action: PartitionAction) {
    let what = match action {
        PartitionAction::Start => "a start",
        PartitionAction::Stop => "a stop",
        PartitionAction::Pause => "a pause",
        PartitionAction::Resume => "a resumption",
    };
    done(
        what,
        Number::PartitionControl,
        [guest.id, action as u64, 0, 0],
    );
}

/// Makes a guest with nothing in its memory, and shows it.
fn create(megabytes: u64, vcpus: u32, page: usize) -> Made {
    let mut request = PartitionRequest {
        name: [0; 64],
        memory_bytes: megabytes * MIB,
        vcpus,
        threads_per_core: 1,
        cores_per_socket: vcpus as u16,
        cpus: [0; 4],
        cookie: [page as u8; 16],
        reserved: [0; 6],
    };
    request.name[..4].copy_from_slice(b"made");
    RECORD.put(&request);
    let id = done(
        "a creation",
        Number::PartitionCreate,
        [RECORD.address(), 0, 0, 0],
    );
    let early = hypercall::call(Number::MemoryWindow, [id, 0, 0, 0]);
    check!(
        early == (Status::BadState as u64, 0),
        "memory that is not cleared is shown"
    );
    clear(id);
    let base = done("a window", Number::MemoryWindow, [id, 0, 0, 0]);
    reach(base);
    Made { id, base, page }
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

fn clear(id: u64) {
    let mut from = 0;
    loop {
        from = done("clearing", Number::MemoryClear, [id, from, 0, 0]);
        if from == 0 {
            return;
        }
    }
}

impl Made {
    fn word(self, at: u64) -> *mut u64 {
        (self.base + at) as *mut u64
    }

    fn get(self, at: u64) -> u64 {
        // SAFETY: the window shows the guest's memory, which is no memory of this program.
        unsafe { self.word(at).read_volatile() }
    }

    fn put(self, at: u64, value: u64) {
        // SAFETY: as above.
        unsafe { self.word(at).write_volatile(value) };
    }

    /// Gives it its program, and says how it starts.
    fn load(self, mode: Mode) {
        let (code, bytes) = {
            let start = &raw const made_guest;
            (start, (&raw const made_guest_end).addr() - start.addr())
        };
        // SAFETY: the program is static, and the window no memory of this one.
        unsafe { code.copy_to_nonoverlapping(self.word(CODE).cast(), bytes) };
        self.put(TABLES, (TABLES + 0x1000) | 3);
        for gigabyte in 0..4 {
            self.put(TABLES + 0x1000 + gigabyte * 8, gigabyte << 30 | 0x83);
        }
        let segment = |selector, attributes| BootSegment {
            base: 0,
            limit: u32::MAX,
            selector,
            attributes,
        };
        let mut state = BootState {
            rip: CODE,
            cr0: 0x11,
            cs: segment(8, 0xc9b),
            data: segment(16, 0xc93),
            ..BootState::default()
        };
        if mode == Mode::Long {
            state.cr0 |= 1 << 31;
            state.cr3 = TABLES;
            state.cr4 = 1 << 5;
            state.efer = 1 << 8;
            state.cs.attributes = 0xa9b;
        }
        RECORD.put(&state);
        done(
            "a boot state",
            Number::BootState,
            [self.id, RECORD.address(), 0, 0],
        );
        let port = u64::from(FIRST_PORT) + self.page as u64 * 8;
        let page = REQUESTS[self.page].address();
        done("an I/O page", Number::IoPage, [self.id, page, port, 0]);
        done("a port", Number::LifecyclePort, [self.id, port + 7, 0, 0]);
    }

    /// Waits for its request, which must be this one; gives the data.
    fn request(self, space: Space, direction: u8, address: u64) -> u64 {
        let [head, at, data, ..] = &REQUESTS[self.page].0;
        wait(|| head.load(SeqCst) as u32 == STATE_PENDING);
        let head = head.load(SeqCst) >> 32;
        let expected = space as u64 | u64::from(direction) << 8 | 4 << 16;
        let at = at.load(SeqCst);
        check!(
            (head, at) == (expected, address),
            "guest {} does {head:#x} at {at:#x}, not {expected:#x} at {address:#x}",
            self.id
        );
        data.load(SeqCst)
    }

    fn answer(self, value: u64) {
        REQUESTS[self.page].0[2].store(value, SeqCst);
        done("an answer", Number::IoComplete, [self.id, 0, 0, 0]);
    }

    /// Gives it an order.
    fn order(self, order: u64) {
        self.request(Space::Port, DIRECTION_READ, ORDERS);
        self.answer(order);
    }

    /// What it has found.
    fn finding(self) -> u64 {
        let value = self.request(Space::Port, DIRECTION_WRITE, FINDINGS);
        self.answer(0);
        value
    }

    /// It counts on.
    fn counts(self) {
        let before = self.get(COUNTER);
        let start = cpu::rdtsc();
        while self.get(COUNTER) == before {
            check!(
                cpu::rdtsc() - start < 60_000_000_000,
                "guest {} does not run",
                self.id
            );
            core::hint::spin_loop();
        }
    }

    fn destroy(self) {
        for _ in 0..100_000 {
            let (status, _) = hypercall::call(Number::PartitionDestroy, [self.id, 0, 0, 0]);
            if status == 0 {
                return;
            }
            check!(
                status == Status::Busy as u64,
                "a removal was refused with status {status}"
            );
            core::hint::spin_loop();
        }
        fail(format_args!("partition {} is not let go", self.id));
    }
}

/// Whole lives, one after the other.
fn lives(rounds: u64) {
    let before = left();
    for round in 0..rounds {
        life(round);
        let after = left();
        check!(
            after == before,
            "round {round}: {after:x?} are left of {before:x?}"
        );
    }
    result("lives", rounds);
}

fn life(round: u64) {
    let mode = if round.is_multiple_of(2) {
        Mode::Long
    } else {
        Mode::Protected
    };
    let megabytes = if round.is_multiple_of(10) { 16 } else { 2 };
    let guest = create(megabytes, 1 + (round % 3) as u32, 0);
    let (status, _) = hypercall::call(
        Number::PartitionControl,
        [guest.id, PartitionAction::Start as u64, 0, 0],
    );
    check!(
        status == Status::BadState as u64,
        "a start without boot state gave {status}"
    );
    guest.load(mode);
    control(guest, PartitionAction::Start);
    guest.order(LOOK);
    let found = guest.finding();
    check!(found == 0, "round {round}: the guest found {found:#x}");
    guest.order(SPIN);
    guest.counts();
    control(guest, PartitionAction::Pause);
    settle(guest, PartitionState::Paused);
    let count = guest.get(COUNTER);
    for _ in 0..1000 {
        core::hint::spin_loop();
    }
    check!(guest.get(COUNTER) == count, "it runs while it is paused");
    control(guest, PartitionAction::Resume);
    guest.counts();
    guest.put(STOP_SPINNING, 1);
    guest.order(RESET);
    settle(guest, PartitionState::Reset);
    control(guest, PartitionAction::Start);
    guest.order(LOOK);
    let found = guest.finding();
    check!(
        found == SECRET,
        "round {round}: memory was {found:#x} after a reset"
    );
    if round.is_multiple_of(5) {
        guest.put(STOP_SPINNING, 0);
        guest.order(SPIN);
        guest.counts();
        let (status, _) = hypercall::call(Number::PartitionDestroy, [guest.id, 0, 0, 0]);
        check!(
            status == Status::BadState as u64,
            "the removal of a running guest gave {status}"
        );
        control(guest, PartitionAction::Stop);
    } else {
        guest.order(END);
    }
    settle(guest, PartitionState::Stopped);
    guest.destroy();
}

/// Guests at the same time, each answering.
fn many(count: usize) {
    check!(count <= MOST, "more than {MOST}");
    let before = left();
    let mut guests = [Made {
        id: 0,
        base: 0,
        page: 0,
    }; MOST];
    let guests = &mut guests[..count];
    for (page, guest) in guests.iter_mut().enumerate() {
        *guest = create(16, 1, page);
        guest.load(Mode::Long);
        control(*guest, PartitionAction::Start);
    }
    let cost = ((before[2] - left()[2]) / count as u64) >> 10;
    for _ in 0..3 {
        for guest in &*guests {
            guest.order(LOOK);
            let found = guest.finding();
            check!(found == 0 || found == SECRET, "{found:#x}");
        }
    }
    for guest in &*guests {
        guest.order(END);
    }
    for guest in &*guests {
        settle(*guest, PartitionState::Stopped);
        guest.destroy();
    }
    let after = left();
    check!(after == before, "{after:x?} are left of {before:x?}");
    result("guests", count as u64);
    result("kib_of_hypervisor_per_guest", cost);
}

/// What one guest had in memory is not there for the next, and no guest reaches beyond its own.
fn isolation() {
    const SIZE: u64 = 16;
    let first = create(SIZE, 1, 0);
    for at in (0..SIZE * MIB).step_by(8) {
        first.put(at, SECRET);
    }
    let frames = left();
    first.destroy();
    let second = create(SIZE, 1, 0);
    check!(left() == frames, "it has not as much");
    for at in (0..SIZE * MIB).step_by(8) {
        let found = second.get(at);
        check!(found == 0, "{found:#x} of the former owner at {at:#x}");
    }
    // A third one beside it, whose memory must not change and cannot be read.
    let third = create(SIZE, 1, 1);
    for at in (0..SIZE * MIB).step_by(8) {
        third.put(at, SECRET);
    }
    second.load(Mode::Long);
    control(second, PartitionAction::Start);
    for address in [
        SIZE * MIB,
        SIZE * MIB + 0x1000,
        0x3fff_f000,
        0x8000_0000,
        0xbfff_fffc,
        0xd000_0000,
        0xe000_0000,
        0xfffc_0000,
    ] {
        second.request(Space::Port, DIRECTION_READ, ORDERS);
        second.put(ADDRESS, address);
        second.answer(READ);
        second.request(Space::Memory, DIRECTION_READ, address);
        second.answer(0x1234_5678);
        let found = second.finding();
        check!(found == 0x1234_5678, "{found:#x} is at {address:#x}");
    }
    second.order(END);
    settle(second, PartitionState::Stopped);
    for at in (0..SIZE * MIB).step_by(8) {
        check!(third.get(at) == SECRET, "another guest changed {at:#x}");
    }
    second.destroy();
    third.destroy();
}

/// The window of a guest that is gone leads nowhere, also where the CPU remembers it.
fn windows(info: &StartInfo) {
    if info.restarts > 0 {
        return;
    }
    let guest = create(2, 1, 0);
    guest.put(MARK, SECRET);
    check!(
        guest.get(MARK) == SECRET,
        "the window does not keep what is written"
    );
    guest.destroy();
    let found = guest.get(MARK);
    fail(format_args!(
        "{found:#x} is behind the window of a guest that is gone"
    ));
}

/// A guest outlives its manager, and the next one takes it over.
fn orphans(info: &StartInfo) {
    if info.restarts == 0 {
        let gone = create(2, 1, 0);
        let guest = create(2, 2, 1);
        guest.load(Mode::Long);
        control(guest, PartitionAction::Start);
        guest.order(SPIN);
        guest.counts();
        gone.destroy();
        let nothing = [0u64; 2];
        // SAFETY: the end of this start is wanted.
        unsafe { asm!("lidt [{}]", "ud2", in(reg) &raw const nothing) };
    }
    let count = done("PartitionCount", Number::PartitionCount, [0; 4]);
    check!(count == 3, "{count} ids are in use");
    let (status, _) = hypercall::call(Number::PartitionInfo, [1, RECORD.address(), 0, 0]);
    check!(
        status == Status::NotFound as u64,
        "partition 1 gave {status}"
    );
    let found = info_of(2);
    check!(
        found.origin == PartitionOrigin::Management as u32
            && found.cookie == [1; 16]
            && found.state == PartitionState::Running as u32,
        "partition 2 is another: {found:?}"
    );
    let base = done("a window", Number::MemoryWindow, [2, 0, 0, 0]);
    reach(base);
    let guest = Made {
        id: 2,
        base,
        page: 1,
    };
    guest.counts();
    control(guest, PartitionAction::Stop);
    wait_settled(guest);
    guest.destroy();
}

/// Without a port that would tell.
fn wait_settled(guest: Made) {
    while info_of(guest.id).settled == 0 {
        core::hint::spin_loop();
    }
}
