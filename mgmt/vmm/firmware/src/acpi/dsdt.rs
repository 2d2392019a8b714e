//! The DSDT: what cannot be found by looking for it (ACPI 6.5, chapters 6 and 7; PCI Firmware Specification 3.3, 4.5).

mod processors;

use alloc::vec::Vec;

use acpi_tables::Aml;
use acpi_tables::aml::{
    AddressSpace, AddressSpaceCacheable, And, Arg, CreateDWordField, Device, EISAName, Else, Equal,
    IO, If, Interrupt, Local, Memory32Fixed, Method, Name, NotEqual, ONE, Or, PackageBuilder, Path,
    ResourceTemplate, Return, Scope, Store, Uuid, ZERO,
};

use super::table as acpi_table;
use crate::{BoardFacts, layout};
use processors::Processors;

const REVISION: u8 = 2;
/// PCI host bridge, as _OSC knows it.
const HOST_BRIDGE_UUID: &str = "33db4d5b-1ff7-401c-9657-7441c03dd766";
/// Hot plug, SHPC hot plug, power management events, error reporting, capability structure: the firmware does none of
/// them, so the kernel may have them all.
const GRANTED: u8 = 0b1_1111;
/// Results of _OSC.
const UNKNOWN_UUID: u8 = 1 << 2;
const UNKNOWN_REVISION: u8 = 1 << 3;
const NOT_ALL_GRANTED: u8 = 1 << 4;
const CONFIG_PORTS: u16 = 0xcf8;
const CONFIG_PORT_COUNT: u8 = 8;

/// The table.
pub fn table(facts: &BoardFacts<'_>) -> Vec<u8> {
    let mut content = Vec::new();
    power_off().to_aml_bytes(&mut content);
    Scope::new(
        Path::new("_SB_"),
        [&PciRoot as &dyn Aml, &Motherboard, &SerialPort, &Clock]
            .into_iter()
            .chain([&Processors(facts) as &dyn Aml])
            .collect(),
    )
    .to_aml_bytes(&mut content);
    processors::event().to_aml_bytes(&mut content);
    acpi_table(*b"DSDT", REVISION, &content)
}

/// _S5: what to write to power off. The second number is for a second register block, which there is not.
fn power_off() -> Name {
    let mut package = PackageBuilder::new();
    for value in [layout::SLEEP_TYPE_OFF, layout::SLEEP_TYPE_OFF, 0, 0] {
        package.add_element(&value);
    }
    Name::new(Path::new("_S5_"), &package)
}

/// A device's hardware id.
fn hardware(id: &str) -> Name {
    Name::new(Path::new("_HID"), &EISAName::new(id))
}

fn number(name: &str, value: u32) -> Name {
    Name::new(Path::new(name), &value)
}

fn resources(list: Vec<&dyn Aml>) -> Name {
    Name::new(Path::new("_CRS"), &ResourceTemplate::new(list))
}

struct PciRoot;

impl Aml for PciRoot {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        let window = layout::PCI_WINDOW;
        let resources = resources(Vec::from([
            &AddressSpace::new_bus_number(0u16, 0) as &dyn Aml,
            &IO::new(CONFIG_PORTS, CONFIG_PORTS, 1, CONFIG_PORT_COUNT),
            &AddressSpace::new_io(0u16, CONFIG_PORTS - 1, None),
            &AddressSpace::new_io(CONFIG_PORTS + u16::from(CONFIG_PORT_COUNT), u16::MAX, None),
            &AddressSpace::new_memory(
                AddressSpaceCacheable::NotCacheable,
                true,
                window.start,
                window.end - 1,
                None,
            ),
        ]));
        Device::new(
            Path::new("PCI0"),
            Vec::from([
                &hardware("PNP0A08") as &dyn Aml,
                // Kernels that do not know PCI Express.
                &Name::new(Path::new("_CID"), &EISAName::new("PNP0A03")),
                &number("_SEG", 0),
                &number("_BBN", 0),
                &number("_UID", 0),
                &resources,
                &Name::new(Path::new("_PRT"), &routing()),
                &Negotiation,
            ]),
        )
        .to_aml_bytes(sink);
    }
}

/// _PRT: which line each pin of each device drives. The numbers are those of I/O APIC pins.
fn routing() -> PackageBuilder {
    let mut all = PackageBuilder::new();
    for slot in 0..layout::PCI_SLOTS {
        for pin in 0..layout::PCI_PINS {
            let mut one = PackageBuilder::new();
            // All functions of the device.
            one.add_element(&(u32::from(slot) << 16 | 0xffff));
            one.add_element(&pin);
            one.add_element(&ZERO);
            one.add_element(&layout::pci_gsi(slot, pin));
            all.add_element(&one);
        }
    }
    all
}

/// _OSC: who does what about PCI Express.
struct Negotiation;

impl Aml for Negotiation {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        let [status, control] = ["STAT", "CTRL"].map(Path::new);
        let asked = Local(0);
        let uuid = Uuid::new(HOST_BRIDGE_UUID);
        let buffer = Arg(3);
        Method::new(
            Path::new("_OSC"),
            4,
            true,
            Vec::from([
                &CreateDWordField::new(&status, &buffer, &0u8) as &dyn Aml,
                &If::new(
                    &Equal::new(&Arg(0), &uuid),
                    Vec::from([
                        &CreateDWordField::new(&control, &buffer, &8u8) as &dyn Aml,
                        &And::new(&asked, &control, &GRANTED),
                        &If::new(
                            &NotEqual::new(&Arg(1), &ONE),
                            Vec::from([&Or::new(&status, &status, &UNKNOWN_REVISION) as &dyn Aml]),
                        ),
                        &If::new(
                            &NotEqual::new(&asked, &control),
                            Vec::from([&Or::new(&status, &status, &NOT_ALL_GRANTED) as &dyn Aml]),
                        ),
                        &Store::new(&control, &asked),
                    ]),
                ),
                &Else::new(Vec::from([
                    &Or::new(&status, &status, &UNKNOWN_UUID) as &dyn Aml
                ])),
                &Return::new(&buffer),
            ]),
        )
        .to_aml_bytes(sink);
    }
}

/// What must not be given to other devices.
struct Motherboard;

impl Aml for Motherboard {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        let power = IO::new(layout::PM1A_EVENT, layout::PM1A_EVENT, 1, 0x20);
        let ecam = Memory32Fixed::new(true, layout::ECAM, layout::ECAM_BYTES);
        Device::new(
            Path::new("MBRD"),
            Vec::from([
                &hardware("PNP0C02") as &dyn Aml,
                &number("_UID", 0),
                &resources(Vec::from([&power as &dyn Aml, &ecam])),
            ]),
        )
        .to_aml_bytes(sink);
    }
}

/// An edge-triggered, active-high line of its own, as ISA has it.
fn line(number: u32) -> Interrupt {
    Interrupt::new(true, true, false, false, number)
}

struct SerialPort;

impl Aml for SerialPort {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        let ports = IO::new(layout::COM1, layout::COM1, 1, 8);
        Device::new(
            Path::new("COM1"),
            Vec::from([
                &hardware("PNP0501") as &dyn Aml,
                &number("_UID", 0),
                &resources(Vec::from([&ports as &dyn Aml, &line(layout::COM1_LINE)])),
            ]),
        )
        .to_aml_bytes(sink);
    }
}

struct Clock;

impl Aml for Clock {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        let ports = IO::new(layout::CLOCK, layout::CLOCK, 1, 2);
        Device::new(
            Path::new("RTC_"),
            Vec::from([
                &hardware("PNP0B00") as &dyn Aml,
                &resources(Vec::from([&ports as &dyn Aml, &line(layout::CLOCK_LINE)])),
            ]),
        )
        .to_aml_bytes(sink);
    }
}
