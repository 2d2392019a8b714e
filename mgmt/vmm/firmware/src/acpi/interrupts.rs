//! The MADT (ACPI 6.5, 5.2.12): processors and interrupt controllers.

use alloc::vec::Vec;

use acpi_tables::madt::{EnabledStatus, IoApic, ProcessorLocalApic};
use zerocopy::byteorder::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes};

use super::table as acpi_table;
use crate::{BoardFacts, layout};

const REVISION: u8 = 5;
/// There are 8259As as well.
const PC_COMPATIBLE: u32 = 1;
/// Ids from here on do not fit the older kind of entry (255 is the broadcast).
const FIRST_X2APIC: u32 = 255;
const ENABLED: u32 = 1;
/// It may come while the system runs.
const ONLINE_CAPABLE: u32 = 2;
/// Level-triggered, active high.
const LEVEL_HIGH: u16 = 0b1101;
const AS_THE_BUS: u16 = 0;
/// The NMI is at every processor's LINT1.
const NMI_PIN: u8 = 1;

/// Whether a processor is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Presence {
    /// It is there at the start.
    Present,
    /// It may come.
    MayCome,
}

/// What the library does not have.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct X2Apic {
    kind: u8,
    length: u8,
    reserved: U16,
    id: U32,
    flags: U32,
    uid: U32,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct SourceOverride {
    kind: u8,
    length: u8,
    bus: u8,
    source: u8,
    gsi: U32,
    flags: U16,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct LocalNmi {
    kind: u8,
    length: u8,
    uid: u8,
    flags: U16,
    pin: u8,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct X2ApicNmi {
    kind: u8,
    length: u8,
    flags: U16,
    uid: U32,
    pin: u8,
    reserved: [u8; 3],
}

/// The table.
pub fn table(facts: &BoardFacts<'_>) -> Vec<u8> {
    let mut content = Vec::new();
    content.extend_from_slice(&layout::LOCAL_APIC.to_le_bytes());
    content.extend_from_slice(&PC_COMPATIBLE.to_le_bytes());
    let mut largest = 0;
    for vcpu in 0..facts.vcpus {
        let id = facts.apic_id(vcpu);
        largest = largest.max(id);
        let presence = match vcpu < facts.present_vcpus {
            true => Presence::Present,
            false => Presence::MayCome,
        };
        content.extend_from_slice(&processor(vcpu, id, presence));
    }
    let io_apic = IoApic::new(0, layout::IO_APIC, 0);
    content.extend_from_slice(io_apic.as_bytes());
    let timer = source_override(0, layout::TIMER_GSI, AS_THE_BUS);
    content.extend_from_slice(timer.as_bytes());
    let power = source_override(layout::SCI, u32::from(layout::SCI), LEVEL_HIGH);
    content.extend_from_slice(power.as_bytes());
    let nmi = LocalNmi {
        kind: 4,
        length: size_of::<LocalNmi>() as u8,
        uid: u8::MAX,
        flags: AS_THE_BUS.into(),
        pin: NMI_PIN,
    };
    content.extend_from_slice(nmi.as_bytes());
    if largest >= FIRST_X2APIC {
        let nmi = X2ApicNmi {
            kind: 10,
            length: size_of::<X2ApicNmi>() as u8,
            flags: AS_THE_BUS.into(),
            uid: u32::MAX.into(),
            pin: NMI_PIN,
            reserved: [0; 3],
        };
        content.extend_from_slice(nmi.as_bytes());
    }
    acpi_table(*b"APIC", REVISION, &content)
}

/// The entry of a processor that is there now, or may come.
pub(super) fn processor(uid: u32, id: u32, presence: Presence) -> Vec<u8> {
    match (u8::try_from(uid), u8::try_from(id)) {
        (Ok(uid), Ok(small)) if id < FIRST_X2APIC => {
            let status = match presence {
                Presence::Present => EnabledStatus::Enabled,
                Presence::MayCome => EnabledStatus::DisabledOnlineCapable,
            };
            Vec::from(ProcessorLocalApic::new(uid, small, status).as_bytes())
        }
        _ => Vec::from(x2apic(uid, id, presence).as_bytes()),
    }
}

fn x2apic(uid: u32, id: u32, presence: Presence) -> X2Apic {
    X2Apic {
        kind: 9,
        length: size_of::<X2Apic>() as u8,
        reserved: 0.into(),
        id: id.into(),
        flags: match presence {
            Presence::Present => ENABLED.into(),
            Presence::MayCome => ONLINE_CAPABLE.into(),
        },
        uid: uid.into(),
    }
}

fn source_override(source: u8, gsi: u32, flags: u16) -> SourceOverride {
    SourceOverride {
        kind: 2,
        length: size_of::<SourceOverride>() as u8,
        bus: 0,
        source,
        gsi: gsi.into(),
        flags: flags.into(),
    }
}
