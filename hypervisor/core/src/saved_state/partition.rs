//! A partition: its shape, its time, its board, its vCPUs.

use alloc::vec::Vec;

use super::bytes::{Coded, impossible};
use super::{BadState, Kind, SavedVcpu, Sections, Writer};
use crate::fault::ResourceError;
use crate::guest_tsc::TscScale;
use crate::lifecycle::maker::TscScaling;
use crate::pc_board::BoardState;
use crate::time::{Hertz, Instant, Ratio};

/// The rates of two TSCs count as the same where they differ by less than one part of this: more than calibration is ever off.
const SAME_RATE: u64 = 1000;
/// The version of the section; there is no other.
const VERSION: u16 = 1;

/// What must be the same where a state is saved and where it is restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Bytes of RAM.
    pub ram: u64,
    /// vCPUs.
    pub vcpus: u16,
}

/// When a partition was saved, and what its paravirtual clocks showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SavedTime {
    /// The rate of the guest's TSC. All ticks in a state are of this rate, those of the host scaled to it.
    pub tsc: Hertz,
    /// When the devices were saved.
    pub at: Instant,
    /// Ticks since the system time was 0.
    pub elapsed: u64,
    /// The time of day when the system time was 0, in seconds since 1970 (UTC).
    pub seconds: i64,
}

impl SavedTime {
    /// The rate at which the guest's TSC goes on where the host's has rate `host`.
    ///
    /// # Errors
    /// The rates differ by too much, and there is nothing that could make up for it.
    pub fn rate_here(&self, host: Hertz, scaling: TscScaling) -> Result<Hertz, BadState> {
        let difference = self.tsc.get().abs_diff(host.get());
        if difference.saturating_mul(SAME_RATE) <= host.get() {
            return Ok(host);
        }
        match scaling {
            TscScaling::Any if TscScale::new(host, self.tsc).is_some() => Ok(self.tsc),
            TscScaling::Any | TscScaling::None => Err(BadState::Rate(self.tsc)),
        }
    }

    /// Ticks of a TSC of this rate that are as long as `elapsed`, at least.
    pub fn elapsed_at(&self, rate: Hertz) -> u64 {
        if self.tsc == rate {
            return self.elapsed;
        }
        Ratio::new(self.tsc, rate).apply_up(self.elapsed)
    }
}

/// All of a partition's state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedPartition {
    /// Its shape.
    pub shape: Shape,
    /// Its time.
    pub time: SavedTime,
    /// Its board.
    pub board: BoardState,
    /// Its vCPUs, in the order of their ids.
    pub vcpus: Vec<SavedVcpu>,
}

impl SavedPartition {
    /// Bytes of a state of so many vCPUs at most.
    pub const fn most_bytes(vcpus: u16) -> u64 {
        // Every component there is, none of them small.
        const VCPU: u64 = 24 << 10;
        (vcpus as u64).saturating_mul(VCPU).saturating_add(4 << 10)
    }

    /// It as bytes.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted.
    pub fn save(&self) -> Result<Vec<u8>, ResourceError> {
        let mut to = Writer::new();
        to.section(Kind::Partition, VERSION, |to| {
            self.shape.ram.save(to);
            self.shape.vcpus.save(to);
            self.time.tsc.get().save(to);
            self.time.at.0.save(to);
            self.time.elapsed.save(to);
            self.time.seconds.save(to);
        });
        self.board.save(&mut to);
        for vcpu in &self.vcpus {
            vcpu.save(&mut to);
        }
        to.finish()
    }

    /// Takes it from its bytes. What a CPU and a board can be in is checked by whoever has them.
    ///
    /// # Errors
    /// The bytes are not the state of a partition of this shape.
    pub fn load(bytes: &[u8], shape: &Shape) -> Result<Self, BadState> {
        let mut from = Sections::of(bytes)?;
        let (found, time) = from.section(Kind::Partition, VERSION, |from| {
            let shape = Shape {
                ram: u64::load(from)?,
                vcpus: u16::load(from)?,
            };
            let tsc = Hertz::new(u64::load(from)?).ok_or(impossible("the rate of the TSC"))?;
            let time = SavedTime {
                tsc,
                at: Instant(u64::load(from)?),
                elapsed: u64::load(from)?,
                seconds: i64::load(from)?,
            };
            Ok((shape, time))
        })?;
        if found != *shape {
            return Err(BadState::Shape(found));
        }
        let board = BoardState::load(&mut from)?;
        let mut vcpus = Vec::new();
        vcpus
            .try_reserve_exact(usize::from(shape.vcpus))
            .map_err(|_| BadState::Resource(ResourceError::HypervisorMemory))?;
        for number in 0..shape.vcpus {
            let vcpu = SavedVcpu::load(&mut from)?;
            if vcpu.id.0 != number {
                return Err(impossible("the number of a vCPU"));
            }
            vcpus.push(vcpu);
        }
        from.end()?;
        Ok(Self {
            shape: found,
            time,
            board,
            vcpus,
        })
    }
}
