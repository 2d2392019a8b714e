//! Extended state in the form that core saves and restores.

use alloc::vec::Vec;
use core::arch::asm;
use core::arch::x86_64::__cpuid_count;

use bulkhead_core::cpu_state::{Component, ExtendedImage};
use bulkhead_core::fault::ResourceError;

use super::{ExtendedState, Method, Residence};

/// Bytes of the legacy area; the header of XSAVE follows, with XSTATE_BV first.
const LEGACY: usize = 512;
/// What MXCSR_MASK counts as where a CPU reports none (SDM 1 11.6.6).
const DEFAULT_MASK: u32 = 0xffbf;
/// Offset of MXCSR_MASK in the legacy area.
const MXCSR_MASK: usize = 28;

/// Offset and size of a component in the standard format.
fn place(number: u8) -> (usize, usize) {
    // Subleaves exist where leaf 0xd does, which the callers know.
    let leaf = __cpuid_count(0xd, number.into());
    (leaf.ebx as usize, leaf.eax as usize)
}

/// The bits of MXCSR that this CPU lets be set.
fn mxcsr_mask() -> u32 {
    #[repr(align(16))]
    struct Area([u8; LEGACY]);
    let mut area = Area([0; LEGACY]);
    // SAFETY: the area is large and aligned enough; storing changes nothing in the CPU.
    unsafe { asm!("fxsave64 [{}]", in(reg) &raw mut area.0, options(nostack)) };
    let mask = area.0.get(MXCSR_MASK..).and_then(<[u8]>::first_chunk);
    match mask.map_or(0, |bytes| u32::from_le_bytes(*bytes)) {
        0 => DEFAULT_MASK,
        mask => mask,
    }
}

/// Whether the CPUs of this machine can load it; all of them are alike.
///
/// # Errors
/// What they cannot load.
pub fn check(image: &ExtendedImage) -> Result<(), &'static str> {
    let mask = match Method::of_this_machine() {
        Method::Fx => 0b11,
        Method::Xsave { mask, .. } => mask,
    };
    if (image.xcr0 | image.in_use) & !mask != 0 {
        return Err("a component of the extended state does not exist here");
    }
    if image.mxcsr() & !mxcsr_mask() != 0 {
        return Err("MXCSR has a bit that does not exist here");
    }
    let fits = |component: &Component| place(component.number).1 == component.bytes.len();
    if !image.components.iter().all(fits) {
        return Err("a component of the extended state has another size here");
    }
    Ok(())
}

impl ExtendedState {
    /// The state, which the CPU may hold.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted.
    pub fn image(&mut self) -> Result<ExtendedImage, ResourceError> {
        if self.residence == Residence::Cpu {
            self.store();
            self.load();
        }
        let mut image = ExtendedImage {
            xcr0: self.xcr0,
            in_use: 0b11,
            legacy: [0; LEGACY],
            components: Vec::new(),
        };
        let area = self.area();
        image
            .legacy
            .iter_mut()
            .zip(area)
            .for_each(|(slot, byte)| *slot = *byte);
        let Method::Xsave { mask, .. } = self.method else {
            return Ok(image);
        };
        let header = area.get(LEGACY..).and_then(<[u8]>::first_chunk);
        image.in_use = header.map_or(0, |bytes| u64::from_le_bytes(*bytes)) & mask;
        for number in 2..=ExtendedImage::MOST {
            if image.in_use >> number & 1 == 0 {
                continue;
            }
            let (offset, size) = place(number);
            let content = area.get(offset..offset.saturating_add(size));
            let content = content.unwrap_or_default();
            let mut bytes = Vec::new();
            bytes
                .try_reserve_exact(content.len())
                .and_then(|()| image.components.try_reserve(1))
                .map_err(|_| ResourceError::HypervisorMemory)?;
            bytes.extend_from_slice(content);
            image.components.push(Component { number, bytes });
        }
        Ok(image)
    }

    /// Takes over a state that [`check`] has passed, in the CPU as well where it holds the state.
    pub fn set_image(&mut self, image: &ExtendedImage) {
        let method = self.method;
        let area = self.area_mut();
        area.fill(0);
        let mut put = |offset: usize, bytes: &[u8]| {
            let places = area.iter_mut().skip(offset);
            places.zip(bytes).for_each(|(slot, byte)| *slot = *byte);
        };
        put(0, &image.legacy);
        if let Method::Xsave { .. } = method {
            put(LEGACY, &image.in_use.to_le_bytes());
            for component in &image.components {
                put(place(component.number).0, &component.bytes);
            }
        }
        self.xcr0 = image.xcr0;
        if self.residence == Residence::Cpu {
            // What the CPU holds is not wanted any more, but for the registers beside the area.
            self.debug = self.breakpoints();
            self.load();
        }
    }

    /// DR0 to DR3.
    pub fn breakpoints(&self) -> [u64; 4] {
        if self.residence == Residence::Memory {
            return self.debug;
        }
        let [mut dr0, mut dr1, mut dr2, mut dr3] = [0_u64; 4];
        // SAFETY: reading has no effect; the host's DR7 never enables general detection.
        unsafe {
            asm!("mov {}, dr0", "mov {}, dr1", "mov {}, dr2", "mov {}, dr3",
                 out(reg) dr0, out(reg) dr1, out(reg) dr2, out(reg) dr3, options(nostack, nomem));
        }
        [dr0, dr1, dr2, dr3]
    }

    /// Sets DR0 to DR3, in the CPU as well where it holds the state.
    pub fn set_breakpoints(&mut self, addresses: [u64; 4]) {
        self.debug = addresses;
        if self.residence == Residence::Cpu {
            let [dr0, dr1, dr2, dr3] = addresses;
            // SAFETY: the host has no breakpoints: its DR7 enables none. The registers take any value.
            unsafe {
                asm!("mov dr0, {}", "mov dr1, {}", "mov dr2, {}", "mov dr3, {}",
                     in(reg) dr0, in(reg) dr1, in(reg) dr2, in(reg) dr3, options(nostack, nomem));
            }
        }
    }

    fn area(&self) -> &[u8] {
        // SAFETY: the area is this value's own, of the layout's size, and written as a whole since it was allocated.
        unsafe { core::slice::from_raw_parts(self.area.as_ptr(), self.layout.size()) }
    }

    fn area_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed by nobody else.
        unsafe { core::slice::from_raw_parts_mut(self.area.as_ptr(), self.layout.size()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_in_memory_comes_back_from_its_image() {
        let mut state = ExtendedState::new().unwrap();
        let mut image = state.image().unwrap();
        assert_eq!(image.mxcsr(), 0x1f80);
        assert_eq!(check(&image), Ok(()));
        image.legacy[32] = 0x77;
        if let Method::Xsave { mask, .. } = state.method
            && mask & 4 != 0
        {
            image.xcr0 = 7;
            image.in_use = 7;
            image.components = vec![Component {
                number: 2,
                bytes: (0..=255).collect(),
            }];
        }
        assert_eq!(check(&image), Ok(()));
        state.set_image(&image);
        assert_eq!(state.image().unwrap(), image);
        state.set_breakpoints([1, 2, 3, 4]);
        assert_eq!(state.breakpoints(), [1, 2, 3, 4]);
    }

    #[test]
    fn what_would_fault_in_the_host_is_refused() {
        let mut state = ExtendedState::new().unwrap();
        let good = state.image().unwrap();
        let mut bad = good.clone();
        bad.legacy[27] = 0x80;
        assert!(check(&bad).is_err());
        let mut bad = good.clone();
        bad.in_use |= 1 << 61;
        assert!(check(&bad).is_err());
        let mut bad = good.clone();
        bad.components.push(Component {
            number: 2,
            bytes: vec![0; 255],
        });
        assert!(check(&bad).is_err());
    }
}
