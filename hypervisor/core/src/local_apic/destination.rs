//! Who receives an interrupt message: destination matching and lowest-priority arbitration.
//!
//! Used by IPI, I/O APIC and MSI delivery. Sources: SDM 3A 10.6.2, 10.12.10; APM 2 16.6.

use super::ApicMode;
use super::message::{IpiRequest, Shorthand};
use crate::id::ApicId;

/// How a destination field names local APICs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum DestinationMode {
    /// By APIC id.
    Physical,
    /// By the logical id that software gave (xAPIC) or that follows from the APIC id (x2APIC).
    Logical,
}

/// A destination field in its 32-bit form.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Destination {
    field: u32,
    mode: DestinationMode,
}

impl Destination {
    /// Every local APIC.
    pub const BROADCAST: Destination = Destination {
        field: u32::MAX,
        mode: DestinationMode::Physical,
    };

    /// The field of a sender with 8 bits of destination (xAPIC, I/O APIC, MSI); 0xff means everyone.
    #[inline]
    pub const fn narrow(field: u8, mode: DestinationMode) -> Self {
        let field = if field == u8::MAX {
            u32::MAX
        } else {
            field as u32
        };
        Self { field, mode }
    }

    /// The field of an x2APIC, or an extended one; 0xffff_ffff means everyone.
    #[inline]
    pub const fn wide(field: u32, mode: DestinationMode) -> Self {
        Self { field, mode }
    }

    /// The single APIC id this names, where it is a physical destination and no broadcast.
    #[inline]
    pub const fn single(self) -> Option<ApicId> {
        match self.mode {
            DestinationMode::Physical if self.field != u32::MAX => Some(ApicId(self.field)),
            _ => None,
        }
    }

    /// Whether this names everyone.
    #[inline]
    pub const fn is_broadcast(self) -> bool {
        self.field == u32::MAX
    }

    /// Whether the local APIC with this identity is among the receivers.
    #[inline]
    pub const fn matches(self, target: &Identity) -> bool {
        if self.field == u32::MAX {
            return true;
        }
        match (self.mode, target.mode) {
            (DestinationMode::Physical, IdentityMode::X2Apic) => self.field == target.id.0,
            (DestinationMode::Physical, IdentityMode::XApic { .. }) => {
                self.field == target.id.0 & 0xff
            }
            (DestinationMode::Logical, IdentityMode::X2Apic) => {
                let cluster = target.id.0 >> 4 & 0xffff;
                self.field >> 16 == cluster && self.field & 1 << (target.id.0 & 15) != 0
            }
            (DestinationMode::Logical, IdentityMode::XApic { ldr, dfr }) => {
                let mine = ldr >> 24;
                if dfr >> 28 == 0 {
                    // Cluster model: cluster in the high nibble (15: every cluster), members in the low one.
                    let cluster = self.field >> 4 & 15;
                    (cluster == 15 || cluster == mine >> 4) && self.field & mine & 15 != 0
                } else {
                    self.field & mine & 0xff != 0
                }
            }
        }
    }
}

/// What a local APIC answers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Its APIC id.
    pub id: ApicId,
    /// Its mode, with the logical id of that mode.
    pub mode: IdentityMode,
}

impl Identity {
    /// That of an APIC in this mode, with the logical id that software wrote; `None` while it is globally disabled.
    pub(super) const fn of(mode: ApicMode, id: ApicId, ldr: u32, dfr: u32) -> Option<Self> {
        let mode = match mode {
            ApicMode::Disabled => return None,
            ApicMode::XApic => IdentityMode::XApic { ldr, dfr },
            ApicMode::X2Apic => IdentityMode::X2Apic,
        };
        Some(Identity { id, mode })
    }
}

/// The mode of an [`Identity`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdentityMode {
    /// xAPIC: the low 8 bits of the id, and a logical id that software wrote.
    XApic {
        /// The logical destination register.
        ldr: u32,
        /// The destination format register.
        dfr: u32,
    },
    /// x2APIC: 32 bits, and a logical id that follows from the id.
    X2Apic,
}

impl IpiRequest {
    /// Whether the local APIC `target` receives this IPI from the one with id `sender`.
    #[inline]
    pub fn reaches(&self, sender: ApicId, target: &Identity) -> bool {
        match self.shorthand {
            Shorthand::Explicit => self.message.destination.matches(target),
            Shorthand::ToSelf => target.id == sender,
            Shorthand::All => true,
            Shorthand::AllButSelf => target.id != sender,
        }
    }
}

/// Picks the receiver of a lowest-priority message.
///
/// `candidates` are the indices that match the destination with their processor priorities, in ascending
/// order of index. Among equals the first index at or after `rotate` wins, cyclically: pass the index after
/// the last receiver to spread interrupts.
pub fn lowest_priority(
    candidates: impl Iterator<Item = (usize, u8)>,
    rotate: usize,
) -> Option<usize> {
    candidates
        .min_by_key(|&(index, priority)| (priority >> 4, index < rotate, index))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::super::message::{DeliveryMode, Message, Trigger};
    use super::*;
    use crate::id::Vector;

    const FLAT: u32 = u32::MAX;
    const CLUSTER: u32 = 0x0fff_ffff;

    fn xapic(id: u32, logical: u32, dfr: u32) -> Identity {
        Identity {
            id: ApicId(id),
            mode: IdentityMode::XApic {
                ldr: logical << 24,
                dfr,
            },
        }
    }

    fn x2apic(id: u32) -> Identity {
        Identity {
            id: ApicId(id),
            mode: IdentityMode::X2Apic,
        }
    }

    #[test]
    fn physical_destinations_name_one_or_all() {
        for target in [xapic(5, 0, FLAT), x2apic(5)] {
            assert!(Destination::narrow(5, DestinationMode::Physical).matches(&target));
            assert!(!Destination::narrow(4, DestinationMode::Physical).matches(&target));
            assert!(Destination::narrow(0xff, DestinationMode::Physical).matches(&target));
            assert!(Destination::BROADCAST.matches(&target));
        }
        assert!(Destination::wide(300, DestinationMode::Physical).matches(&x2apic(300)));
        assert!(!Destination::wide(300, DestinationMode::Physical).matches(&xapic(44, 0, FLAT)));
        assert!(!Destination::wide(0xff, DestinationMode::Physical).matches(&x2apic(5)));
    }

    #[test]
    fn flat_logical_destinations_are_a_mask() {
        for mine in 0..=255u32 {
            for field in 0..=254u8 {
                let hit = Destination::narrow(field, DestinationMode::Logical)
                    .matches(&xapic(0, mine, FLAT));
                assert_eq!(hit, u32::from(field) & mine != 0);
            }
        }
    }

    #[test]
    fn cluster_destinations_need_cluster_and_member() {
        let target = xapic(9, 0x24, CLUSTER);
        let matches = |field| Destination::narrow(field, DestinationMode::Logical).matches(&target);
        assert!(matches(0x24));
        assert!(matches(0x2f));
        assert!(!matches(0x21));
        assert!(!matches(0x34));
        assert!(matches(0xf4));
        assert!(!matches(0xf1));
    }

    #[test]
    fn x2apic_logical_ids_follow_from_the_id() {
        let target = x2apic(0x123);
        let matches = |field| Destination::wide(field, DestinationMode::Logical).matches(&target);
        assert!(matches(0x0012_0008));
        assert!(matches(0x0012_ffff));
        assert!(!matches(0x0012_0004));
        assert!(!matches(0x0013_0008));
        assert!(Destination::narrow(0xff, DestinationMode::Logical).matches(&target));
        assert!(Destination::narrow(1, DestinationMode::Logical).matches(&x2apic(0)));
    }

    #[test]
    fn shorthands_ignore_the_destination() {
        let request = |shorthand| IpiRequest {
            shorthand,
            message: Message {
                destination: Destination::wide(77, DestinationMode::Physical),
                delivery: DeliveryMode::Fixed,
                vector: Vector(0x40),
                trigger: Trigger::Edge,
            },
        };
        let (me, other) = (ApicId(1), x2apic(2));
        assert!(!request(Shorthand::ToSelf).reaches(me, &other));
        assert!(request(Shorthand::ToSelf).reaches(me, &x2apic(1)));
        assert!(request(Shorthand::All).reaches(me, &other));
        assert!(request(Shorthand::All).reaches(me, &x2apic(1)));
        assert!(request(Shorthand::AllButSelf).reaches(me, &other));
        assert!(!request(Shorthand::AllButSelf).reaches(me, &x2apic(1)));
        assert!(!request(Shorthand::Explicit).reaches(me, &other));
        assert!(request(Shorthand::Explicit).reaches(me, &x2apic(77)));
    }

    #[test]
    fn the_lowest_priority_wins_and_ties_rotate() {
        let pick = |list: &[(usize, u8)], rotate| lowest_priority(list.iter().copied(), rotate);
        assert_eq!(pick(&[(0, 0x20), (1, 0x10), (2, 0x30)], 0), Some(1));
        assert_eq!(pick(&[(0, 0x10), (1, 0x1f), (3, 0x10)], 1), Some(1));
        assert_eq!(pick(&[(0, 0x10), (1, 0x10), (3, 0x10)], 2), Some(3));
        assert_eq!(pick(&[(0, 0x10), (1, 0x10)], 4), Some(0));
        assert_eq!(pick(&[], 0), None);
    }
}
