//! A guest that only counts: its program, its window, what it has got.

use core::arch::global_asm;

use micro_guests::abi::host::PartitionInfo;
use micro_guests::abi::hypercall::{Number, PartitionAction};
use micro_guests::abi::partition::{BootSegment, BootState, PartitionRequest};
use micro_guests::high_memory::reach;
use micro_guests::record_page::RecordPage;
use micro_guests::{check, hypercall, wait};

/// Guest-physical addresses of a made guest.
const TABLES: u64 = 0x1000;
const INTERRUPTS: u64 = 0x3000;
const COUNTER: u64 = 0x4000;
const TICKS: u64 = 0x4008;
const TIMED: u64 = 0x4010;
const HALTING: u64 = 0x4018;
const INTERRUPTS_REGISTER: u64 = 0x4020;
const SECOND_COUNTER: u64 = 0x4028;
const STARTING: u64 = 0x4030;
const STOLEN: u64 = 0x5000;
const SEGMENTS: u64 = 0x6000;
const STACK: u64 = 0x7ff0;
const CODE: u64 = 0x8000;
/// The page of the second vCPU's start.
const SECOND_CODE: u64 = 0x9000;
const BYTES: u64 = 2 << 20;
/// The vector of its timer.
const VECTOR: u64 = 0x41;

// It asks for a record of the time that is stolen from it, has its timer tick where it shall, and counts, with a halt after each where
// it shall.
global_asm!(
    "counting_guest:",
    "mov ecx, 0x4b564d03",
    "mov eax, 0x5001",
    "xor edx, edx",
    "wrmsr",
    "mov ebx, 0x4000",
    "cmp dword ptr [rbx + 0x10], 0",
    "je 2f",
    "lidt [rbx + 0x20]",
    "mov ecx, 0x1b",
    "rdmsr",
    "or eax, 0xc00",
    "wrmsr",
    "xor edx, edx",
    "mov ecx, 0x80f",
    "mov eax, 0x1ff",
    "wrmsr",
    "mov ecx, 0x83e",
    "mov eax, 0xb",
    "wrmsr",
    "mov ecx, 0x832",
    "mov eax, 0x20041",
    "wrmsr",
    "mov ecx, 0x838",
    "mov eax, 1000000",
    "wrmsr",
    "sti",
    "2: inc qword ptr [rbx]",
    "cmp dword ptr [rbx + 0x18], 0",
    "je 2b",
    "hlt",
    "jmp 2b",
    "counting_guest_tick:",
    "push rax",
    "push rcx",
    "push rdx",
    "inc qword ptr [rbx + 8]",
    "mov ecx, 0x80b",
    "xor eax, eax",
    "xor edx, edx",
    "wrmsr",
    "pop rdx",
    "pop rcx",
    "pop rax",
    "iretq",
    "counting_guest_end:",
);

// It counts, and starts its second vCPU whenever it is told to, which counts as well, in real mode.
global_asm!(
    "starting_guest:",
    "mov ecx, 0x1b",
    "rdmsr",
    "or eax, 0xc00",
    "wrmsr",
    "mov ebx, 0x4000",
    "2: inc qword ptr [rbx]",
    "cmp dword ptr [rbx + 0x30], 0",
    "je 2b",
    "mov edx, 1",
    "mov ecx, 0x830",
    "mov eax, 0x4500",
    "wrmsr",
    "mov eax, 0x4609",
    "wrmsr",
    "mov dword ptr [rbx + 0x30], 0",
    "jmp 2b",
    "starting_guest_end:",
    ".code16",
    "second_vcpu:",
    "xor ax, ax",
    "mov ds, ax",
    "2: inc word ptr [0x4028]",
    "jmp 2b",
    "second_vcpu_end:",
    ".code64",
);

unsafe extern "C" {
    static starting_guest: u8;
    static starting_guest_end: u8;
    static second_vcpu: u8;
    static second_vcpu_end: u8;
    static counting_guest: u8;
    static counting_guest_tick: u8;
    static counting_guest_end: u8;
}

/// For the records of hypercalls.
pub static RECORD: RecordPage = RecordPage::new();

/// A guest that was made.
#[derive(Clone, Copy)]
pub struct Made {
    /// Its id.
    pub id: u64,
    /// Where its address 0 is.
    base: u64,
}

/// A hypercall that must succeed.
pub fn done(what: &str, number: Number, arguments: [u64; 4]) -> u64 {
    let (status, value) = hypercall::call(number, arguments);
    check!(status == 0, "{what} was refused with status {status}");
    value
}

pub fn control(guest: Made, action: PartitionAction) {
    done(
        "a change of state",
        Number::PartitionControl,
        [guest.id, action as u64, 0, 0],
    );
}

pub fn info_of(guest: Made) -> PartitionInfo {
    done(
        "PartitionInfo",
        Number::PartitionInfo,
        [guest.id, RECORD.address(), 0, 0],
    );
    RECORD.take()
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

    /// How far it has counted.
    pub fn count(self) -> u64 {
        self.get(COUNTER)
    }

    /// How often its timer has ticked.
    pub fn ticks(self) -> u64 {
        self.get(TICKS)
    }

    /// Nanoseconds that it was told were stolen from it.
    pub fn stolen(self) -> u64 {
        self.get(STOLEN)
    }

    /// How far its second vCPU has counted.
    pub fn second_count(self) -> u64 {
        self.get(SECOND_COUNTER)
    }

    /// Has it start its second vCPU; it has sent the start-up IPI when this returns.
    pub fn start_second(self) {
        self.put(STARTING, 1);
        wait::until("the start-up IPI", 10_000, || self.get(STARTING) == 0);
    }

    /// Has it halt after each count, until its timer ticks.
    pub fn halt(self) {
        self.put(HALTING, 1);
    }

    /// Has its timer tick from its start on.
    pub fn tick(self) {
        let code = &raw const counting_guest;
        let handler = CODE + ((&raw const counting_guest_tick).addr() - code.addr()) as u64;
        // Code and data for 64-bit mode; a gate, present, of an interrupt; its register: 16 bits of limit, then the base.
        self.put(SEGMENTS + 8, 0x00af_9b00_0000_ffff);
        self.put(SEGMENTS + 16, 0x00cf_9300_0000_ffff);
        self.put(INTERRUPTS + VECTOR * 16, handler | 8 << 16 | 0x8e00 << 32);
        self.put(INTERRUPTS_REGISTER, 0xfff | INTERRUPTS << 16);
        self.put(TIMED, 1);
    }
}

/// Makes a guest that counts, with this weight on these CPUs.
pub fn make(weight: u32, cpus: u64) -> Made {
    let guest = create(weight, cpus, [1, 1]);
    copy(
        guest,
        CODE,
        [&raw const counting_guest, &raw const counting_guest_end],
    );
    guest
}

/// Makes a guest that counts with two vCPUs once the second one is present.
pub fn make_growing() -> Made {
    let guest = create(100, 3, [2, 1]);
    copy(
        guest,
        CODE,
        [&raw const starting_guest, &raw const starting_guest_end],
    );
    copy(
        guest,
        SECOND_CODE,
        [&raw const second_vcpu, &raw const second_vcpu_end],
    );
    guest
}

fn copy(guest: Made, at: u64, [start, end]: [*const u8; 2]) {
    // SAFETY: the program is static, and the window no memory of this one.
    unsafe {
        start.copy_to_nonoverlapping(guest.word(at).cast(), end.addr() - start.addr());
    }
}

/// A guest without a program, with so many vCPUs, of which so many are present.
fn create(weight: u32, cpus: u64, [vcpus, present_vcpus]: [u32; 2]) -> Made {
    let mut request = PartitionRequest {
        name: [0; 64],
        memory_bytes: BYTES,
        vcpus,
        threads_per_core: 1,
        cores_per_socket: 1,
        cpus: [cpus, 0, 0, 0],
        cookie: [0; 16],
        weight,
        reservation_percent: 0,
        limit_percent: 0,
        present_vcpus,
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
    guest.put(TABLES, (TABLES + 0x1000) | 3);
    guest.put(TABLES + 0x1000, 0x83);
    let segment = |selector, attributes| BootSegment {
        base: 0,
        limit: u32::MAX,
        selector,
        attributes,
    };
    let mut registers = [0; 16];
    registers[4] = STACK;
    let state = BootState {
        registers,
        gdt_base: SEGMENTS,
        gdt_limit: 23,
        rip: CODE,
        cr0: 0x8000_0011,
        cr3: TABLES,
        cr4: 1 << 5,
        efer: 1 << 8,
        cs: segment(8, 0xa9b),
        data: segment(16, 0xc93),
    };
    RECORD.put(&state);
    done(
        "a boot state",
        Number::BootState,
        [id, RECORD.address(), 0, 0],
    );
    guest
}
