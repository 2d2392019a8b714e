//! Rates of the TSC and of the local APIC's timer, measured against a clock of known rate.
//!
//! CPUID gives no rate on AMD, so the reference is the HPET, else the ACPI timer, else the PIT.

use bulkhead_core::addr::Hva;
use bulkhead_core::time::Hertz;

use crate::mmio::Mmio;
use crate::port::Port;
use crate::{apic, registers};

/// How long a measurement takes, as a fraction of a second: 20 ms.
const PART_OF_SECOND: u64 = 50;

/// Readings of the reference after which it counts as standing still.
const PATIENCE: u32 = 200_000_000;

/// Rate of the ACPI timer in Hz (ACPI 6.5, 4.8.2.1).
const PM_TIMER_HZ: u64 = 3_579_545;
/// Rate of the PIT in Hz.
const PIT_HZ: u64 = 1_193_182;

/// A clock of known rate.
#[derive(Debug)]
pub enum Reference {
    /// The HPET's main counter.
    Hpet {
        /// Its registers.
        registers: Mmio<u64>,
        /// Its rate.
        rate: Hertz,
    },
    /// The ACPI timer, of which the low 24 bits are used.
    PmTimer(Port<u32>),
    /// Channel 2 of the PIT, which no interrupt depends on.
    Pit,
}

const HPET_CAPABILITIES: usize = 0;
const HPET_CONFIGURATION: usize = 0x10;
const HPET_COUNTER: usize = 0xf0;
/// Bytes of the HPET's register block that are used.
pub const HPET_BYTES: u64 = 0x100;
const HPET_ENABLE: u64 = 1;
/// A slower counter than this is not allowed (IA-PC HPET specification 2.3.4).
const HPET_MAX_FEMTOSECONDS: u64 = 100_000_000;

impl Reference {
    /// The HPET at `base`, counting; `None` where it does not look like one.
    ///
    /// # Safety
    /// Its registers must be mapped there, uncached, for good, and have no other user.
    pub unsafe fn hpet(base: Hva) -> Option<Self> {
        // SAFETY: passed on from the caller.
        let mut registers = unsafe { Mmio::<u64>::new(base, HPET_BYTES as usize) };
        let femtoseconds = registers.read(HPET_CAPABILITIES)? >> 32;
        if femtoseconds == 0 || femtoseconds > HPET_MAX_FEMTOSECONDS {
            return None;
        }
        let rate = Hertz::new(1_000_000_000_000_000 / femtoseconds)?;
        let configuration = registers.read(HPET_CONFIGURATION)?;
        registers.write(HPET_CONFIGURATION, configuration | HPET_ENABLE);
        Some(Reference::Hpet { registers, rate })
    }

    /// The ACPI timer at `port`, as the FADT gives it.
    pub fn pm_timer(port: u16) -> Self {
        // SAFETY: a read-only counter.
        Reference::PmTimer(unsafe { Port::new(port) })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Reference::Hpet { .. } => "HPET",
            Reference::PmTimer(_) => "ACPI timer",
            Reference::Pit => "PIT",
        }
    }

    /// Its rate.
    pub fn rate(&self) -> Option<Hertz> {
        match self {
            Reference::Hpet { rate, .. } => Some(*rate),
            Reference::PmTimer(_) => Hertz::new(PM_TIMER_HZ),
            Reference::Pit => Hertz::new(PIT_HZ),
        }
    }

    /// Bits that its readings have; they count up modulo that.
    fn mask(&self) -> u64 {
        match self {
            // The HPET may be 32 bits wide.
            Reference::Hpet { .. } => u64::from(u32::MAX),
            Reference::PmTimer(_) => 0x00ff_ffff,
            Reference::Pit => 0xffff,
        }
    }

    fn start(&mut self) {
        if let Reference::Pit = self {
            // SAFETY: the PIT and its gate have no DMA and no other user.
            let (mut gate, mut command, mut data) = unsafe {
                (
                    Port::<u8>::new(0x61),
                    Port::<u8>::new(0x43),
                    Port::<u8>::new(0x42),
                )
            };
            // Gate on, speaker off; channel 2, both bytes, mode 0, from the highest count.
            let value = gate.read();
            gate.write(value & !2 | 1);
            command.write(0xb0);
            data.write(0xff);
            data.write(0xff);
        }
    }

    fn read(&mut self) -> u64 {
        let count = match self {
            Reference::Hpet { registers, .. } => registers.read(HPET_COUNTER).unwrap_or(0),
            Reference::PmTimer(port) => u64::from(port.read()),
            Reference::Pit => {
                // SAFETY: the PIT has no DMA and no other user.
                let (mut command, mut data) =
                    unsafe { (Port::<u8>::new(0x43), Port::<u8>::new(0x42)) };
                // Latch channel 2; it counts down.
                command.write(0x80);
                let low = data.read();
                let high = data.read();
                0xffff - u64::from(u16::from_le_bytes([low, high]))
            }
        };
        count & self.mask()
    }
}

// A measurement must be over before the narrowest counters wrap.
const _: () = assert!(PM_TIMER_HZ / PART_OF_SECOND < 0x00ff_ffff / 2);
const _: () = assert!(PIT_HZ / PART_OF_SECOND < 0xffff / 2);

/// What was measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rates {
    /// The TSC's rate.
    pub tsc: Hertz,
    /// The rate of the local APIC's timer.
    pub apic_timer: Hertz,
}

/// Measures both clocks of the running CPU, whose APIC must be enabled; `None` where the reference
/// stands still or makes no sense.
pub fn measure(reference: &mut Reference) -> Option<Rates> {
    let rate = reference.rate()?;
    let goal = rate.get() / PART_OF_SECOND;
    reference.start();
    let start = reference.read();
    apic::start_silent_timer(u32::MAX);
    let tsc_start = registers::tsc();
    let mut elapsed = 0;
    for _ in 0..PATIENCE {
        elapsed = reference.read().wrapping_sub(start) & reference.mask();
        if elapsed >= goal {
            break;
        }
    }
    let tsc_end = registers::tsc();
    let count = apic::timer_count();
    apic::start_silent_timer(0);
    if elapsed < goal {
        return None;
    }
    Some(Rates {
        tsc: scale(tsc_end.since(tsc_start).0, elapsed, rate)?,
        apic_timer: scale(u64::from(u32::MAX - count), elapsed, rate)?,
    })
}

/// The rate of a clock that counted `ticks` while one of `rate` counted `elapsed`.
fn scale(ticks: u64, elapsed: u64, rate: Hertz) -> Option<Hertz> {
    let product = u128::from(ticks) * u128::from(rate.get());
    let hertz = product.checked_div(u128::from(elapsed))?;
    Hertz::new(u64::try_from(hertz).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_scale_with_the_reference() {
        let reference = Hertz::new(PM_TIMER_HZ).unwrap();
        let goal = PM_TIMER_HZ / PART_OF_SECOND;
        let rate = scale(60_000_000, goal, reference).unwrap().get();
        assert!(rate.abs_diff(3_000_000_000) < 100_000, "{rate}");
        assert_eq!(scale(0, goal, reference), None);
        assert_eq!(scale(1, 0, reference), None);
    }
}
