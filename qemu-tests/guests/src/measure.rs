//! Measures an operation in TSC ticks; under the deterministic instruction clock a tick is an instruction.

use crate::cpu::rdtsc;

/// Operations in one measurement.
const ROUNDS: u64 = 100;

/// Ticks for one operation, without the loop around it.
#[inline(always)]
pub fn cost(mut operation: impl FnMut()) -> u64 {
    // Caches of the hypervisor fill up.
    for _ in 0..3 {
        operation();
    }
    let empty = span(|| {});
    let full = span(&mut operation);
    (full - empty).div_ceil(ROUNDS)
}

#[inline(always)]
fn span(mut operation: impl FnMut()) -> u64 {
    let start = rdtsc();
    let mut round = 0;
    while round < ROUNDS {
        operation();
        round += 1;
        core::hint::black_box(&mut round);
    }
    rdtsc() - start
}
