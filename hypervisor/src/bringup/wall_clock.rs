//! The time of day, read once from the machine's real-time clock.

use bulkhead_core::rtc::Utc;
use bulkhead_core::time::Hertz;
use bulkhead_hw::acpi::{Acpi, CmosClock};
use bulkhead_hw::cmos_clock::{self, MachineClock};
use bulkhead_hw::{info, registers, warn};

/// The time when the TSC was 0, in seconds since 1970; `None` where the machine does not know the time.
pub fn boot_time(acpi: &Acpi, tsc: Hertz) -> Option<i64> {
    let clock = acpi.fadt.map(|fadt| fadt.clock);
    let century = match clock {
        Some(CmosClock::Absent) => {
            warn!("the machine has no real-time clock: the time is unknown");
            return None;
        }
        Some(CmosClock::Present { century }) => century,
        None => None,
    };
    // SAFETY: only this CPU has left the firmware, and nothing else here uses the ports.
    let mut clock = unsafe { MachineClock::new() };
    match cmos_clock::read(&mut clock, century) {
        Ok(seconds) => {
            let ticks = registers::tsc().0;
            info!("real-time clock: {} UTC", Utc(seconds));
            Some(seconds.saturating_sub_unsigned(ticks / tsc.get()))
        }
        Err(error) => {
            warn!("the real-time clock cannot be used: {error}");
            None
        }
    }
}
