use super::*;
use crate::Message;

const COMMAND_ALL: u16 = command::MEMORY | command::BUS_MASTER;

fn function() -> Function {
    let mut function = Function::new(Identity {
        vendor: 0x1af4,
        device: 0x1043,
        class: 0x07_80_00,
        revision: 1,
        subsystem_vendor: 0x1af4,
        subsystem: 0x1100,
    });
    function.add_bar(BarIndex::ZERO, 0x8000).unwrap();
    function
        .add_capability(CapabilityId::VENDOR, &[4, 0xaa], &[0, 0x0f])
        .unwrap();
    let place = MsixPlace {
        bar: BarIndex::ZERO,
        table: 0x4000,
        pending: 0x5000,
    };
    function.add_msix(3, place).unwrap();
    function.add_pin(Slot::new(2).unwrap(), Pin::A);
    function
}

/// Where MSI-X control is.
const CONTROL: u16 = 0x44 + 2;

fn write(function: &mut Function, offset: u16, value: u16) {
    function.write(offset, Width::Word, u64::from(value));
}

/// Fills and unmasks an entry.
fn program(function: &mut Function, vector: u64, out: &mut Outbox) {
    function.write_table(vector * 16, Width::Qword, 0xfee0_0000, out);
    function.write_table(vector * 16 + 8, Width::Qword, 0x30 + vector, out);
}

fn sent(out: &mut Outbox) -> Vec<u32> {
    out.take().map(|Message { data, .. }| data).collect()
}

#[test]
fn a_scan_sees_who_it_is() {
    let function = function();
    assert_eq!(function.read(0, Width::Dword), 0x1043_1af4);
    assert_eq!(function.read(8, Width::Dword), 0x0780_0001);
    assert_eq!(function.read(0x0e, Width::Byte), 0);
    assert_eq!(function.read(0x2c, Width::Dword), 0x1100_1af4);
    assert_eq!(function.read(0x3c, Width::Word), 0x0112);
    assert_eq!(function.read(0xfe, Width::Dword), 0);
    assert_eq!(function.read(0x100, Width::Dword), 0);
    assert_eq!(function.read(0, Width::Qword), 0x0010_0000_1043_1af4);
}

#[test]
fn capabilities_form_a_list() {
    let mut function = function();
    assert_eq!(function.read(STATUS, Width::Word), 0x10);
    assert_eq!(function.read(CAPABILITIES, Width::Byte), 0x40);
    assert_eq!(function.read(0x40, Width::Dword), 0xaa04_4409);
    assert_eq!(function.read(0x44, Width::Dword), 0x0002_0011);
    assert_eq!(function.read(0x48, Width::Dword), 0x4000);
    assert_eq!(function.read(0x4c, Width::Dword), 0x5000);
    function.write(0x40, Width::Dword, u64::MAX);
    assert_eq!(function.read(0x40, Width::Dword), 0xaf04_4409);
    let full = (0..20).try_for_each(|_| {
        let body = [0; 14];
        function
            .add_capability(CapabilityId::VENDOR, &body, &[])
            .map(drop)
    });
    assert_eq!(full, Err(ConfigFull));
}

#[test]
fn a_bar_tells_its_size_and_answers_only_when_it_may() {
    let mut function = function();
    function.write(0x10, Width::Dword, 0xffff_ffff);
    assert_eq!(function.read(0x10, Width::Dword), 0xffff_8000);
    assert_eq!(function.mapped_bars().count(), 0);
    function.write(0x10, Width::Dword, 0xd001_8000);
    function.write(0x14, Width::Dword, 0xffff_ffff);
    assert_eq!(function.read(0x14, Width::Dword), 0);
    write(&mut function, COMMAND, COMMAND_ALL);
    let bars: Vec<_> = function.mapped_bars().collect();
    assert_eq!(bars, [(BarIndex::ZERO, 0xd001_8000, 0x8000)]);
    // Byte by byte as well.
    function.write(0x12, Width::Byte, 0x02);
    assert_eq!(function.read(0x10, Width::Dword), 0xd002_8000);
    write(&mut function, COMMAND, 0);
    assert_eq!(function.mapped_bars().count(), 0);
}

#[test]
fn bars_of_impossible_sizes_and_places_are_refused() {
    let mut function = function();
    assert!(function.add_bar(BarIndex::ZERO, 0x3000).is_err());
    assert!(function.add_bar(BarIndex::ZERO, 0x800).is_err());
    assert!(function.assign(BarIndex::ZERO, 0xd000_4000).is_err());
    assert!(
        function
            .assign(BarIndex::new(1).unwrap(), 0xd000_0000)
            .is_err()
    );
    function.assign(BarIndex::ZERO, 0xd000_8000).unwrap();
    assert_eq!(function.mapped_bars().count(), 1);
}

#[test]
fn messages_leave_only_when_nothing_forbids_them() {
    let mut function = function();
    let mut out = Outbox::default();
    program(&mut function, 1, &mut out);
    function.raise(1, &mut out);
    assert_eq!(sent(&mut out), [], "MSI-X is off: nothing is even pending");
    assert_eq!(function.read_pending(0, Width::Qword), 0);

    write(&mut function, CONTROL, 0xc000);
    function.raise(1, &mut out);
    write(&mut function, CONTROL, 0x8000);
    function.flush(&mut out);
    assert_eq!(sent(&mut out), [], "no bus master");
    assert_eq!(function.read_pending(0, Width::Qword), 2);

    write(&mut function, COMMAND, COMMAND_ALL);
    function.flush(&mut out);
    assert_eq!(sent(&mut out), [0x31]);
    assert_eq!(function.read_pending(0, Width::Qword), 0);

    function.raise(2, &mut out);
    assert_eq!(sent(&mut out), [], "the entry is masked");
    program(&mut function, 2, &mut out);
    assert_eq!(sent(&mut out), [0x32]);
    function.raise(7, &mut out);
    assert_eq!(sent(&mut out), [], "there is no such vector");
}

#[test]
fn a_pin_is_asserted_only_when_nothing_forbids_it() {
    let mut function = function();
    function.assert();
    assert_eq!(function.read(STATUS, Width::Word), 0x18);
    assert_eq!(function.asserted_pin(), Some(Pin::A));
    write(&mut function, COMMAND, command::INTX_DISABLE);
    assert_eq!(function.asserted_pin(), None);
    assert_eq!(function.read(STATUS, Width::Word), 0x18);
    write(&mut function, COMMAND, 0);
    write(&mut function, CONTROL, 0x8000);
    assert_eq!(function.asserted_pin(), None);
    write(&mut function, CONTROL, 0);
    function.release();
    assert_eq!(function.asserted_pin(), None);
    assert_eq!(function.read(STATUS, Width::Word), 0x10);
}

#[test]
fn reset_forgets_what_the_guest_did() {
    let mut function = function();
    let fresh = function.clone();
    let mut out = Outbox::default();
    function.assign(BarIndex::ZERO, 0xd000_0000).unwrap();
    write(&mut function, COMMAND, COMMAND_ALL);
    write(&mut function, CONTROL, 0xc000);
    program(&mut function, 0, &mut out);
    function.raise(0, &mut out);
    function.assert();
    function.reset();
    for offset in (0..256).step_by(4) {
        assert_eq!(
            function.read(offset, Width::Dword),
            fresh.read(offset, Width::Dword),
            "{offset:#x}"
        );
    }
    assert_eq!(function.read_pending(0, Width::Qword), 0);
    assert_eq!(function.read_table(12, Width::Dword), 1);
}
