//! The local APIC of each CPU, in xAPIC or x2APIC mode (APM 2 16, SDM 3A 11).
//!
//! One mode for the whole machine, chosen once on the boot CPU. Each CPU calls [`enable`]; after
//! that the functions act on the APIC of the CPU that calls them.

use core::sync::atomic::{AtomicU8, Ordering};

use bulkhead_core::addr::Hpa;
use bulkhead_core::id::{ApicId, Vector};

use crate::idt::SPURIOUS;
use crate::layout::LOCAL_APIC;
use crate::msr::Msr;

/// How the registers are reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ApicMode {
    /// Through memory; ids have 8 bits.
    Xapic = 1,
    /// Through MSRs; ids have 32 bits.
    X2apic = 2,
}

/// 0: no APIC is enabled yet; else the number of an [`ApicMode`].
static MODE: AtomicU8 = AtomicU8::new(0);

/// The chosen mode; `None` before [`enable`].
#[inline]
pub fn mode() -> Option<ApicMode> {
    match MODE.load(Ordering::Relaxed) {
        1 => Some(ApicMode::Xapic),
        2 => Some(ApicMode::X2apic),
        _ => None,
    }
}

/// A register, by its offset in the xAPIC page; the x2APIC MSR follows from it.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Register {
    Id = 0x20,
    TaskPriority = 0x80,
    EndOfInterrupt = 0xb0,
    Spurious = 0xf0,
    InService = 0x100,
    ErrorStatus = 0x280,
    Command = 0x300,
    CommandHigh = 0x310,
    Timer = 0x320,
    Lint0 = 0x350,
    Lint1 = 0x360,
    Error = 0x370,
    InitialCount = 0x380,
    CurrentCount = 0x390,
    Divide = 0x3e0,
}

const APIC_BASE_ENABLE: u64 = 1 << 11;
const APIC_BASE_X2APIC: u64 = 1 << 10;
const APIC_BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const LVT_MASKED: u32 = 1 << 16;
const LVT_NMI: u32 = 4 << 8;
const SPURIOUS_ENABLE: u32 = 1 << 8;
/// Divide configuration: by 1.
const DIVIDE_BY_1: u32 = 0b1011;

const COMMAND_NMI: u32 = 4 << 8;
const COMMAND_INIT: u32 = 5 << 8;
const COMMAND_STARTUP: u32 = 6 << 8;
const COMMAND_ASSERT: u32 = 1 << 14;
const COMMAND_LEVEL: u32 = 1 << 15;
const COMMAND_PENDING: u32 = 1 << 12;
const COMMAND_ALL_BUT_SELF: u32 = 3 << 18;

/// Where the registers of xAPIC mode are in physical memory.
pub fn base() -> Hpa {
    Hpa::new(Msr::APIC_BASE.read() & APIC_BASE_ADDRESS)
}

/// Switches the running CPU's APIC on in `mode`, everything masked but NMIs.
///
/// # Safety
/// The IDT must be loaded. In xAPIC mode the register page must be mapped at
/// [`LOCAL_APIC`]; in x2APIC mode the CPU must have it. All CPUs must use the same mode.
pub unsafe fn enable(mode: ApicMode) {
    let base = Msr::APIC_BASE.read();
    let off = base & !(APIC_BASE_ENABLE | APIC_BASE_X2APIC);
    // SAFETY: these are the documented transitions (SDM 3A 11.12.5): leaving x2APIC leads through
    // the disabled state, entering it leads through xAPIC mode.
    unsafe {
        if base & APIC_BASE_X2APIC != 0 && mode == ApicMode::Xapic {
            Msr::APIC_BASE.write(off);
        }
        if base & APIC_BASE_X2APIC == 0 || mode == ApicMode::Xapic {
            Msr::APIC_BASE.write(off | APIC_BASE_ENABLE);
        }
        if mode == ApicMode::X2apic {
            Msr::APIC_BASE.write(off | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
        }
    }
    MODE.store(mode as u8, Ordering::Relaxed);
    write(Register::Spurious, SPURIOUS_ENABLE | u32::from(SPURIOUS));
    write(Register::Timer, LVT_MASKED);
    write(Register::Lint0, LVT_MASKED);
    write(Register::Lint1, LVT_NMI);
    write(Register::Error, LVT_MASKED);
    write(Register::Divide, DIVIDE_BY_1);
    write(Register::InitialCount, 0);
    write(Register::ErrorStatus, 0);
    // After the masks: QEMU looks again at what is pending only when the priority is written. An
    // 8259 interrupt from before LINT0 was masked would else arrive as vector -1, which is #GP.
    write(Register::TaskPriority, 0);
    // The firmware may have left interrupts in service; one end for each possible priority.
    for _ in 0..16 {
        let in_service = (0..8).fold(0, |sum, word| sum | read_in_service(word));
        if in_service == 0 {
            break;
        }
        end_of_interrupt();
    }
}

/// The id of the running CPU's APIC; `None` before [`enable`].
pub fn id() -> Option<ApicId> {
    let id = mode().map(|_| read(Register::Id))?;
    Some(match mode()? {
        ApicMode::Xapic => ApicId(id >> 24),
        ApicMode::X2apic => ApicId(id),
    })
}

/// Ends the interrupt in service. The interrupt stubs do so themselves.
#[inline]
pub fn end_of_interrupt() {
    write(Register::EndOfInterrupt, 0);
}

/// Sends the interrupt `vector` to a CPU: its stub sets the pending bit.
#[inline]
pub fn send(target: ApicId, vector: Vector) {
    command(target, u32::from(vector.0) | COMMAND_ASSERT);
}

/// Resets another CPU: it waits for [`send_startup`] then.
///
/// # Safety
/// Nothing may rely on what the target CPU was doing.
pub unsafe fn send_init(target: ApicId) {
    command(target, COMMAND_INIT | COMMAND_ASSERT | COMMAND_LEVEL);
    command(target, COMMAND_INIT | COMMAND_LEVEL);
}

/// Starts a CPU that waits after INIT, in real mode at physical page `page`.
///
/// # Safety
/// The page must hold code for that.
pub unsafe fn send_startup(target: ApicId, page: u8) {
    command(target, COMMAND_STARTUP | COMMAND_ASSERT | u32::from(page));
}

/// Orders all other CPUs to stop, by NMI. Does nothing before the APIC is enabled.
pub fn stop_others() {
    if mode().is_some() {
        command(
            ApicId(0),
            COMMAND_ALL_BUT_SELF | COMMAND_NMI | COMMAND_ASSERT,
        );
    }
}

/// Lets the timer raise `vector` once after `count` ticks; replaces what was armed. 0 disarms.
#[inline]
pub fn arm_timer(vector: Vector, count: u32) {
    write(Register::Timer, u32::from(vector.0));
    write(Register::InitialCount, count);
}

/// Starts the timer at `count` without an interrupt, to measure its rate.
pub fn start_silent_timer(count: u32) {
    write(Register::Timer, LVT_MASKED);
    write(Register::InitialCount, count);
}

/// What is left of the timer's count.
pub fn timer_count() -> u32 {
    read(Register::CurrentCount)
}

#[inline]
fn command(target: ApicId, command: u32) {
    match mode() {
        Some(ApicMode::Xapic) => {
            /// Polls until a command that is still being sent counts as stuck.
            const PATIENCE: u32 = 1_000_000;
            for _ in 0..PATIENCE {
                if read(Register::Command) & COMMAND_PENDING == 0 {
                    break;
                }
                core::hint::spin_loop();
            }
            write(Register::CommandHigh, target.0 << 24);
            write(Register::Command, command);
        }
        Some(ApicMode::X2apic) => {
            let number = Msr::X2APIC_BASE.0 + (Register::Command as u32 >> 4);
            // SAFETY: interrupts go to the stubs of the target; INIT and start-up are vouched for
            // by the callers of the unsafe functions that send them. The fence makes what the
            // interrupt announces visible first: WRMSR to x2APIC does not order stores.
            unsafe {
                core::arch::asm!("mfence", "lfence", options(nostack, preserves_flags));
                Msr(number).write(u64::from(target.0) << 32 | u64::from(command));
            }
        }
        None => {}
    }
}

fn read_in_service(word: u32) -> u32 {
    read_at(Register::InService as u32 + word * 0x10)
}

#[inline]
fn read(register: Register) -> u32 {
    read_at(register as u32)
}

#[inline]
fn read_at(offset: u32) -> u32 {
    match mode() {
        Some(ApicMode::Xapic) => {
            let address = LOCAL_APIC as usize + offset as usize;
            // SAFETY: the mode says that `enable` ran, whose caller mapped the register page.
            unsafe { core::ptr::with_exposed_provenance::<u32>(address).read_volatile() }
        }
        Some(ApicMode::X2apic) => Msr(Msr::X2APIC_BASE.0 + (offset >> 4)).read() as u32,
        None => 0,
    }
}

#[inline]
fn write(register: Register, value: u32) {
    match mode() {
        Some(ApicMode::Xapic) => {
            let address = LOCAL_APIC as usize + register as usize;
            // SAFETY: the mode says that `enable` ran, whose caller mapped the register page; no
            // value of these registers touches memory.
            unsafe {
                core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(value);
            }
        }
        Some(ApicMode::X2apic) => {
            let number = Msr::X2APIC_BASE.0 + (register as u32 >> 4);
            // SAFETY: as above, by MSR.
            unsafe { Msr(number).write(u64::from(value)) }
        }
        None => {}
    }
}
