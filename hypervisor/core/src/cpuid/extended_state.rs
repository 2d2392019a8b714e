//! Leaf 0xd: the extended state (x87, SSE, AVX ...) that a guest may enable, and the size it takes.

use super::Leaf;

/// Components that the table has room for: XCR0 bits 0 to 9.
const COMPONENTS: usize = 10;
/// The components that are ever shown: x87, SSE, AVX, AVX-512, protection keys. AMX needs leaves of its own.
const SHOWN: u64 = 0b111 | 0b111 << 5 | 1 << 9;
/// Size of the legacy region and the XSAVE header.
const LEGACY: u32 = 576;

/// The layout of a guest's XSAVE area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExtendedStateLayout {
    allowed: u64,
    /// Leaf 0xd subleaf 1 EAX: XSAVEOPT, XSAVEC and XGETBV with ECX=1.
    instructions: u32,
    /// Subleaves 2 and up: size, offset, flags.
    components: [Leaf; COMPONENTS],
}

impl ExtendedStateLayout {
    /// No extended state: CPUs without XSAVE.
    pub(super) const NONE: ExtendedStateLayout = ExtendedStateLayout {
        allowed: 0,
        instructions: 0,
        components: [[0; 4]; COMPONENTS],
    };

    /// The layout for the bits of XCR0 in `wanted` that the host has.
    pub(super) fn new(
        host: &impl Fn(u32, u32) -> Leaf,
        wanted: u64,
        instructions: u32,
    ) -> ExtendedStateLayout {
        let [low, _, _, high] = host(0xd, 0);
        let supported = u64::from(high) << 32 | u64::from(low);
        let mut allowed = supported & wanted & SHOWN | 1;
        // Sets that XCR0 takes together only (SDM 1 13.3).
        for (needed, with) in [(1 << 1, 1 << 2), (1 << 2, 0b111 << 5)] {
            if allowed & needed == 0 {
                allowed &= !with;
            }
        }
        if allowed & 0b111 << 5 != 0b111 << 5 {
            allowed &= !(0b111 << 5);
        }
        let mut components = [[0; 4]; COMPONENTS];
        for (index, component) in (0u32..).zip(components.iter_mut()).skip(2) {
            if allowed & 1 << index != 0 {
                *component = host(0xd, index);
            }
        }
        Self {
            allowed,
            instructions,
            components,
        }
    }

    /// The XCR0 bits that the guest may set.
    pub const fn allowed(&self) -> u64 {
        self.allowed
    }

    /// Bytes of the standard-format area for these components.
    pub fn standard_bytes(&self, xcr0: u64) -> u32 {
        self.enabled(xcr0)
            .map(|&[size, offset, ..]| offset.saturating_add(size))
            .fold(LEGACY, u32::max)
    }

    /// Bytes of the compacted area for these components (SDM 1 13.4.3).
    pub fn compacted_bytes(&self, xcr0: u64) -> u32 {
        self.enabled(xcr0)
            .fold(LEGACY, |end, &[size, _, flags, _]| {
                let start = if flags & 2 != 0 {
                    end.saturating_add(63) & !63
                } else {
                    end
                };
                start.saturating_add(size)
            })
    }

    /// The answer of leaf 0xd.
    pub(super) fn query(&self, subleaf: u32, xcr0: u64) -> Leaf {
        match subleaf {
            _ if self.allowed == 0 => [0; 4],
            0 => [
                self.allowed as u32,
                self.standard_bytes(xcr0),
                self.standard_bytes(self.allowed),
                (self.allowed >> 32) as u32,
            ],
            1 => {
                // EBX counts the enabled state where XSAVEC or XSAVES exists.
                let size = if self.instructions & 2 != 0 {
                    self.compacted_bytes(xcr0)
                } else {
                    0
                };
                [self.instructions, size, 0, 0]
            }
            _ => super::subleaf_of(&self.components, subleaf),
        }
    }

    fn enabled(&self, xcr0: u64) -> impl Iterator<Item = &Leaf> {
        (0u32..)
            .zip(&self.components)
            .skip(2)
            .filter(move |(index, _)| xcr0 & 1 << index != 0)
            .map(|(_, component)| component)
    }
}
