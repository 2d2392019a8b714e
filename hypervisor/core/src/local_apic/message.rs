//! Interrupt messages: what an IPI, an I/O APIC pin or an MSI sends to local APICs.
//!
//! Sources: SDM 3A 10.6.1 (ICR), 10.11 (MSI), APM 2 16.5.

use super::destination::{Destination, DestinationMode};
use crate::id::Vector;

/// How a vector was signalled; level-triggered ones need an EOI at the I/O APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Trigger {
    /// On a transition, or by a message.
    Edge,
    /// As long as a line is asserted.
    Level,
}

/// What the receiving local APIC does with a message (SDM 3A table 10-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum DeliveryMode {
    /// Accept the vector.
    Fixed = 0,
    /// Accept the vector on the one target with the lowest priority.
    LowestPriority = 1,
    /// System management interrupt.
    Smi = 2,
    /// Non-maskable interrupt; the vector is ignored.
    Nmi = 4,
    /// INIT.
    Init = 5,
    /// Start-up: the vector is the page number of the first instruction.
    Startup = 6,
    /// The vector comes from the 8259A.
    ExtInt = 7,
}

impl DeliveryMode {
    /// The mode with this 3-bit code; `None` for the reserved code 3.
    #[inline]
    pub const fn from_code(code: u32) -> Option<Self> {
        match code & 7 {
            0 => Some(DeliveryMode::Fixed),
            1 => Some(DeliveryMode::LowestPriority),
            2 => Some(DeliveryMode::Smi),
            4 => Some(DeliveryMode::Nmi),
            5 => Some(DeliveryMode::Init),
            6 => Some(DeliveryMode::Startup),
            7 => Some(DeliveryMode::ExtInt),
            _ => None,
        }
    }
}

/// One interrupt message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// Who gets it.
    pub destination: Destination,
    /// What it does there.
    pub delivery: DeliveryMode,
    /// The vector.
    pub vector: Vector,
    /// How it is triggered.
    pub trigger: Trigger,
}

/// Which local APICs an IPI names without a destination (SDM 3A 10.6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shorthand {
    /// None: the destination counts.
    Explicit,
    /// The sender only.
    ToSelf,
    /// All, the sender included.
    All,
    /// All but the sender.
    AllButSelf,
}

/// An IPI that the caller must deliver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpiRequest {
    /// The shorthand; where it is not [`Shorthand::Explicit`] the message's destination is ignored.
    pub shorthand: Shorthand,
    /// What to deliver.
    pub message: Message,
}

/// Whether a platform offers APIC ids above 255 in MSIs: destination bits 8 to 14 in address bits 5 to 11,
/// as guests know it from the paravirtual feature bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExtendedDestination {
    /// Address bits 5 to 11 are ignored, as on hardware without interrupt remapping.
    Off,
    /// Ids up to 32767.
    On,
}

impl Message {
    /// Decodes an MSI (SDM 3A 10.11.1); `None` where the write is not one or the delivery mode is reserved.
    pub const fn from_msi(address: u64, data: u32, extended: ExtendedDestination) -> Option<Self> {
        if address >> 20 != 0xfee {
            return None;
        }
        let mode = if address & 4 != 0 {
            DestinationMode::Logical
        } else {
            DestinationMode::Physical
        };
        let low = (address >> 12 & 0xff) as u32;
        let high = match extended {
            ExtendedDestination::Off => 0,
            ExtendedDestination::On => (address >> 5 & 0x7f) as u32,
        };
        let destination = if high == 0 {
            Destination::narrow(low as u8, mode)
        } else {
            Destination::wide(high << 8 | low, mode)
        };
        let redirectable = address & 8 != 0;
        let delivery = match DeliveryMode::from_code(data >> 8) {
            // The redirection hint asks for one target out of the set.
            Some(DeliveryMode::Fixed) if redirectable => DeliveryMode::LowestPriority,
            // A start-up message exists as an IPI only.
            Some(DeliveryMode::Startup) | None => return None,
            Some(delivery) => delivery,
        };
        let trigger = if data & 1 << 15 != 0 {
            Trigger::Level
        } else {
            Trigger::Edge
        };
        Some(Self {
            destination,
            delivery,
            vector: Vector(data as u8),
            trigger,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_msi_is_decoded_field_by_field() {
        let message = Message::from_msi(0xfee0_3000, 0x4041, ExtendedDestination::Off).unwrap();
        assert_eq!(message.vector, Vector(0x41));
        assert_eq!(message.delivery, DeliveryMode::Fixed);
        assert_eq!(message.trigger, Trigger::Edge);
        assert_eq!(
            message.destination,
            Destination::wide(3, DestinationMode::Physical)
        );
        let message = Message::from_msi(0xfeef_f00c, 0xc041, ExtendedDestination::Off).unwrap();
        assert_eq!(message.delivery, DeliveryMode::LowestPriority);
        assert_eq!(message.trigger, Trigger::Level);
        assert_eq!(
            message.destination,
            Destination::narrow(0xff, DestinationMode::Logical)
        );
        let nmi = Message::from_msi(0xfee0_0000, 0x400, ExtendedDestination::Off).unwrap();
        assert_eq!(nmi.delivery, DeliveryMode::Nmi);
    }

    #[test]
    fn what_is_no_msi_is_refused() {
        assert_eq!(
            Message::from_msi(0xfed0_0000, 0x41, ExtendedDestination::Off),
            None
        );
        assert_eq!(
            Message::from_msi(0x1_fee0_0000, 0x41, ExtendedDestination::Off),
            None
        );
        assert_eq!(
            Message::from_msi(0xfee0_0000, 0x341, ExtendedDestination::Off),
            None
        );
        assert_eq!(
            Message::from_msi(0xfee0_0000, 0x641, ExtendedDestination::Off),
            None
        );
    }

    #[test]
    fn extended_ids_reach_32767() {
        let address = 0xfee0_0000 | 0xfe << 12 | 0x7f << 5;
        let on = Message::from_msi(address, 0x41, ExtendedDestination::On).unwrap();
        assert_eq!(
            on.destination,
            Destination::wide(0x7ffe, DestinationMode::Physical)
        );
        let off = Message::from_msi(address, 0x41, ExtendedDestination::Off).unwrap();
        assert_eq!(
            off.destination,
            Destination::wide(0xfe, DestinationMode::Physical)
        );
    }
}
