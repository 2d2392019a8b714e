//! The worker: a guest that computes with all its registers while two timers interrupt it.

use core::arch::global_asm;

use micro_guests::abi::hypercall::{Number, PartitionAction};
use micro_guests::abi::partition::{BootSegment, BootState};
use micro_guests::cpu;

use crate::made::{CODE, Made, RECORD, TABLES, control, create, done};

/// Guest-physical addresses of the worker, which its code has as numbers.
pub const GDT: u64 = 0x2800;
pub const IDT_REGISTER: u64 = 0x2900;
pub const HAS_AVX: u64 = 0x2910;
pub const PATTERNS: u64 = 0x2a00;
pub const IDT: u64 = 0x3000;
pub const FAULT: u64 = 0x4000;
pub const TICKS: u64 = 0x4008;
pub const PIT_TICKS: u64 = 0x4010;
pub const DONE: u64 = 0x4018;
pub const WENT_BACK: u64 = 0x4020;
/// Whether it may go on to its end.
pub const GATE: u64 = 0x4028;
pub const RESULTS: u64 = 0x5000;
pub const RESULTS_END: u64 = 0x5400;
pub const CLOCK: u64 = 0x6000;
/// The TSC at each of the last ticks.
pub const LOG: u64 = 0x18_0000;
pub const LOG_ENTRIES: u64 = 4096;
/// Vectors: the 8254 through the 8259A, the local APIC's timer.
pub const PIT_VECTOR: u64 = 0x30;
pub const TIMER_VECTOR: u64 = 0x40;
/// Its vCPUs: the first works, the others wait for a start-up IPI. The state of all of them is longer than a page.
pub const VCPUS: u32 = 3;
/// Its RAM.
pub const MEGABYTES: u64 = 2;
global_asm!(
    "worker:",
    "mov esp, 0x7f00",
    "lidt [0x2900]",
    // x87 and SSE, with rounding and flushing that are not those after reset.
    "mov rax, cr0",
    "and eax, 0xfffffff3",
    "or eax, 0x22",
    "mov cr0, rax",
    "mov rax, cr4",
    "or eax, 0x600",
    "mov cr4, rax",
    "fninit",
    "fldpi",
    "fld1",
    "push 0x9f80",
    "ldmxcsr [rsp]",
    "movdqu xmm0, [0x2a00]",
    "movdqu xmm1, [0x2a10]",
    "movdqu xmm2, [0x2a20]",
    "movdqu xmm3, [0x2a30]",
    "movdqu xmm14, [0x2a40]",
    "movdqu xmm15, [0x2a50]",
    "cmp dword ptr [0x2910], 0",
    "je 2f",
    "mov rax, cr4",
    "bts rax, 18",
    "mov cr4, rax",
    "xor ecx, ecx",
    "xor edx, edx",
    "mov eax, 7",
    "xsetbv",
    "vinsertf128 ymm5, ymm5, [0x2a60], 1",
    // Debug registers, CR2, MSRs.
    "2: mov eax, 0x12340",
    "mov dr0, rax",
    "inc eax",
    "mov dr1, rax",
    "inc eax",
    "mov dr2, rax",
    "inc eax",
    "mov dr3, rax",
    "mov cr2, rax",
    "xor edx, edx",
    "mov ecx, 0x175",
    "wrmsr",
    "mov ecx, 0xc0000081",
    "mov edx, 0x00180008",
    "wrmsr",
    "mov edx, 0xffff8000",
    "mov ecx, 0xc0000082",
    "wrmsr",
    "mov ecx, 0xc0000102",
    "wrmsr",
    // The paravirtual clock.
    "mov ecx, 0x4b564d01",
    "mov eax, 0x6001",
    "xor edx, edx",
    "wrmsr",
    // The local APIC in x2APIC mode, its timer every 3 million counts.
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
    "mov eax, 0x20040",
    "wrmsr",
    "mov ecx, 0x838",
    "mov eax, 3000000",
    "wrmsr",
    // The 8259A: its first line is vector 0x30, the only one that is open; LINT0 lets it pass.
    "mov ecx, 0x835",
    "mov eax, 0x700",
    "wrmsr",
    "mov al, 0x11",
    "out 0x20, al",
    "mov al, 0x30",
    "out 0x21, al",
    "mov al, 4",
    "out 0x21, al",
    "mov al, 1",
    "out 0x21, al",
    "mov al, 0xfe",
    "out 0x21, al",
    // The 8254: channel 0 in mode 2, every 8192 counts.
    "mov al, 0x34",
    "out 0x43, al",
    "xor eax, eax",
    "out 0x40, al",
    "mov al, 0x20",
    "out 0x40, al",
    // All general-purpose registers take part.
    "mov eax, 0x1001",
    "mov ebx, 0x2002",
    "mov ecx, 0x3003",
    "mov edx, 0x4004",
    "mov esi, 0x5005",
    "mov edi, 0x6006",
    "mov ebp, 0x7007",
    "mov r8d, 0x8008",
    "mov r9d, 0x9009",
    "mov r10d, 0xa00a",
    "mov r11d, 0xb00b",
    "mov r12d, 0xc00c",
    "mov r13d, 0xd00d",
    "mov r14d, 0xe00e",
    "mov r15d, 1000000",
    "3: imul rax, rcx",
    "add rax, rbx",
    "rol rbx, 7",
    "xor rbx, rdx",
    "add rcx, rsi",
    "or rcx, 1",
    "xor rdx, rdi",
    "lea rsi, [rsi + rbp * 2 + 13]",
    "ror rdi, 11",
    "add rdi, r8",
    "xor rbp, r9",
    "add r8, r10",
    "rol r9, 5",
    "xor r9, r11",
    "add r10, r12",
    "xor r11, r13",
    "lea r12, [r12 + r14 + 7]",
    "rol r13, 3",
    "add r13, rax",
    "add r14, rbx",
    "paddq xmm0, xmm1",
    "pxor xmm1, xmm2",
    "paddq xmm2, xmm3",
    "pshufd xmm3, xmm3, 0x39",
    "paddq xmm3, xmm15",
    "pxor xmm15, xmm14",
    "paddq xmm14, xmm0",
    "fld1",
    "faddp st(1), st(0)",
    // Interrupts come now and then only, so that one waits most of the time.
    "test r15d, 0x3ff",
    "jnz 4f",
    "sti",
    "nop",
    "cli",
    // In the midst of it all it waits until it may go on, so that it is never done before it was paused.
    "4: cmp r15d, 500000",
    "jne 22f",
    "21: cmp dword ptr [0x4028], 0",
    "jne 22f",
    "inc dword ptr [0x4030]",
    "test dword ptr [0x4030], 0x3ff",
    "jnz 21b",
    "sti",
    "nop",
    "cli",
    "jmp 21b",
    "22: dec r15",
    "jnz 3b",
    "mov [0x5000], rax",
    "mov [0x5008], rbx",
    "mov [0x5010], rcx",
    "mov [0x5018], rdx",
    "mov [0x5020], rsi",
    "mov [0x5028], rdi",
    "mov [0x5030], rbp",
    "mov [0x5038], rsp",
    "mov [0x5040], r8",
    "mov [0x5048], r9",
    "mov [0x5050], r10",
    "mov [0x5058], r11",
    "mov [0x5060], r12",
    "mov [0x5068], r13",
    "mov [0x5070], r14",
    "mov [0x5078], r15",
    "movdqu [0x5080], xmm0",
    "movdqu [0x5090], xmm1",
    "movdqu [0x50a0], xmm2",
    "movdqu [0x50b0], xmm3",
    "movdqu [0x50c0], xmm14",
    "movdqu [0x50d0], xmm15",
    "fstp tbyte ptr [0x50e0]",
    "fstp tbyte ptr [0x50f0]",
    "stmxcsr [0x5100]",
    "fnstcw [0x5108]",
    "mov rax, dr0",
    "mov [0x5110], rax",
    "mov rax, dr1",
    "mov [0x5118], rax",
    "mov rax, dr2",
    "mov [0x5120], rax",
    "mov rax, dr3",
    "mov [0x5128], rax",
    "mov rax, cr2",
    "mov [0x5130], rax",
    "mov rax, cr3",
    "mov [0x5138], rax",
    "mov rax, cr4",
    "mov [0x5140], rax",
    "mov rax, cr0",
    "mov [0x5148], rax",
    "mov edi, 0x5150",
    "mov ecx, 0x175",
    "call 5f",
    "mov ecx, 0xc0000080",
    "call 5f",
    "mov ecx, 0xc0000081",
    "call 5f",
    "mov ecx, 0xc0000082",
    "call 5f",
    "mov ecx, 0xc0000102",
    "call 5f",
    "mov ecx, 0x277",
    "call 5f",
    "mov ecx, 0x1b",
    "call 5f",
    "mov ecx, 0x80f",
    "call 5f",
    "mov ecx, 0x832",
    "call 5f",
    "sgdt [0x5200]",
    "sidt [0x5210]",
    "str ax",
    "mov [0x5220], ax",
    "mov ax, ss",
    "mov [0x5222], ax",
    "cmp dword ptr [0x2910], 0",
    "je 6f",
    "vextractf128 [0x5230], ymm5, 1",
    "xor ecx, ecx",
    "xgetbv",
    "mov [0x5240], eax",
    "6: mov dword ptr [0x4018], 1",
    "7: sti",
    "hlt",
    "jmp 7b",
    "5: rdmsr",
    "mov [rdi], eax",
    "mov [rdi + 4], edx",
    "add edi, 8",
    "ret",
    "worker_fault:",
    "mov dword ptr [0x4000], 1",
    "8: cli",
    "hlt",
    "jmp 8b",
    "worker_ignored:",
    "iretq",
    "worker_pit:",
    "inc qword ptr [0x4010]",
    "push rax",
    "mov al, 0x20",
    "out 0x20, al",
    "pop rax",
    "iretq",
    "worker_tick:",
    "push rax",
    "push rcx",
    "push rdx",
    "rdtsc",
    "shl rdx, 32",
    "or rax, rdx",
    "mov rcx, [0x4008]",
    "dec rcx",
    "and ecx, 0xfff",
    "cmp rax, [rcx * 8 + 0x180000]",
    "jae 9f",
    "inc dword ptr [0x4020]",
    "9: mov rcx, [0x4008]",
    "and ecx, 0xfff",
    "mov [rcx * 8 + 0x180000], rax",
    "inc qword ptr [0x4008]",
    "mov ecx, 0x80b",
    "xor eax, eax",
    "xor edx, edx",
    "wrmsr",
    "pop rdx",
    "pop rcx",
    "pop rax",
    "iretq",
    "worker_end:",
);

unsafe extern "C" {
    static worker: u8;
    static worker_fault: u8;
    static worker_ignored: u8;
    static worker_pit: u8;
    static worker_tick: u8;
    static worker_end: u8;
}

/// Makes a worker that runs.
pub fn start(page: usize) -> Made {
    let guest = create(MEGABYTES, VCPUS, page);
    let code = &raw const worker;
    let bytes = (&raw const worker_end).addr() - code.addr();
    // SAFETY: the program is static, and the window no memory of this one.
    unsafe { code.copy_to_nonoverlapping(guest.word(CODE).cast(), bytes) };
    guest.put(TABLES, (TABLES + 0x1000) | 3);
    for gigabyte in 0..4 {
        guest.put(TABLES + 0x1000 + gigabyte * 8, gigabyte << 30 | 0x83);
    }
    for (number, descriptor) in [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff]
        .iter()
        .enumerate()
    {
        guest.put(GDT + number as u64 * 8, *descriptor);
    }
    let gate = |vector: u64, handler: *const u8| {
        let at = CODE + (handler.addr() - code.addr()) as u64;
        // A present interrupt gate of the code segment.
        guest.put(
            IDT + vector * 16,
            at & 0xffff | 8 << 16 | 0x8e00 << 32 | at >> 16 << 48,
        );
        guest.put(IDT + vector * 16 + 8, 0);
    };
    for vector in 0..256 {
        gate(vector, &raw const worker_fault);
    }
    gate(PIT_VECTOR, &raw const worker_pit);
    gate(PIT_VECTOR + 7, &raw const worker_ignored);
    gate(TIMER_VECTOR, &raw const worker_tick);
    gate(0xff, &raw const worker_ignored);
    guest.put(IDT_REGISTER, 0xfff | IDT << 16);
    guest.put(IDT_REGISTER + 8, 0);
    // XSAVE and AVX.
    let features = cpu::cpuid(1, 0)[2];
    guest.put(HAS_AVX, u64::from(features >> 26 & features >> 28 & 1));
    for word in 0..14u64 {
        let pattern = (word + 1).wrapping_mul(0x0123_4567_89ab_cdef);
        guest.put(PATTERNS + word * 8, pattern);
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
        gdt_base: GDT,
        gdt_limit: 23,
        ..BootState::default()
    };
    RECORD.put(&state);
    done(
        "a boot state",
        Number::BootState,
        [guest.id, RECORD.address(), 0, 0],
    );
    control(guest, PartitionAction::Start);
    guest
}
