//! The end of the hypervisor: a crash record on the console, every CPU halted in order.

mod calls;
mod decode;

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use calls::Calls;

use crate::shutdown::{self, ExitCode};
use crate::{apic, console, log, registers};

/// The number of the CPU that crashed first, plus one; 0 while all is well. The NMI stub reads it.
pub(crate) static CRASHING: AtomicU32 = AtomicU32::new(0);

/// What the exception stubs push.
#[derive(Debug)]
#[repr(C)]
pub struct Frame {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rcx: u64,
    rax: u64,
    vector: u64,
    error_code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            [("RAX", self.rax), ("RBX", self.rbx), ("RCX", self.rcx)],
            [("RDX", self.rdx), ("RSI", self.rsi), ("RDI", self.rdi)],
            [("RBP", self.rbp), ("RSP", self.rsp), ("R8 ", self.r8)],
            [("R9 ", self.r9), ("R10", self.r10), ("R11", self.r11)],
            [("R12", self.r12), ("R13", self.r13), ("R14", self.r14)],
            [("R15", self.r15), ("RIP", self.rip), ("RFL", self.rflags)],
            [("CS ", self.cs), ("SS ", self.ss), ("ERR", self.error_code)],
        ];
        for row in rows {
            f.write_str("bulkhead: ")?;
            for (name, value) in row {
                write!(f, " {name} {value:016x}")?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}

/// Ends with the record of an exception in the hypervisor.
pub(crate) fn exception(frame: &Frame) -> ! {
    let fault_address = registers::cr2();
    let cause = decode::Cause {
        vector: frame.vector as u8,
        error_code: frame.error_code,
        fault_address,
        rsp: frame.rsp,
    };
    end(
        format_args!("{cause} at {:#x}", frame.rip),
        format_args!(
            "{frame}bulkhead:  CR0 {:016x} CR2 {fault_address:016x} CR3 {:016x} CR4 {:016x}\n{}",
            registers::cr0(),
            registers::cr3().as_u64(),
            registers::cr4(),
            Calls { rsp: frame.rsp },
        ),
    )
}

/// Ends with the record of a bug that the code itself noticed.
pub fn bug(what: fmt::Arguments<'_>) -> ! {
    let rsp = registers::stack_pointer();
    end(what, format_args!("{}", Calls { rsp }))
}

fn end(what: fmt::Arguments<'_>, details: fmt::Arguments<'_>) -> ! {
    registers::disable_interrupts();
    let me = apic::id().map_or(0, |id| id.0);
    // Only the first CPU to crash reports; the order to stop reaches the others as an NMI.
    if CRASHING
        .compare_exchange(0, me + 1, Ordering::SeqCst, Ordering::SeqCst)
        .is_err()
    {
        if CRASHING.load(Ordering::SeqCst) == me + 1 {
            // A crash while reporting the crash: nothing here can be trusted any more.
            shutdown::exit_qemu(ExitCode::Crashed);
        }
        registers::halt();
    }
    apic::stop_others();
    let mut console = console::seize();
    log::drain_into(&mut console, u32::MAX);
    console.line(format_args!(
        "bulkhead: crash: {what}\nbulkhead:  on the CPU with APIC id {me}, TSC {}\n",
        registers::tsc().0
    ));
    console.line(details);
    console.line(format_args!("bulkhead: all CPUs are halted\n"));
    drop(console);
    shutdown::exit_qemu(ExitCode::Crashed);
    registers::halt()
}
