//! Devices: what they reach, and whom the management partition answers through them.

use super::both_ways_answer;
use crate::backend::{Backend, Backends};
use crate::frame::{Echo, Station};
use crate::machine::{Iommu, Machine};
use crate::machine_test::MachineTest;
use crate::partition::Partition;
use crate::ping::Network;
use crate::view::View;
use anyhow::{Context, Result, ensure};
use std::net::Ipv4Addr;

/// The rows.
pub fn rows() -> Vec<MachineTest> {
    let mut all = reaching();
    all.extend(confined_management());
    all.push(
        MachineTest::new("management-answers-ping")
            .managed_by_frames("ip=192.168.77.2/24,192.168.77.1")
            .keeps_running()
            .shows(READY)
            .probed(READY, answers_ping),
    );
    all
}

const READY: &str = r"^\[management\] management partition ready at ";
const AMD: Backends = Backends::Only(Backend::Svm, "AMD's IOMMU exists only beside AMD's CPUs");
const CONFINED: &str =
    r"^bulkhead: IOMMU: all devices are confined to partition 0 \(units: [1-9][0-9]*\)$";

/// The hypervisor's image.
const IMAGE: u64 = 2 << 20;
/// Memory below 640 KiB that nobody uses, so that the hypervisor survives where nothing stops the device.
const HARMLESS: u64 = 0x5_0000;
/// What the device may not write: also the hypervisor's code and its data.
const OUTSIDE: [u64; 4] = [HARMLESS, IMAGE, 0x21_0000, 0x2a_0000];
/// What the guest has the device write there.
const MARK: u64 = u64::from_le_bytes(*b"trespass");

/// A device that is told to reach for everything, with an IOMMU and without: the second row shows that the guest of the first
/// would notice.
fn reaching() -> Vec<MachineTest> {
    const PASS: &str = r"^\[dma\] PASS";
    let reaching = |name, iommu, bounds, writes: &[u64], look: fn(&View) -> Result<()>| {
        let writes: Vec<_> = writes.iter().map(u64::to_string).collect();
        let writes = writes.join(",");
        let arguments = format!("bounds={bounds} reads={IMAGE} writes={writes}");
        let guest = Partition::new("dma", "dma").arguments(arguments);
        MachineTest::new(name)
            // The device's DMA reaches 28 bits of addresses: all of the memory.
            .machine(Machine {
                iommu,
                memory_mib: 256,
                extra: ["-device", "edu"].map(str::to_owned).to_vec(),
                ..Machine::default()
            })
            .keeps_running()
            .passing(guest.management())
            .passing(Partition::new("witness", "witness").arguments("ticks=250"))
            .probed(PASS, look)
    };
    vec![
        reaching(
            "devices-reach-only-management",
            Iommu::Amd,
            "kept",
            &OUTSIDE,
            nothing_outside_is_marked,
        )
        .on(AMD)
        // No report of what was refused is expected: QEMU's unit logs no access to what has no table entry at all.
        .shows(CONFINED),
        reaching(
            "devices-reach-everything-without-an-iommu",
            Iommu::Absent,
            "none",
            &[HARMLESS],
            the_harmless_place_is_marked,
        ),
    ]
}

fn nothing_outside_is_marked(view: &View) -> Result<()> {
    for address in OUTSIDE {
        ensure!(
            !is_marked(view, address)?,
            "a device has written to {address:#x}"
        );
    }
    Ok(())
}

fn the_harmless_place_is_marked(view: &View) -> Result<()> {
    ensure!(
        is_marked(view, HARMLESS)?,
        "nothing was written, although nothing was in the way"
    );
    Ok(())
}

/// Whether any of the 256 bytes of machine memory from `address` on are the guest's, seen by QEMU's monitor.
fn is_marked(view: &View, address: u64) -> Result<bool> {
    let dump = view.monitor()?.ask(&format!("xp /32xg {address:#x}"))?;
    let words: Vec<_> = dump.split_whitespace().filter_map(hexadecimal).collect();
    ensure!(words.len() == 32, "QEMU's monitor shows no memory: {dump}");
    Ok(words.contains(&MARK))
}

/// A word of a dump; addresses at the start of lines have no `0x`.
fn hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// The product's own partition, whose devices see nothing but its memory.
fn confined_management() -> Vec<MachineTest> {
    vec![
        MachineTest::new("management-under-iommu")
            .on(AMD)
            .managed()
            .keeps_running()
            .machine(Machine {
                iommu: Iommu::Amd,
                ..Machine::default()
            })
            .shows(CONFINED)
            .shows(READY)
            .probed(READY, both_ways_answer),
    ]
}

/// Echo requests of several sizes come back from the address that the partition was given.
fn answers_ping(view: &View) -> Result<()> {
    let us = Station {
        // Locally administered.
        mac: [2, 0, 0, 0, 0x77, 1],
        ip: Ipv4Addr::new(192, 168, 77, 1),
    };
    let network = Network::join(view.frame_ports()?, us)?;
    let them = network.find(Ipv4Addr::new(192, 168, 77, 2))?;
    ensure!(them.mac != us.mac, "it claims the runner's own address");
    // Nothing, what ping sends, and as much as a frame takes.
    for (sequence, bytes) in [(1, 0), (2, 56), (3, 1472)] {
        let payload = (0..bytes).map(|index: u32| (index * 7) as u8).collect();
        let echo = Echo {
            id: 0xb17c,
            sequence,
            payload,
        };
        network.echo(them, &echo).context("ping")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_dump_are_told_from_addresses() {
        let line = "0000000000050000: 0x7373617073657274 0x0000000000000000";
        let words: Vec<_> = line.split_whitespace().filter_map(hexadecimal).collect();
        assert_eq!(words, [MARK, 0]);
    }
}
