//! A guest that was made: its program, its window, its requests.

use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use micro_guests::abi::event::FIRST_PORT;
use micro_guests::abi::host::{HostInfo, PartitionInfo, PartitionState};
use micro_guests::abi::hypercall::{Number, PartitionAction, Status};
use micro_guests::abi::io::{DIRECTION_READ, DIRECTION_WRITE, STATE_PENDING, Space};
use micro_guests::abi::partition::{BootSegment, BootState, PartitionRequest};
use micro_guests::high_memory::reach;
use micro_guests::record_page::RecordPage;
use micro_guests::{check, cpu, fail, hypercall};

/// Guest-physical addresses of a made guest.
pub const TABLES: u64 = 0x1000;
pub const COUNTER: u64 = 0x4000;
pub const STOP_SPINNING: u64 = 0x4008;
pub const ADDRESS: u64 = 0x4010;
pub const CODE: u64 = 0x8000;
pub const MARK: u64 = 0x10_0000;
/// What a guest leaves at [`MARK`].
pub const SECRET: u64 = 0x5ec2_e700;
/// Ports of a made guest: it reads its orders, and writes what it has found.
pub const ORDERS: u64 = 0x500;
pub const FINDINGS: u64 = 0x501;
/// Its orders; any other ends it.
pub const LOOK: u64 = 1;
pub const SPIN: u64 = 2;
pub const RESET: u64 = 3;
pub const READ: u64 = 4;
pub const END: u64 = 5;

/// Most guests at a time.
pub const MOST: usize = 40;
pub const MIB: u64 = 1 << 20;

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
    "made_guest_hypercall:",
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
    static made_guest_hypercall: u8;
    static made_guest_end: u8;
}

#[repr(C, align(4096))]
pub struct Page([AtomicU64; 512]);

impl Page {
    pub fn address(&self) -> u64 {
        core::ptr::from_ref(self).addr() as u64
    }
}

pub static EVENTS: Page = Page([const { AtomicU64::new(0) }; 512]);
pub static REQUESTS: [Page; MOST] = [const { Page([const { AtomicU64::new(0) }; 512]) }; MOST];

/// For the records of hypercalls.
pub static RECORD: RecordPage = RecordPage::new();

/// How a guest starts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Long,
    Protected,
}

/// A guest that was made.
#[derive(Clone, Copy)]
pub struct Made {
    /// Its id.
    pub id: u64,
    /// Where its address 0 is.
    pub base: u64,
    /// Its page of [`REQUESTS`].
    pub page: usize,
}

/// A hypercall that must succeed.
pub fn done(what: &str, number: Number, arguments: [u64; 4]) -> u64 {
    let (status, value) = hypercall::call(number, arguments);
    check!(status == 0, "{what} was refused with status {status}");
    value
}

/// What the machine has left.
pub fn left() -> [u64; 3] {
    done("HostInfo", Number::HostInfo, [RECORD.address(), 0, 0, 0]);
    let info: HostInfo = RECORD.take();
    [
        info.guest_memory_free,
        info.hypervisor_bytes,
        info.hypervisor_free_bytes,
    ]
}

pub fn info_of(id: u64) -> PartitionInfo {
    done(
        "PartitionInfo",
        Number::PartitionInfo,
        [id, RECORD.address(), 0, 0],
    );
    RECORD.take()
}

/// Sleeps until events bring the condition about.
pub fn wait(condition: impl Fn() -> bool) {
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
pub fn settle(guest: Made, state: PartitionState) {
    wait(|| {
        let info = info_of(guest.id);
        info.settled == 1 && info.state == state as u32
    });
}

pub fn control(guest: Made, action: PartitionAction) {
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
pub fn create(megabytes: u64, vcpus: u32, page: usize) -> Made {
    let mut request = PartitionRequest {
        name: [0; 64],
        memory_bytes: megabytes * MIB,
        vcpus,
        threads_per_core: 1,
        cores_per_socket: vcpus as u16,
        cpus: [0; 4],
        cookie: [page as u8; 16],
        weight: 0,
        reservation_percent: 0,
        limit_percent: 0,
        present_vcpus: 0,
        node_blocks: [0; 8],
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

pub fn clear(id: u64) {
    let mut from = 0;
    loop {
        from = done("clearing", Number::MemoryClear, [id, from, 0, 0]);
        if from == 0 {
            return;
        }
    }
}

impl Made {
    pub fn word(self, at: u64) -> *mut u64 {
        (self.base + at) as *mut u64
    }

    pub fn get(self, at: u64) -> u64 {
        // SAFETY: the window shows the guest's memory, which is no memory of this program.
        unsafe { self.word(at).read_volatile() }
    }

    pub fn put(self, at: u64, value: u64) {
        // SAFETY: as above.
        unsafe { self.word(at).write_volatile(value) };
    }

    /// Gives it its program, and says how it starts.
    pub fn load(self, mode: Mode) {
        let (code, bytes) = {
            let start = &raw const made_guest;
            (start, (&raw const made_guest_end).addr() - start.addr())
        };
        // SAFETY: the program is static, and the window no memory of this one.
        unsafe { code.copy_to_nonoverlapping(self.word(CODE).cast(), bytes) };
        if hypercall::is_intel() {
            // VMCALL is 0F 01 C1, VMMCALL 0F 01 D9.
            let last = (&raw const made_guest_hypercall).addr() - code.addr() + 2;
            // SAFETY: inside of the program that was just copied.
            unsafe { self.word(CODE).cast::<u8>().add(last).write_volatile(0xc1) };
        }
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
    pub fn request(self, space: Space, direction: u8, address: u64) -> u64 {
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

    pub fn answer(self, value: u64) {
        REQUESTS[self.page].0[2].store(value, SeqCst);
        done("an answer", Number::IoComplete, [self.id, 0, 0, 0]);
    }

    /// Gives it an order.
    pub fn order(self, order: u64) {
        self.request(Space::Port, DIRECTION_READ, ORDERS);
        self.answer(order);
    }

    /// What it has found.
    pub fn finding(self) -> u64 {
        let value = self.request(Space::Port, DIRECTION_WRITE, FINDINGS);
        self.answer(0);
        value
    }

    /// It counts on.
    pub fn counts(self) {
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

    pub fn destroy(self) {
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

/// Without a port that would tell.
pub fn wait_settled(guest: Made) {
    while info_of(guest.id).settled == 0 {
        core::hint::spin_loop();
    }
}
