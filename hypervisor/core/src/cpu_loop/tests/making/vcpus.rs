//! vCPUs that come and go while their partition runs.

use super::*;
use crate::id::CpuId;

impl Rig {
    fn vcpus(&mut self, id: u64, count: u64, set: u64) -> Result<u64, Status> {
        self.write([set, 0, 0, 0].as_bytes());
        self.call(Number::PartitionVcpus, [id, count, PAGE, 0])
    }

    fn start_as(&mut self, request: &PartitionRequest) -> u64 {
        let id = self.create(request).unwrap();
        self.clear(id);
        self.write(long_mode().as_bytes());
        self.call(Number::BootState, [id, PAGE, 0, 0]).unwrap();
        self.control(id, PartitionAction::Start).unwrap();
        self.pass();
        id
    }

    /// INIT and start-up for a vCPU, as a guest sends them; whether anybody heard it.
    fn start_up(&mut self, id: u64, vcpu: usize) -> bool {
        use crate::exit::deliver::deliver_message;
        use crate::local_apic::{DeliveryMode, Destination, DestinationMode, Message};
        let partition = self.partition(id);
        for delivery in [DeliveryMode::Init, DeliveryMode::Startup] {
            let message = Message {
                vector: crate::id::Vector(8),
                delivery,
                trigger: Trigger::Edge,
                destination: Destination::narrow(vcpu as u8, DestinationMode::Physical),
            };
            let _ = deliver_message(&partition, &message, &self.cpus[0].host);
        }
        self.pass();
        self.activity(id, vcpu) == Activity::Running
    }

    fn activity(&mut self, id: u64, vcpu: usize) -> Activity {
        let mut found = Vec::new();
        for cpu in &mut self.cpus {
            for resident in cpu.run_loop.residents.iter().flatten() {
                let record = &resident.record;
                if u64::from(record.partition.id.0) == id && usize::from(record.id().0) == vcpu {
                    found.push(record.activity);
                }
            }
        }
        assert_eq!(found.len(), 1, "vCPU {vcpu} is at one place");
        found[0]
    }
}

/// One vCPU of three that it may have.
fn one_of_three() -> PartitionRequest {
    let mut request = request(2 * MIB, 3);
    request.present_vcpus = 1;
    request
}

#[test]
fn an_absent_vcpu_is_deaf_until_it_comes() {
    let mut rig = Rig::new();
    let id = rig.start_as(&one_of_three());
    let info = rig.info(id).unwrap();
    assert_eq!((info.vcpus, info.present_vcpus), (3, 1));
    assert!(!rig.start_up(id, 1));
    assert_eq!(rig.vcpus(id, 2, 2), Ok(0));
    rig.pass();
    assert_eq!(rig.partition(id).vcpus[1].owner(), CpuId(1));
    assert_eq!(rig.info(id).unwrap().present_vcpus, 2);
    assert!(rig.start_up(id, 1));
    assert!(!rig.start_up(id, 2));
}

#[test]
fn a_vcpu_that_goes_stops_and_comes_back_as_new() {
    let mut rig = Rig::new();
    let mut two = request(2 * MIB, 2);
    two.cpus[0] = 1;
    let id = rig.start_as(&two);
    assert!(rig.start_up(id, 1));
    assert_eq!(rig.vcpus(id, 1, 0), Ok(0));
    rig.pass();
    assert_eq!(rig.activity(id, 1), Activity::WaitForStartUp);
    assert!(!rig.start_up(id, 1));
    assert_eq!(rig.vcpus(id, 2, 0), Ok(0));
    rig.pass();
    assert_eq!(rig.activity(id, 1), Activity::WaitForStartUp);
    assert!(rig.start_up(id, 1));
    assert_eq!(rig.info(id).unwrap().state, PartitionState::Running as u32);
}

#[test]
fn a_start_up_on_its_way_does_not_reach_a_vcpu_that_went() {
    let mut rig = Rig::new();
    let id = rig.start_as(&request(2 * MIB, 2));
    let partition = rig.partition(id);
    let _ = partition.vcpus[1].mailbox.post_startup(8);
    drop(partition);
    rig.vcpus(id, 1, 0).unwrap();
    let partition = rig.partition(id);
    let _ = partition.vcpus[1].mailbox.post_startup(8);
    drop(partition);
    rig.pass();
    assert_eq!(rig.activity(id, 1), Activity::WaitForStartUp);
}

#[test]
fn shares_are_divided_among_those_that_are_present() {
    let mut rig = Rig::new();
    let mut request = one_of_three();
    (request.cpus[0], request.weight, request.reservation_percent) = (2, 300, 80);
    let id = rig.start_as(&request);
    let load = |rig: &Rig| rig.partition(id).load_of_vcpu();
    assert_eq!(load(&rig).reserved, 80_000);
    rig.vcpus(id, 2, 1).unwrap();
    assert_eq!(
        (load(&rig).reserved, load(&rig).weight),
        (40_000, 150 << 16)
    );
    // Each CPU has room for what is left, and for no more.
    let mut other = request_on(2, 51);
    assert_eq!(rig.create(&other), Err(Status::NoResource));
    other.reservation_percent = 50;
    let other = rig.create(&other).unwrap();
    // The vCPU that stays would have to be promised 80 percent.
    assert_eq!(rig.vcpus(id, 1, 0), Err(Status::NoResource));
    assert_eq!(rig.info(id).unwrap().present_vcpus, 2);
    assert_eq!(load(&rig).reserved, 40_000);
    rig.destroy_soon(other);
    assert_eq!(rig.vcpus(id, 1, 0), Ok(0));
    assert_eq!(load(&rig).reserved, 80_000);
}

fn request_on(cpus: u64, reservation: u32) -> PartitionRequest {
    let mut request = request(2 * MIB, 1);
    request.cpus[0] = cpus;
    request.reservation_percent = reservation;
    request
}

#[test]
fn what_cannot_be_changes_nothing() {
    let mut rig = Rig::new();
    let mut request = one_of_three();
    (request.cpus[0], request.reservation_percent) = (2, 60);
    let full = rig.create(&request_on(1, 80)).unwrap();
    let id = rig.start_as(&request);
    for (count, set, status) in [
        (0, 0, Status::BadArgument),
        (4, 0, Status::BadArgument),
        (u64::MAX, 0, Status::BadArgument),
        (2, 4, Status::BadArgument),
        // 30 percent do not fit where 80 are promised.
        (2, 1, Status::NoResource),
    ] {
        assert_eq!(
            rig.vcpus(id, count, set),
            Err(status),
            "{count} on {set:#x}"
        );
        assert_eq!(rig.info(id).unwrap().present_vcpus, 1);
        assert_eq!(rig.partition(id).load_of_vcpu().reserved, 60_000);
    }
    rig.destroy_soon(full);
    // 30 percent are left on the second CPU: nothing was lost on the way.
    let rest = rig.create(&request_on(2, 31));
    assert_eq!(rest, Err(Status::NoResource));
    let rest = rig.create(&request_on(2, 30)).unwrap();
    rig.destroy_soon(rest);
    assert_eq!(rig.vcpus(id, 3, 3), Ok(0));
    let answer = rig.call(Number::PartitionVcpus, [0, 1, PAGE, 0]);
    assert_eq!(answer, Err(Status::BadArgument), "the management partition");
}

#[test]
fn partitions_with_absent_vcpus_pause_start_again_and_go_without_a_trace() {
    let mut rig = Rig::new();
    let before = rig.ledger();
    let id = rig.start_as(&one_of_three());
    rig.vcpus(id, 2, 0).unwrap();
    rig.control(id, PartitionAction::Pause).unwrap();
    rig.pass();
    assert_eq!(rig.info(id).unwrap().settled, 1);
    rig.vcpus(id, 3, 0).unwrap();
    rig.vcpus(id, 1, 0).unwrap();
    rig.pass();
    assert_eq!(rig.info(id).unwrap().settled, 1);
    rig.control(id, PartitionAction::Resume).unwrap();
    rig.pass();
    assert!(!rig.start_up(id, 1));
    rig.control(id, PartitionAction::Stop).unwrap();
    rig.pass();
    rig.vcpus(id, 2, 0).unwrap();
    rig.pass();
    rig.control(id, PartitionAction::Start).unwrap();
    rig.pass();
    assert!(rig.start_up(id, 1));
    rig.control(id, PartitionAction::Stop).unwrap();
    rig.pass();
    rig.destroy_soon(id);
    assert_eq!(rig.ledger(), before);
}
