//! The memory of partitions that management makes: cleared, shown, taken away.

use std::collections::BTreeMap;

use super::*;

/// A CPU that keeps every translation of the management partition's space until it is told to flush.
#[derive(Default)]
struct RememberingTlb {
    pages: BTreeMap<u64, u64>,
    told: usize,
}

impl RememberingTlb {
    /// What an access of the management partition's vCPU on this CPU reaches.
    fn access(&mut self, rig: &Rig, cpu: usize, at: u64) -> Option<u64> {
        let record = &rig.cpus[cpu].run_loop.cpu;
        let told = record.activations.len() + record.refreshes.len();
        if told != self.told {
            self.told = told;
            self.pages.clear();
        }
        if let Some(remembered) = self.pages.get(&at) {
            return Some(*remembered);
        }
        // What is absent is not remembered.
        let now = rig.shown(at)?;
        self.pages.insert(at, now);
        Some(now)
    }
}

#[test]
fn no_cpu_reaches_memory_of_a_removed_partition_by_what_its_tlb_remembers() {
    let mut rig = Rig::new();
    let id = rig.create(&request(4 * MIB, 1)).unwrap();
    rig.clear(id);
    let base = rig.call(Number::MemoryWindow, [id, 0, 0, 0]).unwrap();
    let again = rig.call(Number::MemoryWindow, [id, 0, 0, 0]);
    assert_eq!(again, Ok(base), "the same window");
    rig.pass();
    let mut tlb = RememberingTlb::default();
    let frame = rig.partition(id).memory.ranges()[0].machine.start.as_u64();
    assert_eq!(tlb.access(&rig, 1, base), Some(frame));
    let epoch = rig.manager.epoch();
    assert_eq!(rig.destroy(id), Err(Status::Busy));
    assert_eq!(rig.shown(base), None, "the tables lead nowhere");
    assert_eq!(
        tlb.access(&rig, 1, base),
        Some(frame),
        "CPU 1 remembers: the model is one"
    );
    // The vCPU on CPU 0 is dropped; CPU 1 has not heard of the flush.
    rig.cpus[0].pass();
    for _ in 0..3 {
        assert_eq!(rig.destroy(id), Err(Status::Busy));
        assert_eq!(
            rig.machine()
                .works()
                .frames
                .owner_at(Hpa::new(frame))
                .flatten(),
            Some(crate::frames::Owner::Partition(PartitionId(id as u16)))
        );
    }
    assert!(rig.cpus[0].host.take_kicks().contains(&crate::id::CpuId(1)));
    rig.cpus[1].pass();
    assert!(rig.cpus[1].run_loop.cpu.refreshes.contains(&(epoch + 1)));
    assert_eq!(tlb.access(&rig, 1, base), None);
    assert_eq!(rig.destroy(id), Ok(0));
    // The next partition has another's old frames, and the window shows them at once.
    let next = rig.create(&request(4 * MIB, 1)).unwrap();
    rig.clear(next);
    assert_eq!(rig.call(Number::MemoryWindow, [next, 0, 0, 0]), Ok(base));
    rig.pass();
    assert_eq!(tlb.access(&rig, 1, base), Some(frame));
}

#[test]
fn windows_show_all_ram_and_only_ram_and_are_not_for_code() {
    let mut rig = Rig::new();
    let id = rig.create(&request(6 * MIB, 1)).unwrap();
    let answer = rig.call(Number::MemoryWindow, [id, 0, 0, 0]);
    assert_eq!(answer, Err(Status::BadState), "not cleared");
    rig.clear(id);
    let base = rig.call(Number::MemoryWindow, [id, 0, 0, 0]).unwrap();
    assert_eq!(base % (1 << 30), 0);
    let partition = rig.partition(id);
    for at in (0..6 * MIB).step_by(PAGE_SIZE as usize) {
        let (frame, _) = partition.memory.locate(Gpa::new(at)).unwrap();
        assert_eq!(rig.shown(base + at), Some(frame.as_u64()));
    }
    assert_eq!(rig.shown(base + 6 * MIB), None);
    let walked = rig.world.nested.walk(rig.manager.root, Gpa::new(base));
    assert!(walked.is_some_and(|page| page.writable && !page.executable));
    // A window that cannot be mapped for lack of tables is there after the next attempt.
    let other = rig.create(&request(6 * MIB, 1)).unwrap();
    rig.clear(other);
    rig.world.frames.set_fuel(Some(0));
    let answer = rig.call(Number::MemoryWindow, [other, 0, 0, 0]);
    assert_eq!(answer, Err(Status::NoResource));
    rig.world.frames.set_fuel(None);
    let second = rig.call(Number::MemoryWindow, [other, 0, 0, 0]).unwrap();
    assert_ne!(second, base);
    assert!(rig.shown(second).is_some());
}

#[test]
fn memory_is_cleared_before_anybody_else_has_it() {
    let mut rig = Rig::new();
    let id = rig.run(POOL_BYTES, 1);
    let partition = rig.partition(id);
    for at in [0, 5 * MIB + 0x123, POOL_BYTES - 8] {
        partition
            .memory
            .write(&mut rig.cpus[0].host, Gpa::new(at), b"secret")
            .unwrap();
    }
    drop(partition);
    rig.control(id, PartitionAction::Stop).unwrap();
    rig.pass();
    rig.destroy_soon(id);
    let id = rig.create(&request(POOL_BYTES, 1)).unwrap();
    rig.write(long_mode().as_bytes());
    rig.call(Number::BootState, [id, PAGE, 0, 0]).unwrap();
    let start = |rig: &mut Rig| rig.control(id, PartitionAction::Start);
    assert_eq!(start(&mut rig), Err(Status::BadState), "nothing is cleared");
    // Pieces out of their order do not count.
    let last = POOL_BYTES - PAGE_SIZE;
    assert_eq!(rig.call(Number::MemoryClear, [id, last, 0, 0]), Ok(0));
    assert_eq!(start(&mut rig), Err(Status::BadState));
    let mut from = 0;
    let mut pieces = 0;
    loop {
        from = rig.call(Number::MemoryClear, [id, from, 0, 0]).unwrap();
        pieces += 1;
        if from == 0 {
            break;
        }
        assert_eq!(start(&mut rig), Err(Status::BadState), "up to {from:#x}");
    }
    assert_eq!(pieces, POOL_BYTES / (4 * MIB));
    for frame in (POOL_BASE..POOL_BASE + POOL_BYTES).step_by(PAGE_SIZE as usize) {
        let mut bytes = [1; PAGE_SIZE as usize];
        rig.cpus[0].host.read(Hpa::new(frame), &mut bytes);
        assert!(bytes.iter().all(|byte| *byte == 0), "{frame:#x}");
    }
    for wrong in [1, POOL_BYTES, u64::MAX - 0xfff] {
        let answer = rig.call(Number::MemoryClear, [id, wrong, 0, 0]);
        assert_eq!(answer, Err(Status::BadArgument));
    }
    assert_eq!(start(&mut rig), Ok(0));
    let answer = rig.call(Number::MemoryClear, [id, 0, 0, 0]);
    assert_eq!(answer, Err(Status::BadState), "it runs");
}
