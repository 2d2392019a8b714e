//! Reads the bytes of the instruction at RIP as the CPU would fetch them.

use crate::addr::{Gpa, Gva};
use crate::guest_memory::{GuestMemory, NotRam};
use crate::host::Host;
use crate::linear_memory::LinearMemory;
use crate::paging::guest_walk::{AccessKind, WalkError};
use crate::vcpu::SystemState;

/// Longest instruction in bytes (APM 3 1.1).
pub const MAX_INSTRUCTION: usize = 15;

/// The bytes at RIP, up to the first that cannot be fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code {
    bytes: [u8; MAX_INSTRUCTION],
    length: usize,
}

impl Code {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Not one byte can be fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FetchError {
    /// The guest's own page tables do not lead there: the CPU will fault when it fetches again.
    Fault,
    /// They lead to an address that is not RAM.
    NotRam(Gpa),
}

/// Fetches at `rip`.
///
/// # Errors
/// [`FetchError`].
pub fn fetch<H: Host>(
    system: &SystemState,
    rip: u64,
    memory: &GuestMemory,
    host: &mut H,
) -> Result<Code, FetchError> {
    // Outside of 64-bit mode linear addresses wrap at 4 GiB.
    let (linear, mask) = if system.code_64 {
        (rip, u64::MAX)
    } else {
        (system.cs_base.wrapping_add(rip), 0xffff_ffff)
    };
    let mut linear_memory = LinearMemory::new(system, memory, host);
    let mut code = Code {
        bytes: [0; MAX_INSTRUCTION],
        length: 0,
    };
    while code.length < MAX_INSTRUCTION {
        let address = Gva::new(linear.wrapping_add(code.length as u64) & mask);
        match fetch_page(&mut linear_memory, address, &mut code) {
            Ok(()) => {}
            Err(_) if code.length > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(code)
}

/// Fetches up to the end of the page of `address`.
fn fetch_page<H: Host>(
    memory: &mut LinearMemory<'_, H>,
    address: Gva,
    code: &mut Code,
) -> Result<(), FetchError> {
    let page = memory
        .translate(address, AccessKind::Fetch)
        .map_err(|error| match error {
            WalkError::Memory(NotRam(gpa)) => FetchError::NotRam(gpa),
            WalkError::PageFault { .. } | WalkError::NonCanonical => FetchError::Fault,
        })?;
    let rest = code.bytes.get_mut(code.length..).unwrap_or_default();
    let wanted = page.remaining.min(rest.len() as u64) as usize;
    let into = rest.get_mut(..wanted).unwrap_or_default();
    memory
        .read_physical(page.gpa, into)
        .map_err(|NotRam(gpa)| FetchError::NotRam(gpa))?;
    code.length += wanted;
    Ok(())
}
