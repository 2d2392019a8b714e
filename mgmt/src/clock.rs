//! The clock: time since TSC 0, from the TSC; and the timer's ticks.

use core::arch::x86_64::_rdtsc;

use mgmt_executor::Instant;
use mgmt_start::Start;

const NANOSECONDS: u128 = 1_000_000_000;

/// Rates of the TSC and the APIC timer.
#[derive(Clone, Copy)]
pub struct Clock {
    tsc_hz: u64,
    apic_timer_hz: u64,
    boot_time: Option<u64>,
}

impl Clock {
    /// The clock with the rates that the hypervisor gave.
    pub fn new(start: &Start<'_>) -> Self {
        Clock {
            tsc_hz: start.tsc_hz,
            apic_timer_hz: start.apic_timer_hz,
            boot_time: start.boot_time,
        }
    }

    /// Now.
    pub fn now(&self) -> Instant {
        // SAFETY: RDTSC has no effect but its result.
        let ticks = unsafe { _rdtsc() };
        let nanoseconds = u128::from(ticks) * NANOSECONDS / u128::from(self.tsc_hz);
        Instant::from_nanoseconds(nanoseconds as u64)
    }

    /// Unix time in microseconds at instant 0; 0 where the machine's clock is not known.
    pub fn unix_base(&self) -> i64 {
        let seconds = self.boot_time.unwrap_or(0);
        i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX)
    }

    /// Timer ticks from `now` to `then`, rounded up, as many as the timer can count.
    pub fn timer_ticks(&self, now: Instant, then: Instant) -> u32 {
        let nanoseconds = then.since(now).as_nanos();
        let ticks = (nanoseconds * u128::from(self.apic_timer_hz)).div_ceil(NANOSECONDS);
        u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}
