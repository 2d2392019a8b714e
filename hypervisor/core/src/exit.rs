//! The exit loop: enters the guest, handles why it came back, enters again.
//!
//! [`run`] is called by the run loop of a physical CPU for the vCPU that it has picked, and returns when that CPU must look at
//! something else. Everything in between runs with the host's interrupts held back, takes no lock on the hot paths,
//! allocates nothing and prints nothing.

mod attend;
pub(crate) mod clock;
mod control;
pub(crate) mod crash;
pub(crate) mod deliver;
mod emulation;
mod fault;
mod length;
mod msr;
mod port;
mod string_port;
#[cfg(test)]
mod tests;

use core::ops::ControlFlow;

pub use deliver::deliver_message;

use crate::cpuid::VcpuDynamic;
use crate::decode::Intercepted;
use crate::fault::{GuestFault, StopCause};
use crate::host::Host;
use crate::hypercall;
use crate::vcpu::{Exit, Gpr, Vcpu};
use crate::vcpu_record::{Activity, VcpuRecord, Work};

/// Why the run loop has the CPU again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    /// Host interrupts were taken: look at them. The vCPU can run on.
    Interrupted,
    /// Another vCPU of this CPU may be more urgent. The vCPU can run on.
    Yield,
    /// The vCPU waits for an event.
    Halted,
    /// The vCPU waits for the answer to an I/O request.
    WaitIo,
    /// The partition is paused.
    Paused,
    /// The partition does not run any more.
    Stopped,
}

/// What an exit handler decides.
pub type Flow = ControlFlow<Leave>;

/// The guest goes on.
pub const RESUME: Flow = ControlFlow::Continue(());

/// Runs the vCPU until this CPU must look at something else.
pub fn run<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H, cpu: &mut V::Cpu) -> Leave {
    vcpu.hw.hold_interrupts();
    if host.has_vectors() {
        // It came after the run loop's look, and no exit would announce it any more.
        vcpu.hw.release_interrupts();
        return Leave::Interrupted;
    }
    if V::POSSIBLE && vcpu.apic.is_lent() {
        // What the CPU holds is looked at again before it goes on where it was interrupted.
        vcpu.work |= Work::EVENT;
    }
    let leave = loop {
        if vcpu.has_work() {
            if vcpu.work == Work::EVENT && vcpu.can_go_on() {
                // An interrupt of the vCPU's own making: nothing else needs a look.
                vcpu.work = Work::empty();
                attend::deliver(vcpu, host);
            } else if let ControlFlow::Break(leave) = attend::attend(vcpu, host, cpu) {
                break leave;
            }
        }
        let exit = vcpu.hw.enter();
        if let Some(count) = vcpu.exits.get_mut(exit.kind()) {
            *count = count.wrapping_add(1);
        }
        if let ControlFlow::Break(leave) = dispatch(vcpu, host, exit) {
            break leave;
        }
    };
    // Whatever made it leave, the run loop looks at everything now.
    vcpu.work.remove(Work::YIELD | Work::YIELD_SOON);
    vcpu.hw.release_interrupts();
    leave
}

#[inline(always)]
fn dispatch<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H, exit: Exit) -> Flow {
    match exit {
        Exit::MsrWrite => msr::write(vcpu, host),
        Exit::MsrRead => msr::read(vcpu, host),
        Exit::Cpuid => cpuid(vcpu, host),
        Exit::Hypercall => hypercall_exit(vcpu, host),
        Exit::Port(access) => port::port(vcpu, host, access),
        Exit::Interrupt => ControlFlow::Break(Leave::Interrupted),
        Exit::Halt => halt(vcpu, host),
        other => rare(vcpu, host, other),
    }
}

#[cold]
#[inline(never)]
fn rare<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H, exit: Exit) -> Flow {
    match exit {
        Exit::Window => {
            vcpu.work |= Work::EVENT;
            RESUME
        }
        Exit::NestedFault(fault) => fault::nested_fault(vcpu, host, fault),
        Exit::Exception(exception) => raise(vcpu, host, GuestFault::Inject(exception)),
        Exit::ControlWrite => control::control_write(vcpu, host),
        Exit::XSetBv => control::xsetbv(vcpu, host),
        Exit::CacheFlush => {
            // Memory is coherent for everything a partition can reach: there is nothing to flush.
            let Some(next) =
                length::next_rip(vcpu, host, &[Intercepted::Invd, Intercepted::Wbinvd])?
            else {
                return RESUME;
            };
            vcpu.hw.complete(next);
            RESUME
        }
        Exit::Undefined => raise(vcpu, host, GuestFault::UD),
        Exit::PerformanceCounter => raise(vcpu, host, GuestFault::GP0),
        Exit::TripleFault => crash::stop(vcpu, host, StopCause::TripleFault, None),
        Exit::InvalidState => crash::stop(vcpu, host, StopCause::InvalidState, None),
        Exit::MachineCheck => crash::stop(vcpu, host, StopCause::MachineCheck, None),
        Exit::Unknown => crash::stop(vcpu, host, StopCause::UnknownExit, None),
        Exit::EndOfInterrupt(vector) => {
            let effect = vcpu.apic.ended(vector);
            deliver::apply(vcpu, host, effect)
        }
        Exit::SelfIpi(vector) => {
            vcpu.apic.self_ipi(vector);
            vcpu.work |= Work::EVENT;
            RESUME
        }
        // The hot exits were dispatched before.
        Exit::MsrWrite
        | Exit::MsrRead
        | Exit::Cpuid
        | Exit::Hypercall
        | Exit::Port(_)
        | Exit::Interrupt
        | Exit::Halt => RESUME,
    }
}

/// The guest gets what it deserves: an exception, or its end.
#[cold]
#[inline(never)]
fn raise<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H, fault: GuestFault) -> Flow {
    match fault {
        GuestFault::Inject(exception) => {
            if vcpu.hw.inject_exception(exception) {
                RESUME
            } else {
                crash::stop(vcpu, host, StopCause::TripleFault, None)
            }
        }
        GuestFault::Stop(cause) => crash::stop(vcpu, host, cause, None),
    }
}

#[inline(always)]
fn cpuid<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> Flow {
    let Some(next) = length::next_rip(vcpu, host, &[Intercepted::Cpuid])? else {
        return RESUME;
    };
    let leaf = vcpu.hw.gpr(Gpr::Rax) as u32;
    let subleaf = vcpu.hw.gpr(Gpr::Rcx) as u32;
    let dynamic = VcpuDynamic {
        apic_id: vcpu.apic.id(),
        cr4: vcpu.hw.cr4(),
        // Reading it can cost an access to the CPU.
        xcr0: if leaf == 0xd { vcpu.hw.xcr0() } else { 0 },
    };
    let [eax, ebx, ecx, edx] = vcpu.partition.cpuid.query(leaf, subleaf, &dynamic);
    vcpu.hw.set_gpr(Gpr::Rax, u64::from(eax));
    vcpu.hw.set_gpr(Gpr::Rbx, u64::from(ebx));
    vcpu.hw.set_gpr(Gpr::Rcx, u64::from(ecx));
    vcpu.hw.set_gpr(Gpr::Rdx, u64::from(edx));
    vcpu.hw.complete(next);
    RESUME
}

#[inline(always)]
fn hypercall_exit<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> Flow {
    let Some(next) = length::next_rip(vcpu, host, &[Intercepted::Hypercall])? else {
        return RESUME;
    };
    vcpu.hw.complete(next);
    if vcpu.hw.gpr(Gpr::Rax) == bulkhead_abi::hypercall::Number::Null as u64 {
        vcpu.hw.set_gpr(Gpr::Rdx, 0);
        return RESUME;
    }
    hypercall::dispatch(vcpu, host)
}

#[inline(always)]
fn halt<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> Flow {
    let Some(next) = length::next_rip(vcpu, host, &[Intercepted::Hlt])? else {
        return RESUME;
    };
    vcpu.hw.complete(next);
    vcpu.activity = Activity::Halted;
    // `attend` ends the halt if something is deliverable already, and the run otherwise.
    vcpu.work |= Work::EVENT;
    RESUME
}
