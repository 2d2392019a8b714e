//! Ways to end badly, one by `way=`: each must stop this partition, with the cause in the crash record, and nothing else.
#![no_std]
#![no_main]

use core::arch::asm;

use micro_guests::abi::hypercall::StopReason;
use micro_guests::abi::start::StartInfo;
use micro_guests::{apic, fail, guest, idt, number, option, say, stop, trap};

guest!(main);

/// An address whose page is not present: the first behind the 512 GiB that are mapped.
const UNMAPPED: u64 = 512 << 30;

fn main(info: &'static StartInfo) {
    let way = option(info, "way").unwrap_or("");
    let at = number(info, "at").unwrap_or(0xd000_0000);
    say!("{way}");
    // SAFETY: this partition is to be ended by what follows; whatever it does to itself is the test.
    unsafe {
        match way {
            "no-idt" => {
                load_idt(0, 0);
                asm!("ud2");
            }
            "zero-idt" => {
                load_idt(0, 4095);
                asm!("int3");
            }
            "idt-in-hole" => {
                load_idt(at, 4095);
                asm!("int3");
            }
            "non-canonical-idt" => {
                load_idt(0x8000_0000_0000_0000, 4095);
                asm!("int3");
            }
            "bad-gdt" => {
                trap::install();
                load_gdt(at, 0xffff);
                asm!("push 0x18", "push 0", "retfq");
            }
            "short-gdt" => {
                load_gdt(0, 0);
                // The return by IRET needs CS.
                asm!("int3");
            }
            "bad-task" => bad_task(),
            "bad-stack" => {
                trap::install();
                asm!("mov rsp, {}", "push rax", in(reg) at, options(noreturn));
            }
            "non-canonical-stack" => {
                trap::install();
                let stack = 0x8000_0000_0000_0000u64;
                asm!("mov rsp, {}", "push rax", in(reg) stack, options(noreturn));
            }
            "non-canonical-jump" => {
                load_idt(0, 0);
                let target = 0x8000_0000_0000_0000u64;
                asm!("jmp {}", in(reg) target);
            }
            "no-paging" => asm!("mov cr3, {}", "jmp 2f", "2:", "nop", in(reg) at),
            "tables-with-reserved-bits" => reserved_bits(),
            "read" => {
                let _ = (at as *const u64).read_volatile();
            }
            "write" => (at as *mut u64).write_volatile(1),
            "run" => asm!("jmp {}", in(reg) at),
            "page-tables" => page_tables(at),
            "atomic" => asm!("lock cmpxchg8b [{}]", in(reg) at, out("eax") _, out("edx") _),
            "cache-disabled-without-cache-off" => {
                asm!("mov rax, cr0", "or rax, 0x20000000", "mov cr0, rax", "cpuid",
                     out("rax") _, out("rcx") _, out("rdx") _);
            }
            "halt-for-ever" => loop {
                asm!("cli", "hlt");
            },
            "report" => stop(StopReason::Failed),
            "real-mode" => real_mode(),
            "step" => step_over(),
            "alignment" => alignment(),
            "sse-at-apic" => {
                apic_page_on();
                asm!("mov rax, cr0", "and rax, -5", "mov cr0, rax", "mov rax, cr4", "or rax, 0x600",
                     "mov cr4, rax", "movaps xmm0, [{}]", in(reg) 0xfee0_0080u64, out("rax") _);
            }
            "x87-at-apic" => asm!("fninit", "fld qword ptr [{}]", in(reg) 0xfee0_0080u64),
            "far-jump-at-apic" => asm!(".byte 0xff, 0x2e", in("rsi") 0xfee0_0080u64),
            "bit-test-at-apic" => {
                asm!("lock bts dword ptr [{}], 1", in(reg) 0xfee0_0080u64);
                say!("done");
                stop(StopReason::Failed);
            }
            "task-switch" => task_switch(),
            other => fail(format_args!("unknown way {other:?}")),
        }
    }
    // What the guest gets away with ends it all the same, so that the record must show another cause.
    fail(format_args!("{way} is survived"));
}

fn apic_page_on() {
    apic::enable_memory_mapped();
}

#[repr(C, packed)]
struct Pointer(u16, u64);

unsafe fn load_idt(base: u64, limit: u16) {
    let pointer = Pointer(limit, base);
    // SAFETY: the caller's.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer) };
}

unsafe fn load_gdt(base: u64, limit: u16) {
    let pointer = Pointer(limit, base);
    // SAFETY: the caller's.
    unsafe { asm!("lgdt [{}]", in(reg) &raw const pointer) };
}

/// A gate with an interrupt stack where no task segment is.
unsafe fn bad_task() {
    trap::install();
    for vector in [3, 8, 10, 11, 12, 13, 14] {
        idt::set_with_stack(vector, 0x1000, 1);
    }
    // SAFETY: the caller's.
    unsafe { asm!("int3") };
}

/// Page tables whose second level lies where nothing is.
unsafe fn page_tables(hole: u64) {
    let table = 0x9_0000 as *mut u64;
    // SAFETY: the caller's.
    unsafe {
        let cr3: u64;
        asm!("mov {}, cr3", out(reg) cr3);
        table.copy_from(cr3 as *const u64, 512);
        table.add(1).write(hole | 0x23);
        asm!("mov cr3, {}", in(reg) table);
        let _ = ((512u64 << 30) as *const u64).read_volatile();
    }
}

/// Reserved bits in every table entry.
unsafe fn reserved_bits() {
    let table = 0x9_0000 as *mut u64;
    // SAFETY: the caller's.
    unsafe {
        for index in 0..512 {
            table.add(index).write(!0x1_0000_0000_0000);
        }
        asm!("mov cr3, {}", "nop", in(reg) table);
    }
}

/// Leaves long mode for real mode, where the image's own bytes are run.
unsafe fn real_mode() {
    let code = 0x8000 as *mut u8;
    // In compatibility mode: paging off, protection off, then on at address 0.
    let bytes = [
        0x0f, 0x20, 0xc0, // mov eax, cr0
        0x25, 0xfe, 0xff, 0xff, 0x7f, // and eax, 0x7ffffffe
        0x0f, 0x22, 0xc0, // mov cr0, eax
        0xea, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // jmp 0:0
    ];
    let table = 0x9000 as *mut u64;
    // SAFETY: the caller's.
    unsafe {
        code.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        for (index, entry) in [0, 0x00cf_9b00_0000_ffff_u64, 0x00cf_9300_0000_ffff]
            .iter()
            .enumerate()
        {
            table.add(index).write(*entry);
        }
        load_gdt(table as u64, 23);
        asm!("push 8", "push 0x8000", "retfq");
    }
}

/// Leaves long mode, where there are no task switches, and jumps to a task that is all zero.
unsafe fn task_switch() {
    let code = 0x8000 as *mut u8;
    // In compatibility mode: paging off, then with segments of 32 bits and a task of its own to the other task.
    let bytes = [
        0x0f, 0x20, 0xc0, // mov eax, cr0
        0x25, 0xff, 0xff, 0xff, 0x7f, // and eax, 0x7fffffff
        0x0f, 0x22, 0xc0, // mov cr0, eax
        0xb8, 0x10, 0x00, 0x00, 0x00, // mov eax, 0x10
        0x8e, 0xd0, // mov ss, ax
        0x8e, 0xd8, // mov ds, ax
        0xb8, 0x18, 0x00, 0x00, 0x00, // mov eax, 0x18
        0x0f, 0x00, 0xd8, // ltr ax
        0xea, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00, // jmp 0x20:0
    ];
    let table = 0x9000_u64;
    let task = |base: u64| 0x8900_0000_0067 | base << 16;
    let descriptors = [
        0,
        0x00cf_9b00_0000_ffff,
        0x00cf_9300_0000_ffff,
        task(0xa000),
        task(0xa100),
    ];
    // SAFETY: the caller's.
    unsafe {
        code.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        (table as *mut [u64; 5]).write_volatile(descriptors);
        load_gdt(table, 39);
        asm!("push 8", "push 0x8000", "retfq");
    }
}

/// Single-stepping with a handler whose stack is gone: #DB in #DB in #DB.
unsafe fn step_over() {
    trap::install();
    idt::set_with_stack(1, UNMAPPED, 0);
    // SAFETY: the caller's. The handler's page is not mapped, and #PF ends where it began.
    unsafe {
        for vector in [8, 11, 12, 13, 14] {
            idt::set(vector, UNMAPPED);
        }
        asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop", "nop");
    }
}

/// #AC whose handler's page is missing.
unsafe fn alignment() {
    trap::install();
    for vector in [8, 12, 13, 14, 17] {
        idt::set(vector, UNMAPPED);
    }
    // SAFETY: the caller's.
    unsafe { asm!("int 17") };
}
