//! State that neither the VMCB nor the exit path moves: FPU and vectors, XCR0, debug address registers, TSC_AUX.
//!
//! The hypervisor uses none of it, so it stays in the CPU until another vCPU takes the CPU.

mod image;

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::ptr::NonNull;

use bulkhead_core::fault::ResourceError;
pub use image::check;

use crate::msr::Msr;

/// MSR TSC_AUX.
const TSC_AUX: u32 = 0xc000_0103;
/// Offset of MXCSR in the legacy area, and its value after reset.
const MXCSR: (usize, u32) = (24, 0x1f80);
/// Offset of the x87 control word, and its value after FNINIT.
const FCW: (usize, u16) = (0, 0x37f);

/// How this CPU saves extended state; the same on all CPUs of a machine.
#[derive(Clone, Copy)]
enum Method {
    /// FXSAVE: x87 and SSE.
    Fx,
    /// XSAVE with all components of the mask, in an area of this size.
    Xsave { mask: u64, bytes: usize },
}

impl Method {
    /// The one of this machine.
    fn of_this_machine() -> Self {
        // CPUID leaf 1 exists on every x86-64 CPU; leaf 0xd exists where OSXSAVE's feature bit is set.
        if __cpuid(1).ecx & 1 << 26 != 0 {
            let sizes = __cpuid_count(0xd, 0);
            Method::Xsave {
                mask: (sizes.edx as u64) << 32 | sizes.eax as u64,
                bytes: sizes.ecx as usize,
            }
        } else {
            Method::Fx
        }
    }
}

/// Where the state is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Residence {
    Memory,
    Cpu,
}

/// The extended state of one vCPU.
pub struct ExtendedState {
    area: NonNull<u8>,
    layout: Layout,
    method: Method,
    has_tsc_aux: bool,
    /// Whether the CPU holds the state, and the area is out of date.
    residence: Residence,
    xcr0: u64,
    tsc_aux: u64,
    debug: [u64; 4],
}

// SAFETY: the area is owned by this value alone.
unsafe impl Send for ExtendedState {}

impl ExtendedState {
    /// The state after reset.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted.
    pub fn new() -> Result<Self, ResourceError> {
        let method = Method::of_this_machine();
        let bytes = match method {
            Method::Fx => 512,
            Method::Xsave { bytes, .. } => bytes.max(576),
        };
        let layout =
            Layout::from_size_align(bytes, 64).map_err(|_| ResourceError::HypervisorMemory)?;
        // SAFETY: the layout's size is not zero.
        let area =
            NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(ResourceError::HypervisorMemory)?;
        let mut state = Self {
            area,
            layout,
            method,
            has_tsc_aux: __cpuid(0x8000_0001).edx & 1 << 27 != 0,
            residence: Residence::Memory,
            xcr0: 1,
            tsc_aux: 0,
            debug: [0; 4],
        };
        state.reset();
        Ok(state)
    }

    /// Brings everything to the power-up values, in the CPU as well where it holds the state.
    pub fn reset(&mut self) {
        // SAFETY: the area has at least 512 bytes (the legacy area), owned by this value, aligned to 64.
        unsafe {
            self.area.write_bytes(0, self.layout.size());
            self.area.byte_add(FCW.0).cast::<u16>().write(FCW.1);
            self.area.byte_add(MXCSR.0).cast::<u32>().write(MXCSR.1);
        }
        self.xcr0 = 1;
        self.tsc_aux = 0;
        self.debug = [0; 4];
        if self.residence == Residence::Cpu {
            self.load();
        }
    }

    /// Moves the guest's state into the CPU.
    pub fn load(&mut self) {
        self.residence = Residence::Cpu;
        forget_last_x87_instruction();
        let area = self.area.as_ptr();
        // SAFETY: the area holds an image that `reset` or `store` wrote in this method's format, with a valid MXCSR; the
        // host itself keeps nothing in these registers (soft-float, no breakpoints).
        unsafe {
            match self.method {
                Method::Fx => asm!("fxrstor64 [{}]", in(reg) area, options(nostack)),
                Method::Xsave { mask, .. } => {
                    xsetbv(mask);
                    asm!("xrstor64 [{}]", in(reg) area, in("eax") mask as u32,
                         in("edx") (mask >> 32) as u32, options(nostack));
                    xsetbv(self.xcr0);
                }
            }
            let [dr0, dr1, dr2, dr3] = self.debug;
            asm!("mov dr0, {}", "mov dr1, {}", "mov dr2, {}", "mov dr3, {}",
                 in(reg) dr0, in(reg) dr1, in(reg) dr2, in(reg) dr3, options(nostack, nomem));
            if self.has_tsc_aux {
                Msr(TSC_AUX).write(self.tsc_aux);
            }
        }
    }

    /// Moves the guest's state out of the CPU.
    pub fn store(&mut self) {
        self.residence = Residence::Memory;
        let area = self.area.as_ptr();
        // SAFETY: the area has the size that CPUID reports for all components of the mask.
        unsafe {
            match self.method {
                Method::Fx => asm!("fxsave64 [{}]", in(reg) area, options(nostack)),
                Method::Xsave { mask, .. } => {
                    // Some emulators do not intercept XSETBV: the CPU knows best.
                    self.xcr0 = xgetbv();
                    xsetbv(mask);
                    asm!("xsave64 [{}]", in(reg) area, in("eax") mask as u32,
                         in("edx") (mask >> 32) as u32, options(nostack));
                }
            }
            let [dr0, dr1, dr2, dr3] = &mut self.debug;
            asm!(
                "mov {}, dr0",
                "mov {}, dr1",
                "mov {}, dr2",
                "mov {}, dr3",
                out(reg) * dr0,
                out(reg) * dr1,
                out(reg) * dr2,
                out(reg) * dr3,
                options(nostack, nomem)
            );
        }
    }

    /// The guest's XCR0.
    pub fn xcr0(&self) -> u64 {
        match (self.residence, self.method) {
            // Some emulators do not intercept XSETBV: the CPU knows best.
            // SAFETY: the hypervisor has set CR4.OSXSAVE on CPUs that have XSAVE.
            (Residence::Cpu, Method::Xsave { .. }) => unsafe { xgetbv() },
            _ => self.xcr0,
        }
    }

    /// Sets XCR0 now, in the CPU as well; the caller has validated the value.
    pub fn set_xcr0(&mut self, value: u64) {
        self.xcr0 = value;
        if let Method::Xsave { .. } = self.method {
            // SAFETY: a valid XCR0 for this CPU; the host uses no extended state.
            unsafe { xsetbv(value) };
        }
    }

    /// TSC_AUX.
    pub fn tsc_aux(&self) -> u64 {
        self.tsc_aux
    }

    /// Sets TSC_AUX, in the CPU as well where it holds the state.
    pub fn set_tsc_aux(&mut self, value: u64) {
        self.tsc_aux = value & 0xffff_ffff;
        if self.has_tsc_aux && self.residence == Residence::Cpu {
            // SAFETY: CPUID says that the MSR exists; bits 63:32 are zero.
            unsafe { Msr(TSC_AUX).write(self.tsc_aux) };
        }
    }
}

/// Gives the x87's last instruction and operand pointers values of no meaning. Without a pending exception, restoring leaves
/// them as another guest made them, unless the CPU has RstrFpErrPtrs (APM 3 E.4.7, Fn8000_0008 EBX bit 2).
fn forget_last_x87_instruction() {
    let operand = 0_u32;
    // SAFETY: the host uses no x87 state, CR0.EM and CR0.TS are 0, and FNCLEX leaves no exception that could be raised.
    unsafe {
        asm!("fnclex", "emms", "fild dword ptr [{}]", in(reg) &operand, options(nostack));
    }
}

impl Drop for ExtendedState {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout.
        unsafe { dealloc(self.area.as_ptr(), self.layout) };
    }
}

/// # Safety
/// CR4.OSXSAVE is set and the CPU accepts the value.
unsafe fn xsetbv(value: u64) {
    // SAFETY: passed on to the caller.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("eax") value as u32, in("edx") (value >> 32) as u32,
             options(nostack, nomem));
    }
}

/// # Safety
/// CR4.OSXSAVE is set.
unsafe fn xgetbv() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: passed on to the caller.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nostack, nomem));
    }
    (high as u64) << 32 | low as u64
}
