//! Partitions and the machine as wholes.

use super::*;
use crate::fakes::Ended;
use crate::host::MachineEnd;
use crate::id::{CpuId, PartitionId};
use crate::shared_vcpu::Hazard;
use bulkhead_abi::host::PartitionState;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn a_partition_is_started_and_stopped_in_its_states_only() {
    let mut bench = Bench::manager();
    let guest = bench.host.machine.partition(PartitionId(1)).unwrap();
    let mut control = |action| call(&mut bench, PartitionControl, [GUEST, action, 0, 0]);
    assert_eq!(control(1), Err(Status::BadState), "it does not run");
    assert_eq!(control(2), Err(Status::BadState), "nothing to pause");
    assert_eq!(control(3), Err(Status::BadState), "nothing to resume");
    assert_eq!(control(4), Err(Status::BadArgument));
    assert_eq!(control(0), Ok(0));
    assert_eq!(guest.state(), PartitionState::Running);
    assert_eq!(control(0), Err(Status::BadState));
    assert_eq!(control(1), Ok(0));
    assert_eq!(control(1), Err(Status::BadState));
    assert_eq!(
        control(0),
        Err(Status::BadState),
        "its vCPUs have not retired"
    );
    assert_eq!(guest.vcpus[1].take(), Hazard::RESET | Hazard::STOP);
    assert!(!guest.retire_vcpu());
    assert!(guest.retire_vcpu());
    guest.rest();
    assert_eq!(control(0), Ok(0));
    assert_eq!(guest.restarts(), 1);
    assert!(bench.host.take_kicks().contains(&CpuId(1)));
}

#[test]
fn management_does_not_control_itself() {
    let mut bench = Bench::manager();
    for action in [0, 1] {
        let result = call(&mut bench, PartitionControl, [0, action, 0, 0]);
        assert_eq!(result, Err(Status::BadArgument));
    }
}

#[test]
fn the_machine_ends_as_it_is_told() {
    for (action, end) in [(0, MachineEnd::PowerOff), (1, MachineEnd::Reset)] {
        let mut bench = Bench::manager();
        let result = catch_unwind(AssertUnwindSafe(|| {
            call(&mut bench, Machine, [action, 0, 0, 0])
        }));
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&Ended(end)));
    }
    let mut bench = Bench::manager();
    assert_eq!(
        call(&mut bench, Machine, [2, 0, 0, 0]),
        Err(Status::BadArgument)
    );
}
