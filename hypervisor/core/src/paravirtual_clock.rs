//! The clock that Linux knows from KVM (Documentation/virt/kvm/x86/msr.rst and cpuid.rst of Linux): a record in the guest's RAM for
//! each vCPU, from which it reads the time without an exit.
//!
//! The exit loop calls [`ParavirtualClock::write_msr`] when the guest names a record, and the run loop tells of time that a vCPU had
//! to wait for its CPU. Records are written at these moments only, by the CPU that owns the vCPU, while the vCPU is not running;
//! others of its partition may read them meanwhile, so each is marked by an odd version before it changes. All vCPUs of a
//! partition get the same base, so that their clocks agree exactly. The system time starts when the partition was made.

#[cfg(test)]
mod tests;

use crate::addr::Gpa;
use crate::fault::GuestFault;
use crate::guest_memory::GuestMemory;
use crate::guest_tsc::{GuestTsc, TscScale};
use crate::host::Host;
use crate::local_apic::StateError;
use crate::time::{Hertz, Instant, Ratio, Ticks};

/// Features of leaf 0x4000_0101: no port writes are needed for delays, the clock, its record for stolen time, and that its
/// readings never go back from one vCPU to another.
pub const FEATURES: u32 = CLOCK_OLD | 1 << 1 | CLOCK | STEAL | 1 << 24;
const CLOCK_OLD: u32 = 1 << 0;
const CLOCK: u32 = 1 << 3;
const STEAL: u32 = 1 << 5;

/// The wall clock's MSR at its first number.
pub const OLD_WALL_CLOCK: u32 = 0x11;
/// The system time's MSR at its first number.
pub const OLD_SYSTEM_TIME: u32 = 0x12;
/// The wall clock's MSR.
pub const WALL_CLOCK: u32 = 0x4b56_4d00;
/// The system time's MSR.
pub const SYSTEM_TIME: u32 = 0x4b56_4d01;
/// The stolen time's MSR.
pub const STEAL_TIME: u32 = 0x4b56_4d03;

/// A record is in use.
const ENABLED: u64 = 1;
/// Bits of the stolen time's MSR that must be zero.
const STEAL_RESERVED: u64 = 0x3e;
/// The system time's flag: readings of all vCPUs can be compared.
const STABLE: u8 = 1;
const NANOSECONDS: Hertz = match Hertz::new(1_000_000_000) {
    Some(rate) => rate,
    None => unreachable!(),
};
/// Stolen time that is worth a write: a fraction of a second, 10 us.
const WORTH: u64 = 100_000;

/// What the clocks of a partition count from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockBase {
    /// The rate of the host's TSC.
    pub tsc: Hertz,
    /// The rate of the guest's TSC.
    pub guest_tsc: Hertz,
    /// When the system time was 0.
    pub origin: Instant,
    /// The time then, in seconds since 1970 (UTC).
    pub seconds: i64,
}

impl ClockBase {
    /// From the host's ticks to the guest's.
    pub fn scale(&self) -> TscScale {
        // Rates that have no scale are not taken.
        TscScale::new(self.tsc, self.guest_tsc).unwrap_or(TscScale::UNIT)
    }
}

/// How ticks become nanoseconds: shifted left by `shift` (right where negative), then multiplied by `factor` / 2^32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Scale {
    factor: u32,
    shift: i8,
}

impl Scale {
    /// The scale of this rate, with all bits of the factor used.
    fn new(tsc: Hertz) -> Self {
        let mut shift = 0_i8;
        // Nanoseconds per tick as 64.64 fixed point; not 0, as no TSC counts faster than 2^64 Hz.
        let mut ratio = (u128::from(NANOSECONDS.get()) << 64) / u128::from(tsc.get());
        while ratio >= 1 << 64 {
            ratio >>= 1;
            shift = shift.saturating_add(1);
        }
        while ratio < 1 << 63 && ratio != 0 {
            ratio <<= 1;
            shift = shift.saturating_sub(1);
        }
        Self {
            factor: (ratio >> 32) as u32,
            shift,
        }
    }
}

/// One vCPU's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ParavirtualClock {
    wall_clock: u64,
    system_time: u64,
    steal_time: u64,
    /// The versions of the records; even.
    system_version: u32,
    steal_version: u32,
    /// Time that the vCPU waited for its CPU.
    stolen: Ticks,
    /// What of it the record says.
    reported: Ticks,
}

impl ParavirtualClock {
    /// Whether the clock has this MSR.
    pub const fn has(msr: u32) -> bool {
        matches!(
            msr,
            OLD_WALL_CLOCK | OLD_SYSTEM_TIME | WALL_CLOCK | SYSTEM_TIME | STEAL_TIME
        )
    }

    /// Reads an MSR of a partition whose CPUID shows these features.
    ///
    /// # Errors
    /// #GP where the features do not include it.
    pub fn read_msr(&self, msr: u32, features: u32) -> Result<u64, GuestFault> {
        match msr {
            OLD_WALL_CLOCK if features & CLOCK_OLD != 0 => Ok(self.wall_clock),
            OLD_SYSTEM_TIME if features & CLOCK_OLD != 0 => Ok(self.system_time),
            WALL_CLOCK if features & CLOCK != 0 => Ok(self.wall_clock),
            SYSTEM_TIME if features & CLOCK != 0 => Ok(self.system_time),
            STEAL_TIME if features & STEAL != 0 => Ok(self.steal_time),
            _ => Err(GuestFault::GP0),
        }
    }

    /// Writes an MSR: the guest names a record, which is filled in at once. A record outside of its RAM stays unwritten.
    ///
    /// # Errors
    /// #GP where the features do not include it, or a reserved bit is set.
    pub fn write_msr<H: Host>(
        &mut self,
        msr: u32,
        value: u64,
        features: u32,
        place: &mut Place<'_, H>,
    ) -> Result<(), GuestFault> {
        self.read_msr(msr, features)?;
        match msr {
            OLD_WALL_CLOCK | WALL_CLOCK => {
                self.wall_clock = value;
                place.write_wall_clock(Gpa::new(value));
            }
            OLD_SYSTEM_TIME | SYSTEM_TIME => {
                self.system_time = value;
                self.refresh(place);
            }
            _ if value & STEAL_RESERVED != 0 => return Err(GuestFault::GP0),
            _ => {
                self.steal_time = value;
                self.report_stolen(place);
            }
        }
        Ok(())
    }

    /// Writes the system time's record anew, after the guest's TSC was set.
    pub fn refresh<H: Host>(&mut self, place: &mut Place<'_, H>) {
        if self.system_time & ENABLED != 0 {
            self.system_version = self.system_version.wrapping_add(2);
            let at = Gpa::new(self.system_time & !ENABLED);
            place.write_system_time(at, self.system_version);
        }
    }

    /// The vCPU waited so long for its CPU; `true` where [`ParavirtualClock::report_stolen`] is due.
    #[inline]
    pub fn add_stolen(&mut self, waited: Ticks, tsc: Hertz) -> bool {
        if self.steal_time & ENABLED == 0 {
            return false;
        }
        self.stolen = Ticks(self.stolen.0.saturating_add(waited.0));
        self.stolen.0.saturating_sub(self.reported.0) >= tsc.get() / WORTH
    }

    /// Writes the stolen time's record.
    pub fn report_stolen<H: Host>(&mut self, place: &mut Place<'_, H>) {
        if self.steal_time & ENABLED != 0 {
            self.reported = self.stolen;
            self.steal_version = self.steal_version.wrapping_add(2);
            let at = Gpa::new(self.steal_time & !(ENABLED | STEAL_RESERVED));
            place.write_steal_time(at, self.steal_version, self.stolen);
        }
    }
}

/// What of a vCPU's clock is saved and restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClockState {
    /// The wall clock's MSR.
    pub wall_clock: u64,
    /// The system time's MSR.
    pub system_time: u64,
    /// The stolen time's MSR.
    pub steal_time: u64,
    /// The version of the system time's record.
    pub system_version: u32,
    /// The version of the stolen time's record.
    pub steal_version: u32,
    /// Ticks of the guest's TSC that the vCPU waited for its CPU.
    pub stolen: u64,
}

impl ClockState {
    /// Checks what a guest can have written.
    ///
    /// # Errors
    /// Where it cannot have written a value, or a version is that of a record that is being changed.
    pub fn check(&self) -> Result<(), StateError> {
        if self.steal_time & STEAL_RESERVED != 0
            || (self.system_version | self.steal_version) & 1 != 0
        {
            return Err(StateError::Impossible("the paravirtual clock"));
        }
        Ok(())
    }
}

impl ParavirtualClock {
    /// The state for a later [`ParavirtualClock::restore`].
    pub const fn save(&self) -> ClockState {
        ClockState {
            wall_clock: self.wall_clock,
            system_time: self.system_time,
            steal_time: self.steal_time,
            system_version: self.system_version,
            steal_version: self.steal_version,
            stolen: self.stolen.0,
        }
    }

    /// Takes over a saved state that was checked. The records are for whoever calls to write:
    /// [`ParavirtualClock::refresh`] and [`ParavirtualClock::report_stolen`].
    pub fn restore(&mut self, state: &ClockState) {
        *self = Self {
            wall_clock: state.wall_clock,
            system_time: state.system_time,
            steal_time: state.steal_time,
            system_version: state.system_version,
            steal_version: state.steal_version,
            stolen: Ticks(state.stolen),
            reported: Ticks(state.stolen),
        };
    }
}

/// Where and for when records are written.
pub struct Place<'a, H> {
    /// The partition's clock.
    pub base: ClockBase,
    /// The guest's TSC.
    pub tsc: GuestTsc,
    /// The partition's RAM.
    pub memory: &'a GuestMemory,
    /// The CPU that owns the vCPU.
    pub host: &'a mut H,
}

impl<H: Host> Place<'_, H> {
    /// Version, padding, TSC, nanoseconds, factor, shift, flags: 32 bytes.
    fn write_system_time(&mut self, at: Gpa, version: u32) {
        let scale = Scale::new(self.base.guest_tsc);
        let tsc = self.tsc.at(self.base.origin);
        // The system time of the base is 0, which is the second field.
        let mut rest = [0; 24];
        for (slot, byte) in rest.iter_mut().zip(tsc.to_le_bytes()) {
            *slot = byte;
        }
        let end = scale
            .factor
            .to_le_bytes()
            .into_iter()
            .chain([scale.shift as u8, STABLE]);
        for (slot, byte) in rest.iter_mut().skip(16).zip(end) {
            *slot = byte;
        }
        self.publish(at, version, at.wrapping_add(8), &rest);
    }

    /// Version, seconds, nanoseconds: 12 bytes.
    fn write_wall_clock(&mut self, at: Gpa) {
        let seconds = u32::try_from(self.base.seconds).unwrap_or(0);
        let rest = u64::from(seconds).to_le_bytes();
        self.publish(at, 2, at.wrapping_add(4), &rest);
    }

    /// Nanoseconds, version, flags, whether the vCPU waits now: 64 bytes, of which the end is left alone.
    fn write_steal_time(&mut self, at: Gpa, version: u32, stolen: Ticks) {
        let nanoseconds = Ratio::new(self.base.tsc, NANOSECONDS).apply(stolen.0);
        self.publish(at.wrapping_add(8), version, at, &nanoseconds.to_le_bytes());
    }

    /// Writes `content` at `at`, between two values of the version at `mark`.
    fn publish(&mut self, mark: Gpa, version: u32, at: Gpa, content: &[u8]) {
        let before = version.wrapping_sub(1).to_le_bytes();
        let _ = self
            .memory
            .write(self.host, mark, &before)
            .and_then(|()| self.memory.write(self.host, at, content))
            .and_then(|()| self.memory.write(self.host, mark, &version.to_le_bytes()));
    }
}
