//! Interrupts of devices, and messages and lines to guests.

use super::*;
use crate::host::DEVICE_VECTORS;
use crate::id::{CpuId, Vector};
use crate::machine::InterruptRoute;

#[test]
fn a_device_interrupt_is_bound_and_released() {
    let mut bench = Bench::manager();
    let message = call(&mut bench, InterruptBind, [1, 0x45, 0x18, 0]).unwrap();
    let (address, data) = (message as u32, (message >> 32) as u32);
    assert_eq!(address, 0xfee0_1000, "the CPU of vCPU 1");
    let route = bench
        .host
        .machine
        .route(CpuId(1), Vector(data as u8))
        .unwrap();
    assert_eq!(route.vector, Vector(0x45));
    assert!(std::sync::Arc::ptr_eq(
        &route.vcpu,
        &bench.partition.vcpus[1]
    ));
    assert_eq!(
        call(&mut bench, InterruptRelease, [message, 0, 0, 0]),
        Ok(0)
    );
    assert_eq!(
        call(&mut bench, InterruptRelease, [message, 0, 0, 0]),
        Err(Status::NotFound)
    );
    assert!(
        bench
            .host
            .machine
            .route(CpuId(1), Vector(data as u8))
            .is_none()
    );
}

#[test]
fn what_cannot_be_bound_is_refused() {
    let mut bench = Bench::manager();
    for (arguments, status) in [
        ([0, 31, 0, 0], Status::BadArgument),
        ([0, 256, 0, 0], Status::BadArgument),
        ([0, 0x40, 0x1_0000, 0], Status::BadArgument),
        ([2, 0x40, 0, 0], Status::NotFound),
        ([0x1_0000, 0x40, 0, 0], Status::NotFound),
        ([u64::MAX; 4], Status::BadArgument),
    ] {
        assert_eq!(
            call(&mut bench, InterruptBind, arguments),
            Err(status),
            "{arguments:?}"
        );
    }
    for _ in DEVICE_VECTORS {
        assert!(call(&mut bench, InterruptBind, [0, 0x40, 0, 0]).is_ok());
    }
    assert_eq!(
        call(&mut bench, InterruptBind, [0, 0x40, 0, 0]),
        Err(Status::NoResource)
    );
}

#[test]
fn interrupts_that_are_not_the_callers_are_not_released() {
    let mut bench = Bench::manager();
    let guest = bench
        .host
        .machine
        .partition(crate::id::PartitionId(1))
        .unwrap();
    let route = InterruptRoute {
        vcpu: guest.vcpus[0].clone(),
        vector: Vector(0x40),
    };
    let vector = bench.host.machine.bind(CpuId(0), route).unwrap();
    let message = 0xfee0_0000 | u64::from(vector.0) << 32;
    for message in [message, 0, 0xfee0_0000, 0xfeef_f000 | 0x30 << 32, u64::MAX] {
        let result = call(&mut bench, InterruptRelease, [message, 0, 0, 0]);
        assert_eq!(result, Err(Status::NotFound), "{message:#x}");
    }
    assert!(bench.host.machine.route(CpuId(0), vector).is_some());
}

#[test]
fn messages_reach_the_vcpus_that_they_name() {
    let mut bench = Bench::manager();
    let guest = bench
        .host
        .machine
        .partition(crate::id::PartitionId(1))
        .unwrap();
    let _ = crate::lifecycle::start(&guest, &mut bench.host).unwrap();
    bench.host.take_kicks();
    assert_eq!(
        call(&mut bench, MessageSend, [GUEST, 0xfee0_1000, 0x51, 0]),
        Ok(0)
    );
    assert!(guest.vcpus[0].mailbox.is_empty());
    assert!(!guest.vcpus[1].mailbox.is_empty());
    assert_eq!(bench.host.take_kicks(), [CpuId(1)]);
    // To nobody: lost, as on a bus.
    assert_eq!(
        call(&mut bench, MessageSend, [GUEST, 0xfee0_7000, 0x51, 0]),
        Ok(0)
    );
    for (address, data) in [
        (0xfed0_0000, 0x51),
        (0xfee0_0000, 1 << 32),
        (0xfee0_0000, 0x300),
    ] {
        let result = call(&mut bench, MessageSend, [GUEST, address, data, 0]);
        assert_eq!(result, Err(Status::BadArgument));
    }
}

#[test]
fn lines_are_pins_of_the_guests_io_apic() {
    let mut bench = Bench::manager();
    assert_eq!(call(&mut bench, LineSet, [GUEST, 23, 1, 0]), Ok(0));
    assert_eq!(
        call(&mut bench, LineSet, [GUEST, 24, 1, 0]),
        Err(Status::NotFound)
    );
    assert_eq!(
        call(&mut bench, LineSet, [GUEST, 1 << 32, 1, 0]),
        Err(Status::BadArgument)
    );
    assert_eq!(
        call(&mut bench, LineSet, [GUEST, 5, 2, 0]),
        Err(Status::BadArgument)
    );
}
