//! INS and OUTS: to the console, to the hypervisor's own devices, with every address form; faults and interrupts between two
//! iterations (`exact=1`: the clock counts instructions); with `served=1` also on ports that the partition `responder` answers.
#![no_std]
#![no_main]

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use micro_guests::abi::DEBUG_PORT;
use micro_guests::abi::start::StartInfo;
use micro_guests::trap::{self, Frame, Hooked};
use micro_guests::{apic, attempt, check, cpu, guest, number, say};

guest!(main);

const POST_PORT: u16 = 0x80;
/// The mask of the first 8259A.
const PIC_MASK: u16 = 0x21;
const FS_BASE: u32 = 0xc000_0100;
/// Here the start tables map nothing.
const UNMAPPED: u64 = 512 << 30;
const VECTOR: u8 = 0x50;

fn main(info: &'static StartInfo) {
    trap::install();
    apic::enable();
    console();
    let served = number(info, "served") == Some(1);
    devices(served);
    address_forms();
    faults();
    interrupts(number(info, "exact") == Some(1));
    if served {
        answers();
    }
}

fn console() {
    let line = b"a line in one instruction\n";
    // SAFETY: reads the line.
    unsafe {
        asm!("rep outsb", in("dx") DEBUG_PORT, inout("rcx") line.len() => _,
             inout("rsi") line.as_ptr() => _, options(nostack));
    }
}

fn devices(served: bool) {
    let mut bytes = [0u8; 8];
    cpu::out8(PIC_MASK, 0xb7);
    let (count, end): (u64, *mut u8);
    // SAFETY: writes five of the eight bytes.
    unsafe {
        asm!("rep insb", in("dx") PIC_MASK, inout("rcx") 5u64 => count,
             inout("rdi") bytes.as_mut_ptr() => end, options(nostack));
    }
    check!(
        bytes == [0xb7, 0xb7, 0xb7, 0xb7, 0xb7, 0, 0, 0],
        "read {bytes:x?}"
    );
    check!(count == 0, "RCX is {count} after five bytes");
    let moved = end.addr() - bytes.as_ptr().addr();
    check!(moved == 5, "RDI moved by {moved}");
    let words = [0x0102_0304u32, 0x0506_0708, 0xff];
    let source: *const u32;
    // Nobody has the port: the writes vanish. Downwards.
    // SAFETY: reads the words.
    unsafe {
        asm!("std", "rep outsd", "cld", in("dx") 0x700u16, inout("rcx") 3u64 => _,
             inout("rsi") &raw const words[2] => source, options(nostack));
    }
    let moved = source.addr() as i64 - words.as_ptr().addr() as i64;
    check!(moved == -4, "RSI ended {moved} from the start");
    let mut word = 0u32;
    // SAFETY: writes the word.
    unsafe {
        asm!("insd", in("dx") 0x700u16, inout("rdi") &raw mut word => _, options(nostack));
    }
    // The responder answers on all ports, but may not be there yet.
    check!(
        word == u32::MAX || served && word == 0x701,
        "a port without a device gave {word:#x}"
    );
    cpu::out8(PIC_MASK, 0xff);
}

fn address_forms() {
    let value = [0x5au8, 0xa5];
    let address = value.as_ptr().addr() as u64;
    cpu::wrmsr(FS_BASE, address - 0x1000);
    let source: u64;
    // SAFETY: reads the first byte.
    unsafe {
        asm!("outsb dx, byte ptr fs:[rsi]", in("dx") PIC_MASK, inout("rsi") 0x1000u64 => source,
             options(nostack));
    }
    let mask = cpu::in8(PIC_MASK);
    check!(
        (mask, source) == (0x5a, 0x1001),
        "FS: {mask:#x}, RSI {source:#x}"
    );
    let (count, source): (u64, u64);
    // 32-bit addresses: the upper halves of RCX and RSI do not count.
    // SAFETY: reads both bytes, which lie below 4 GiB.
    unsafe {
        asm!(".byte 0x67, 0xf3, 0x6e", in("dx") PIC_MASK, inout("rcx") 7u64 << 32 | 2 => count,
             inout("rsi") 9u64 << 32 | address => source, options(nostack));
    }
    let mask = cpu::in8(PIC_MASK);
    check!(mask == 0xa5, "32 bits: {mask:#x}");
    check!(
        count == 0 && source == address + 2,
        "RCX {count:#x}, RSI {source:#x}"
    );
    cpu::out8(PIC_MASK, 0xff);
}

fn faults() {
    let (mut left, mut at) = (3u64, UNMAPPED);
    let fault = attempt!(["rep insb"], in("dx") PIC_MASK, inout("rcx") left, inout("rdi") at);
    let (code, cr2) = (trap::ERROR.load(SeqCst), cr2());
    check!(fault == Some(14), "INS to nothing gave {fault:?}");
    check!((code, cr2) == (2, UNMAPPED), "error {code}, CR2 {cr2:#x}");
    check!((left, at) == (3, UNMAPPED), "RCX {left}, RDI {at:#x}");
    // The CPU faults at the first byte of the missing page.
    (left, at) = (1, UNMAPPED - 1);
    let fault = attempt!(["rep outsd"], in("dx") 0x700u16, inout("rcx") left, inout("rsi") at);
    let (code, cr2) = (trap::ERROR.load(SeqCst), self::cr2());
    check!(fault == Some(14), "OUTS across the border gave {fault:?}");
    check!((code, cr2) == (0, UNMAPPED), "error {code}, CR2 {cr2:#x}");
    check!((left, at) == (1, UNMAPPED - 1), "RCX {left}, RSI {at:#x}");
    at = 0x8000_0000_0000;
    let fault = attempt!(["outsb"], in("dx") PIC_MASK, inout("rsi") at);
    check!(fault == Some(13), "a non-canonical address gave {fault:?}");
    check!(at == 0x8000_0000_0000, "RSI {at:#x}");
}

fn cr2() -> u64 {
    let value;
    // SAFETY: changes nothing.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// RCX when the interrupt came in the middle.
static LEFT: AtomicU64 = AtomicU64::new(0);
/// How often it came there.
static BETWEEN: AtomicU64 = AtomicU64::new(0);

fn interrupts(exact: bool) {
    const COUNT: u64 = 200_000;
    trap::hook(VECTOR, |frame: &mut Frame| {
        let left = frame.registers[Frame::RCX];
        // SAFETY: the code that was interrupted.
        let code = unsafe { *(frame.rip as *const [u8; 2]) };
        if code == [0xf3, 0x6e] && left > 0 && left < COUNT {
            LEFT.store(left, SeqCst);
            BETWEEN.fetch_add(1, SeqCst);
        }
        Hooked::End
    });
    // Every 100 microseconds or so; the port does nothing.
    cpu::wrmsr(apic::LVT_TIMER, 1 << 17 | u64::from(VECTOR));
    cpu::wrmsr(apic::TIMER_INITIAL, 100_000);
    let (count, end): (u64, u64);
    cpu::sti();
    // SAFETY: only reads, from RAM of the guest.
    unsafe {
        asm!("rep outsb", in("dx") POST_PORT, inout("rcx") COUNT => count,
             inout("rsi") 0x10_0000u64 => end, options(nostack));
    }
    cpu::cli();
    cpu::wrmsr(apic::TIMER_INITIAL, 0);
    check!(
        (count, end) == (0, 0x10_0000 + COUNT),
        "RCX {count}, RSI {end:#x}"
    );
    let times = BETWEEN.load(SeqCst);
    check!(
        times > 0 || !exact,
        "no interrupt came between two iterations"
    );
    say!(
        "{times} interrupts came, the last with {} bytes left",
        LEFT.load(SeqCst)
    );
}

fn answers() {
    // Until the responder has registered, nobody answers and reads give ones.
    while cpu::in32(0xb00) == u32::MAX {
        core::hint::spin_loop();
    }
    let mut words = [0u16; 4];
    // SAFETY: writes three of the words.
    unsafe {
        asm!("rep insw", in("dx") 0xb04u16, inout("rcx") 3u64 => _,
             inout("rdi") words.as_mut_ptr() => _, options(nostack));
    }
    check!(
        words == [0xb05, 0xb05, 0xb05, 0],
        "the answers were {words:x?}"
    );
    let (count, end): (u64, *const u16);
    // SAFETY: reads the words.
    unsafe {
        asm!("rep outsw", in("dx") 0xb06u16, inout("rcx") 4u64 => count,
             inout("rsi") words.as_ptr() => end, options(nostack));
    }
    let moved = end.addr() - words.as_ptr().addr();
    check!(
        (count, moved) == (0, 8),
        "RCX {count}, RSI moved by {moved}"
    );
    // A doorbell, by string.
    // SAFETY: reads the words.
    unsafe {
        asm!("rep outsd", in("dx") 0xb10u16, inout("rcx") 2u64 => _,
             inout("rsi") words.as_ptr() => _, options(nostack));
    }
}
