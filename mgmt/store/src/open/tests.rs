use super::*;
use crate::fake::{FakeDisk, now};
use crate::{Step, StoreError};

fn store(disk: &FakeDisk) -> Store {
    match now(open(disk)).unwrap() {
        Opened::Existing(store) | Opened::Blank(store) => store,
    }
}

fn commit(store: &mut Store, disk: &mut FakeDisk) {
    let commit = store.begin().unwrap();
    for step in commit.steps() {
        disk.apply(step);
    }
    store.finish(commit);
}

#[test]
fn what_is_committed_is_there_again() {
    let mut disk = FakeDisk::blank();
    let mut first = match now(open(&disk)).unwrap() {
        Opened::Blank(store) => store,
        Opened::Existing(_) => panic!("the disk is blank"),
    };
    assert!(first.begin().is_none() && first.is_empty());
    first.put("account/a", vec![1; 2000]).unwrap();
    first.put("account/b", vec![2]).unwrap();
    first.put("other", vec![]).unwrap();
    commit(&mut first, &mut disk);
    assert!(first.begin().is_none());
    first.remove("account/b");
    first.put("account/a", vec![3]).unwrap();
    commit(&mut first, &mut disk);
    let second = store(&disk);
    assert_eq!(second.generation(), 2);
    assert_eq!(second.get("account/a"), Some([3].as_slice()));
    assert_eq!(second.get("account/b"), None);
    let names: Vec<&str> = second.entries("account/").map(|(name, _)| name).collect();
    assert_eq!(names, ["account/a"]);
    assert_eq!(second.len(), 2);
}

#[test]
fn a_full_store_refuses_and_keeps_what_it_has() {
    let mut disk = FakeDisk::blank();
    let mut store = store(&disk);
    // The disk of the fake gives slots of 3072 sectors.
    store.put("big", vec![1; 1_500_000]).unwrap();
    assert_eq!(store.put("more", vec![1; 100_000]), Err(StoreError::Full));
    assert_eq!(store.put("big", vec![2; 1_500_001]), Ok(()));
    assert_eq!(
        store.put(&"x".repeat(70_000), vec![]),
        Err(StoreError::Name)
    );
    commit(&mut store, &mut disk);
    assert_eq!(
        self::store(&disk).get("big").map(<[u8]>::len),
        Some(1_500_001)
    );
}

#[test]
fn other_disks_are_left_alone() {
    let mut disk = FakeDisk::blank();
    disk.set(0, [0x55; SECTOR_BYTES]);
    assert_eq!(now(open(&disk)).err(), Some(OpenError::Foreign));
}

#[test]
fn a_superblock_that_lost_bytes_later_is_damaged_and_not_blank() {
    let mut disk = FakeDisk::blank();
    let mut store = store(&disk);
    store.put("a", vec![1]).unwrap();
    commit(&mut store, &mut disk);
    let mut superblock = disk.sector(0);
    superblock[8] = 0;
    disk.set(0, superblock);
    assert_eq!(now(open(&disk)).err(), Some(OpenError::Damaged));
}

#[test]
fn damage_to_both_slots_is_not_taken_for_an_empty_store() {
    let mut disk = FakeDisk::blank();
    let mut store = store(&disk);
    for round in 0..2 {
        store.put("a", vec![round; 1000]).unwrap();
        commit(&mut store, &mut disk);
    }
    // Damage to the later one alone: the earlier one counts.
    disk.set(2049, [7; SECTOR_BYTES]);
    let survivor = self::store(&disk);
    disk.set(2049 + 3072, [7; SECTOR_BYTES]);
    assert_eq!(survivor.get("a").map(<[u8]>::len), Some(1000));
    assert_eq!(now(open(&disk)).err(), Some(OpenError::NoSlot));
}

/// A random number generator that is the same at each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as u32
    }
}

#[test]
fn a_power_cut_at_any_moment_leaves_the_last_commit_or_the_one_under_way() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut cuts = 0;
    for _ in 0..40 {
        let mut disk = FakeDisk::blank();
        let mut store = store(&disk);
        for number in 1u32..=6 {
            let length = random.next() as usize % 5000;
            store.put("number", number.to_le_bytes().to_vec()).unwrap();
            store.put("bulk", vec![number as u8; length]).unwrap();
            let commit = store.begin().unwrap();
            for step in commit.steps() {
                // Before each step, and with parts of what the steps before it wrote.
                for _ in 0..4 {
                    let after = disk.cut(|| random.next());
                    check(&after, number - 1);
                    cuts += 1;
                }
                disk.apply(step);
            }
            assert_eq!(commit.steps().last(), Some(&Step::Flush));
            store.finish(commit);
            let after = disk.cut(|| random.next());
            assert_eq!(check(&after, number), number);
        }
    }
    assert!(cuts > 3000);
}

/// The number found, which must be `committed` or the next one, with the bulk that belongs to it.
fn check(disk: &FakeDisk, committed: u32) -> u32 {
    let store = store(disk);
    let number = store
        .get("number")
        .map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().unwrap()));
    assert!(number == committed || number == committed + 1);
    let bulk = store.get("bulk").unwrap_or_default();
    assert!(bulk.iter().all(|&byte| u32::from(byte) == number));
    number
}

#[test]
fn a_commit_that_fails_is_repeated_whole() {
    let mut disk = FakeDisk::blank();
    let mut store = store(&disk);
    store.put("a", vec![1]).unwrap();
    let failed = store.begin().unwrap();
    disk.apply(&failed.steps()[0]);
    drop(failed);
    store.put("b", vec![2]).unwrap();
    commit(&mut store, &mut disk);
    let again = self::store(&disk);
    assert_eq!((again.len(), again.generation()), (2, 1));
}

#[test]
fn changes_made_during_a_commit_are_left_for_the_next() {
    let disk = FakeDisk::blank();
    let mut store = store(&disk);
    store.put("a", vec![1]).unwrap();
    let under_way = store.begin().unwrap();
    store.put("a", vec![2]).unwrap();
    store.finish(under_way);
    assert!(store.begin().is_some());
}
