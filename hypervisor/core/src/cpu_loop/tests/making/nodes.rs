//! Memory by NUMA node.

use super::*;
use crate::fakes::FAR_BYTES;
use bulkhead_abi::host::HostInfo;

/// A request for so many blocks of each of the two nodes.
fn of_nodes(near: u32, far: u32) -> PartitionRequest {
    let mut request = request(u64::from(near + far) * 2 * MIB, 1);
    request.node_blocks[..2].copy_from_slice(&[near, far]);
    request
}

impl Rig {
    /// Free bytes of the two nodes.
    fn node_free(&mut self) -> [u64; 2] {
        self.call(Number::HostInfo, [PAGE, 0, 0, 0]).unwrap();
        let mut bytes = [0; size_of::<HostInfo>()];
        let memory = &self.manager.memory;
        memory
            .read(&mut self.cpus[0].host, Gpa::new(PAGE), &mut bytes)
            .unwrap();
        let info = HostInfo::read_from_bytes(&bytes).unwrap();
        [info.node_free[0], info.node_free[1]]
    }
}

#[test]
fn a_partition_gets_its_memory_of_the_nodes_it_names() {
    let mut rig = Rig::new();
    let [near, far] = rig.node_free();
    assert_eq!(far, FAR_BYTES);
    let id = rig.create(&of_nodes(1, 3)).unwrap();
    assert_eq!(rig.node_free(), [near - 2 * MIB, far - 6 * MIB]);
    let info = rig.info(id).unwrap();
    assert_eq!(info.node_memory[..3], [2 * MIB, 6 * MIB, 0]);
    let before = rig.ledger();
    // The far node has five blocks left: what the near one has does not help.
    for request in [of_nodes(0, 6), of_nodes(1, 6)] {
        assert_eq!(rig.create(&request), Err(Status::NoResource));
        assert_eq!(rig.ledger(), before);
    }
    let mut nowhere = request(2 * MIB, 1);
    nowhere.node_blocks[7] = 1;
    assert_eq!(rig.create(&nowhere), Err(Status::NoResource));
    let mut uneven = of_nodes(1, 1);
    uneven.memory_bytes = 2 * MIB;
    assert_eq!(rig.create(&uneven), Err(Status::BadArgument));
    assert_eq!(rig.ledger(), before);
    rig.destroy_soon(id);
    assert_eq!(rig.node_free(), [near, far]);
}
