//! Where the guest goes on after an intercepted instruction, on CPUs that do not say.

use core::ops::ControlFlow;

use crate::decode::{self, CodeSize, Intercepted};
use crate::exit::{Leave, crash};
use crate::fault::StopCause;
use crate::host::Host;
use crate::instruction_fetch::{self, FetchError};
use crate::vcpu::Vcpu;
use crate::vcpu_record::VcpuRecord;

/// RIP after the instruction that exited; `None` where the guest must run it again (its bytes are not there any more, so
/// that it will fault by itself). Asked before the instruction has any effect.
#[inline(always)]
pub fn next_rip<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    expected: &[Intercepted],
) -> ControlFlow<Leave, Option<u64>> {
    match vcpu.hw.next_rip() {
        Ok(next) => ControlFlow::Continue(Some(next)),
        Err(_) => measure(vcpu, host, expected),
    }
}

/// Fetches and decodes the instruction, and lets the backend remember its length.
#[cold]
#[inline(never)]
fn measure<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    expected: &[Intercepted],
) -> ControlFlow<Leave, Option<u64>> {
    let system = vcpu.hw.system();
    let code = match instruction_fetch::fetch(&system, vcpu.hw.rip(), &vcpu.partition.memory, host)
    {
        Ok(code) => code,
        Err(FetchError::Fault) => return ControlFlow::Continue(None),
        Err(FetchError::NotRam(gpa)) => {
            crash::stop(vcpu, host, StopCause::BadGuestMemory, Some(gpa))?;
            return ControlFlow::Continue(None);
        }
    };
    let size = CodeSize::of(&system);
    match decode::intercepted(code.bytes(), size) {
        Some((found, length)) if expected.contains(&found) => {
            vcpu.hw.learn_length(length);
            ControlFlow::Continue(vcpu.hw.next_rip().ok())
        }
        // Another CPU has rewritten the code since the exit: the guest runs what is there now.
        Some(_) => ControlFlow::Continue(None),
        None => {
            crash::stop(vcpu, host, StopCause::CannotEmulate, None)?;
            ControlFlow::Continue(None)
        }
    }
}
