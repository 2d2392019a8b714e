//! The driver against units with long memories: a stale translation or a moment of freedom is a failure.

use std::cell::RefCell;
use std::rc::Rc;

use bulkhead_core::addr::{HpaRange, PageSize};
use bulkhead_core::paging::{Entry, Format, Level, Usage};

use super::fake::{Dma, FakeRegisters, Handle, Machine, READ, WRITE};
use super::*;
use crate::iommu::ivrs::{Alias, Special, SpecialKind, UnitInfo};

const INVALIDATE_ALL: u64 = 1 << 6;
const TABLE: u64 = 0x8000_0000;
const M2: u64 = 2 << 20;

type FakeIommu = Iommu<FakeRegisters, Handle>;

fn bdf(bus: u8, device: u8, function: u8) -> Bdf {
    Bdf::new(bus, device, function).unwrap()
}

/// A description by the parser, for units at these places.
fn description(units: usize) -> Ivrs {
    let mut table = vec![0; 48];
    for unit in 0..units as u8 {
        table.extend([0x10, 0xd1, 24, 0, 0x10 + unit, 0, 0x40, 0]);
        table.extend([0; 16]);
    }
    Ivrs::parse(&table).unwrap()
}

fn open(handle: &Handle) -> impl FnMut(&UnitInfo) -> Option<FakeRegisters> {
    let handle = handle.clone();
    move |info| {
        Some(FakeRegisters(
            handle.clone(),
            usize::from(info.bdf.0) - 0x10,
        ))
    }
}

fn start_with(description: Ivrs, machine: Machine) -> (FakeIommu, Handle) {
    let handle = Handle(Rc::new(RefCell::new(machine)));
    let iommu = Iommu::start(
        description,
        handle.clone(),
        &mut handle.clone(),
        Hpa::new(TABLE),
        open(&handle),
    )
    .unwrap();
    (iommu, handle)
}

fn start(units: usize) -> (FakeIommu, Handle) {
    start_with(description(units), Machine::new(units, INVALIDATE_ALL))
}

fn dma(handle: &Handle, device: Bdf, address: u64, access: u64) -> Dma {
    handle.0.borrow_mut().dma(0, device, address, access)
}

fn sentences(iommu: &mut FakeIommu) -> Vec<String> {
    let mut all = Vec::new();
    iommu.drain_events(|unit, event| all.push(format!("{unit}: {event}")));
    all
}

const DEVICE: Bdf = Bdf(0x20);
const OWNER: DomainId = DomainId(2);

fn domain(iommu: &mut FakeIommu, handle: &Handle, id: DomainId) -> Domain {
    iommu.create_domain(id, &mut handle.clone()).unwrap()
}

fn map(iommu: &mut FakeIommu, handle: &Handle, domain: &mut Domain, start: u64, bytes: u64) {
    let (at, target) = (Gpa::new(start), Hpa::new(start));
    iommu
        .map(
            domain,
            &mut handle.clone(),
            at,
            bytes,
            target,
            Permissions::RW,
        )
        .unwrap();
}

#[test]
fn every_device_is_blocked_from_the_start() {
    let (mut iommu, handle) = start(1);
    for device in [Bdf(0), DEVICE, bdf(0x80, 5, 3), Bdf(u16::MAX)] {
        assert_eq!(dma(&handle, device, 0x1000, READ), Dma::Refused);
        assert_eq!(dma(&handle, device, 0x1000, WRITE), Dma::Refused);
    }
    let said = sentences(&mut iommu);
    assert_eq!(said.len(), 8);
    assert_eq!(
        said[2],
        "00:02.0: device 00:04.0 tried to read 0x1000 outside of its domain 1"
    );
    assert!(sentences(&mut iommu).is_empty());
}

#[test]
fn an_attached_device_reaches_its_domain_and_nothing_else() {
    let (mut iommu, handle) = start(1);
    let mut ram = domain(&mut iommu, &handle, OWNER);
    map(&mut iommu, &handle, &mut ram, 0x20_0000, 3 * M2 + 0x1000);
    iommu.attach(DEVICE, &ram).unwrap();
    assert_eq!(
        dma(&handle, DEVICE, 0x20_0123, WRITE),
        Dma::Reached(0x20_0123)
    );
    assert_eq!(
        dma(&handle, DEVICE, 0x80_0fff, READ),
        Dma::Reached(0x80_0fff)
    );
    assert_eq!(dma(&handle, DEVICE, 0x80_1000, READ), Dma::Refused);
    assert_eq!(dma(&handle, DEVICE, 0x1f_ffff, WRITE), Dma::Refused);
    assert_eq!(dma(&handle, bdf(0, 5, 0), 0x20_0000, READ), Dma::Refused);
    assert_eq!(
        sentences(&mut iommu)[1],
        "00:02.0: device 00:04.0 tried to write 0x1fffff outside of its domain 2"
    );
    iommu.detach(DEVICE).unwrap();
    assert_eq!(dma(&handle, DEVICE, 0x20_0123, WRITE), Dma::Refused);
}

#[test]
fn unmapped_memory_is_out_of_reach_of_every_unit_at_return() {
    let (mut iommu, handle) = start(3);
    let mut ram = domain(&mut iommu, &handle, OWNER);
    map(&mut iommu, &handle, &mut ram, 0, 2 * M2);
    iommu.attach(DEVICE, &ram).unwrap();
    let reach = |address| {
        let mut machine = handle.0.borrow_mut();
        (0..3)
            .map(|unit| machine.dma(unit, DEVICE, address, READ))
            .collect::<Vec<_>>()
    };
    assert_eq!(reach(0x1000), [Dma::Reached(0x1000); 3]);
    iommu
        .unmap(&mut ram, &mut handle.clone(), Gpa::new(0x1000), 0x1000)
        .unwrap();
    assert_eq!(reach(0x1000), [Dma::Refused; 3]);
    assert_eq!(reach(0x2000), [Dma::Reached(0x2000); 3]);
    iommu
        .unmap(&mut ram, &mut handle.clone(), Gpa::new(0), 2 * M2)
        .unwrap();
    assert_eq!(reach(0x2000), [Dma::Refused; 3]);
}

#[test]
fn a_device_that_changes_its_owner_sees_no_mixture() {
    let (mut iommu, handle) = start(1);
    let mut first = domain(&mut iommu, &handle, OWNER);
    let mut second = domain(&mut iommu, &handle, DomainId(3));
    map(&mut iommu, &handle, &mut first, 0x1000, 0x1000);
    map(&mut iommu, &handle, &mut second, 0x2000, 0x1000);
    iommu.attach(DEVICE, &first).unwrap();
    assert_eq!(dma(&handle, DEVICE, 0x1000, READ), Dma::Reached(0x1000));
    iommu.attach(DEVICE, &second).unwrap();
    assert_eq!(dma(&handle, DEVICE, 0x1000, READ), Dma::Refused);
    assert_eq!(dma(&handle, DEVICE, 0x2000, READ), Dma::Reached(0x2000));
}

#[test]
fn devices_never_get_free_while_entries_change() {
    let (mut iommu, handle) = start(1);
    let mut ram = domain(&mut iommu, &handle, OWNER);
    map(&mut iommu, &handle, &mut ram, 0x1000, 0x1000);
    handle.0.borrow_mut().after_store = Some(|machine| {
        // An eager unit: it looks at the table after each store.
        for address in [0x1000, 0x5000] {
            match machine.dma(0, DEVICE, address, READ) {
                Dma::Refused => {}
                Dma::Reached(at) => assert_eq!(at, 0x1000),
            }
        }
    });
    for _ in 0..3 {
        iommu.attach(DEVICE, &ram).unwrap();
        assert_eq!(dma(&handle, DEVICE, 0x1000, READ), Dma::Reached(0x1000));
        iommu.detach(DEVICE).unwrap();
        assert_eq!(dma(&handle, DEVICE, 0x1000, READ), Dma::Refused);
    }
}

#[test]
fn a_detached_device_still_reached_what_its_unit_had_cached() {
    let (mut iommu, handle) = start(1);
    let mut ram = domain(&mut iommu, &handle, OWNER);
    map(&mut iommu, &handle, &mut ram, 0x1000, 0x1000);
    iommu.attach(DEVICE, &ram).unwrap();
    assert_eq!(dma(&handle, DEVICE, 0x1000, WRITE), Dma::Reached(0x1000));
    iommu.detach(DEVICE).unwrap();
    assert_eq!(dma(&handle, DEVICE, 0x1000, WRITE), Dma::Refused);
}

#[test]
fn attach_all_gives_every_device() {
    let (mut iommu, handle) = start(1);
    let mut ram = domain(&mut iommu, &handle, OWNER);
    map(&mut iommu, &handle, &mut ram, 0x1000, 0x1000);
    assert_eq!(dma(&handle, DEVICE, 0x1000, READ), Dma::Refused);
    iommu.attach_all(&ram).unwrap();
    assert_eq!(dma(&handle, DEVICE, 0x1000, READ), Dma::Reached(0x1000));
    assert_eq!(
        dma(&handle, Bdf(u16::MAX), 0x1000, READ),
        Dma::Reached(0x1000)
    );
}

#[test]
fn units_without_the_command_to_forget_everything_still_do() {
    let (_, handle) = start_with(description(1), Machine::new(1, 0));
    let commands = handle.0.borrow().commands.clone();
    assert_eq!(commands.iter().filter(|c| **c == 2).count(), 65536);
    assert_eq!(commands.iter().filter(|c| **c == 3).count(), 65536);
    assert!(!commands.contains(&8));
}

#[test]
fn devices_that_share_an_id_move_together() {
    let mut shared = description(1);
    let alias = Alias {
        devices: Requesters {
            first: bdf(2, 0, 0),
            last: bdf(2, 31, 7),
        },
        requester: bdf(1, 0, 0),
    };
    shared.aliases.push(alias);
    let (mut iommu, handle) = start_with(shared, Machine::new(1, INVALIDATE_ALL));
    let mut ram = domain(&mut iommu, &handle, OWNER);
    map(&mut iommu, &handle, &mut ram, 0x1000, 0x1000);
    iommu.attach(bdf(2, 3, 0), &ram).unwrap();
    for device in [bdf(2, 3, 0), bdf(1, 0, 0)] {
        assert_eq!(dma(&handle, device, 0x1000, READ), Dma::Reached(0x1000));
    }
    assert_eq!(dma(&handle, bdf(2, 4, 0), 0x1000, READ), Dma::Refused);
    iommu.detach(bdf(2, 3, 0)).unwrap();
    assert_eq!(dma(&handle, bdf(1, 0, 0), 0x1000, READ), Dma::Refused);
}

fn with_io_apic() -> Ivrs {
    let mut description = description(1);
    let io_apic = Special {
        kind: SpecialKind::IoApic,
        handle: 0,
        requester: bdf(0, 0x14, 0),
    };
    description.specials.push(io_apic);
    description
}

#[test]
fn devices_raise_only_the_interrupts_that_they_were_given() {
    for features in [INVALIDATE_ALL, 0] {
        let (mut iommu, handle) = start_with(with_io_apic(), Machine::new(1, features));
        let ram = domain(&mut iommu, &handle, OWNER);
        let send = |device, data| handle.0.borrow_mut().interrupt(0, device, data);
        assert!(iommu.controls_interrupts());
        assert_eq!(send(DEVICE, 0x30), None);
        assert_eq!(
            send(bdf(0, 0x14, 0), 0x30),
            Some((0, 0x30)),
            "the I/O APIC's"
        );
        iommu.attach(DEVICE, &ram).unwrap();
        for index in [6, 7, 8, 0x107] {
            assert_eq!(send(DEVICE, index), None);
        }
        iommu
            .route_interrupt(&ram, 7, ApicId(3), Vector(0x51))
            .unwrap();
        iommu
            .route_interrupt(&ram, 6, ApicId(254), Vector(0xee))
            .unwrap();
        assert_eq!(send(DEVICE, 7), Some((3, 0x51)));
        assert_eq!(send(DEVICE, 6), Some((254, 0xee)));
        assert_eq!(send(DEVICE, 8), None);
        assert_eq!(send(DEVICE, 0x107), None);
        iommu
            .route_interrupt(&ram, 7, ApicId(1), Vector(0x52))
            .unwrap();
        assert_eq!(send(DEVICE, 7), Some((1, 0x52)));
        assert_eq!(
            iommu.route_interrupt(&ram, 9, ApicId(255), Vector(0x40)),
            Err(IommuError::CpuOutOfReach(ApicId(255)))
        );
        // Another owner's table, not what the unit still has from the first.
        let other = domain(&mut iommu, &handle, DomainId(3));
        iommu.attach(DEVICE, &other).unwrap();
        assert_eq!(send(DEVICE, 7), None);
        iommu.detach(DEVICE).unwrap();
        assert_eq!(send(DEVICE, 7), None);
    }
}

#[test]
fn interrupts_pass_where_the_firmware_does_not_name_the_io_apic() {
    let (mut iommu, handle) = start(1);
    let ram = domain(&mut iommu, &handle, OWNER);
    iommu.attach(DEVICE, &ram).unwrap();
    assert!(!iommu.controls_interrupts());
    let sent = handle.0.borrow_mut().interrupt(0, DEVICE, 0x30);
    assert_eq!(sent, Some((0, 0x30)));
}

#[test]
fn shared_memory_is_mapped_for_its_devices() {
    let mut table = vec![0; 48];
    table.extend([0x10, 0, 24, 0, 0x10, 0, 0x40, 0]);
    table.extend([0; 16]);
    table.extend([0x21, 0b011, 32, 0, 0x20, 0, 0, 0]);
    table.extend([0; 8]);
    table.extend(0xa000_0800_u64.to_le_bytes());
    table.extend(0x1000_u64.to_le_bytes());
    let shared = Ivrs::parse(&table).unwrap();
    let (mut iommu, handle) = start_with(shared, Machine::new(1, INVALIDATE_ALL));
    let mut ram = domain(&mut iommu, &handle, OWNER);
    iommu
        .map_shared(&mut ram, Requesters::ALL, &mut handle.clone())
        .unwrap();
    iommu.attach(DEVICE, &ram).unwrap();
    assert_eq!(
        dma(&handle, DEVICE, 0xa000_1fff, READ),
        Dma::Reached(0xa000_1fff)
    );
    assert_eq!(dma(&handle, DEVICE, 0xa000_1fff, WRITE), Dma::Refused);
    assert_eq!(
        sentences(&mut iommu),
        ["00:02.0: device 00:04.0 tried to write 0xa0001fff, which domain 2 does not permit"]
    );
    let range = HpaRange::new(Hpa::new(0xa000_0800), 0x1000).unwrap();
    assert_eq!(iommu.description().shared[0].range, range);
}

#[test]
fn a_silent_unit_keeps_the_memory_from_being_freed() {
    let (mut iommu, handle) = start(1);
    let mut ram = domain(&mut iommu, &handle, OWNER);
    map(&mut iommu, &handle, &mut ram, 0x1000, 0x1000);
    let before = handle.0.borrow().frames.len();
    handle.0.borrow_mut().silent = true;
    let result = iommu.unmap(&mut ram, &mut handle.clone(), Gpa::new(0x1000), 0x1000);
    assert_eq!(result, Err(IommuError::NoCompletion(bdf(0, 2, 0))));
    assert_eq!(handle.0.borrow().frames.len(), before);
}

#[test]
fn a_start_without_memory_leaves_nothing_behind() {
    for fuel in 0.. {
        let mut machine = Machine::new(2, INVALIDATE_ALL);
        machine.fuel = Some(fuel);
        let handle = Handle(Rc::new(RefCell::new(machine)));
        let started = Iommu::start(
            description(2),
            handle.clone(),
            &mut handle.clone(),
            Hpa::new(TABLE),
            open(&handle),
        );
        match started {
            Ok(mut iommu) => {
                assert_eq!(fuel, 8);
                assert!(handle.0.borrow().is_enabled(1));
                handle.0.borrow_mut().fuel = None;
                let mut ram = domain(&mut iommu, &handle, OWNER);
                map(&mut iommu, &handle, &mut ram, 0x1000, 0x1000);
                iommu.stop([ram], &mut handle.clone());
                assert!(!handle.0.borrow().is_enabled(0));
                assert!(handle.0.borrow().frames.is_empty());
                break;
            }
            Err(error) => {
                let cause = IommuError::Resource(ResourceError::HypervisorMemory);
                assert_eq!(error, cause);
                assert!(handle.0.borrow().frames.is_empty());
            }
        }
    }
}

#[test]
fn a_machine_without_units_is_refused() {
    let handle = Handle(Rc::new(RefCell::new(Machine::new(0, 0))));
    let started = FakeIommu::start(
        description(0),
        handle.clone(),
        &mut handle.clone(),
        Hpa::new(TABLE),
        |_| None,
    );
    assert_eq!(started.err(), Some(IommuError::NoUnits));
}

#[test]
fn a_full_log_is_said_and_restarted() {
    let (mut iommu, handle) = start(1);
    for _ in 0..300 {
        dma(&handle, DEVICE, 0x1000, READ);
    }
    let said = sentences(&mut iommu);
    assert_eq!(said.len(), 255 + 1);
    assert_eq!(said[255], "00:02.0: events were lost: the log was full");
    dma(&handle, DEVICE, 0x1000, READ);
    assert_eq!(sentences(&mut iommu).len(), 1);
}

#[test]
fn every_event_has_a_sentence() {
    let (mut iommu, handle) = start(1);
    let bits = |event: u64, flags: u64| event << 60 | flags | 3 << 32 | 0x20;
    let expected = [
        (
            bits(1, 0),
            "bug: the device table entry of 00:04.0, which accessed 0x7000, is bad",
        ),
        (
            bits(2, 1 << 51),
            "device 00:04.0 tried to send an interrupt that it may not send (0x7000)",
        ),
        (
            bits(2, 1 << 56),
            "device 00:04.0 asked for the translation of 0x7000 outside of its domain 3",
        ),
        (
            bits(2, 1 << 55 | 1 << 52),
            "bug: the page tables of domain 3 have reserved bits set for 0x7000 (device 00:04.0)",
        ),
        (
            bits(3, 0),
            "the device table is unreadable at 0x7000 (device 00:04.0)",
        ),
        (
            bits(4, 0),
            "a page table is unreadable at 0x7000 (device 00:04.0)",
        ),
        (bits(5, 0), "bug: the command at 0x7000 is not one"),
        (bits(6, 0), "the command buffer is unreadable at 0x7000"),
        (
            bits(7, 0),
            "device 00:04.0 did not confirm an invalidation in time",
        ),
        (
            bits(8, 0),
            "device 00:04.0 sent an impossible request (0x7000)",
        ),
        (bits(15, 0), "unknown event 0xf from device 00:04.0"),
    ];
    for (first, _) in expected {
        handle.0.borrow_mut().log(0, [first, 0x7000]);
    }
    let said = sentences(&mut iommu);
    let wanted: Vec<String> = expected
        .iter()
        .map(|(_, s)| format!("00:02.0: {s}"))
        .collect();
    assert_eq!(said, wanted);
}

#[test]
fn a_tail_before_its_entry_is_waited_for() {
    let (mut iommu, handle) = start(1);
    handle.0.borrow_mut().log(0, [0, 0]);
    assert!(sentences(&mut iommu).is_empty());
    handle.0.borrow_mut().log(0, [5 << 60, 0]);
    assert!(sentences(&mut iommu).is_empty());
}

#[test]
fn entries_have_the_bits_of_the_manual() {
    let rw = Attributes::new(Permissions::RW, MemoryType::WriteBack);
    let leaf = |attributes| AmdVi.encode_leaf(Hpa::new(0x4000_0000), attributes, Level::PAGE);
    assert_eq!(leaf(rw), Some(0x7000_0000_4000_0001));
    let large = Level::of(PageSize::Size1G);
    let table = AmdVi.encode_table(Hpa::new(0x5000), large);
    assert_eq!(table, 0x6000_0000_0000_5401);
    assert_eq!(AmdVi.decode(table, large), Entry::Table(Hpa::new(0x5000)));
    for permissions in [Permissions::R, Permissions::WRITE, Permissions::RW] {
        let attributes = Attributes::new(permissions, MemoryType::WriteBack);
        assert_eq!(attributes.usage, Usage::all());
        let target = Hpa::new(0x4000_0000);
        let raw = AmdVi.encode_leaf(target, attributes, large).unwrap();
        assert_eq!(AmdVi.decode(raw, large), Entry::Leaf { target, attributes });
    }
    assert_eq!(leaf(Attributes::GUEST_RAM), None);
    assert_eq!(
        leaf(Attributes::new(Permissions::RW, MemoryType::Uncached)),
        None
    );
}
