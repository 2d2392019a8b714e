//! Random numbers of cryptographic quality, from the CPU.

use core::arch::asm;
use core::arch::x86_64::__cpuid;

const RDRAND: u32 = 1 << 30;
/// Tries before the generator counts as broken (AMD and Intel both advise ten).
const TRIES: usize = 10;

/// The CPU's random number generator.
#[derive(Clone, Copy)]
pub struct Entropy(());

impl Entropy {
    /// The generator, if the CPU has one that works.
    pub fn detect() -> Option<Self> {
        let present = __cpuid(1).ecx & RDRAND != 0;
        // Some CPUs announce a generator that only gives ones.
        let sample = || word().filter(|&word| word != u64::MAX);
        (present && sample()? != sample()?).then_some(Entropy(()))
    }

    /// Fills a buffer.
    pub fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let bytes = word().map(u64::to_le_bytes);
            assert!(
                bytes.is_some(),
                "the CPU's random number generator has failed"
            );
            for (byte, random) in chunk.iter_mut().zip(bytes.unwrap_or_default()) {
                *byte = random;
            }
        }
    }
}

fn word() -> Option<u64> {
    for _ in 0..TRIES {
        let (random, good): (u64, u8);
        // SAFETY: callers have seen in CPUID that the instruction exists; it changes its operand and the flags.
        unsafe {
            asm!("rdrand {}", "setc {}", out(reg) random, out(reg_byte) good, options(nomem, nostack));
        }
        if good != 0 {
            return Some(random);
        }
    }
    None
}
