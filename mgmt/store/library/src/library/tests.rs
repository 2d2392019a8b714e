use super::*;
use crate::fake::{FakeDisk, FakeLibrary, library, now};
use crate::{BLOCK_BYTES, Medium};

/// Of the fake disk: 65 MiB of configuration store, then 4 MiB of data area.
const SECTORS: u64 = 2048 * 69;
const BLOCK: usize = BLOCK_BYTES as usize;

fn contents(seed: u8, bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|index| {
            (index as u8)
                .wrapping_mul(31)
                .wrapping_add((index >> 8) as u8)
                ^ seed
        })
        .collect()
}

fn put(library: &FakeLibrary, name: &str, bytes: &[u8]) -> Result<Outcome, LibraryError> {
    let mut upload = library.upload(name, Some(bytes.len() as u64), 7)?;
    for piece in bytes.chunks(10_007) {
        now(upload.write(piece))?;
    }
    now(upload.finish(Some(Sha256Sum::of(bytes)))).map(|(_, outcome)| outcome)
}

fn get(library: &FakeLibrary, name: &str) -> Vec<u8> {
    let image = library.image(name).unwrap();
    let mut bytes = vec![0; image.facts().bytes as usize];
    now(image.read(0, &mut bytes)).unwrap();
    assert_eq!(image.facts().sha256, Some(Sha256Sum::of(&bytes)));
    bytes
}

#[test]
fn an_image_is_there_after_a_restart_and_reads_at_any_offset() {
    let disk = FakeDisk::new(SECTORS);
    let first = library(&disk);
    assert_eq!(first.capacity(), 4 << 20);
    let bytes = contents(1, 3 * BLOCK + 777);
    assert_eq!(put(&first, "vmlinuz", &bytes), Ok(Outcome::Added));
    let second = library(&disk.restart(|| 0));
    assert_eq!(get(&second, "vmlinuz"), bytes);
    assert_eq!(second.list(), first.list());
    assert_eq!(second.free(), (4 << 20) - 4 * BLOCK_BYTES);
    let image = second.image("vmlinuz").unwrap();
    for (offset, length) in [
        (0, 0),
        (0, 1),
        (1, 511),
        (1, 512),
        (511, 2),
        (512, 1024),
        (513, 5000),
        (BLOCK - 3, 2000),
        (BLOCK * 3 + 770, 7),
        (100, 3 * BLOCK),
        (1, 3 * BLOCK + 776),
    ] {
        let mut part = vec![0; length];
        now(image.read(offset as u64, &mut part)).unwrap();
        assert_eq!(part, bytes[offset..offset + length], "{offset} {length}");
    }
    let end = bytes.len() as u64;
    for (offset, length) in [(end, 1), (end - 1, 2), (u64::MAX, 2)] {
        let read = now(image.read(offset, &mut vec![0; length]));
        assert_eq!(read, Err(LibraryError::Range));
    }
}

#[test]
fn an_upload_of_unknown_length_takes_what_it_needs() {
    let disk = FakeDisk::new(SECTORS);
    let library = library(&disk);
    let bytes = contents(9, 5 * BLOCK);
    let mut upload = library.upload("initrd", None, 0).unwrap();
    now(upload.write(&bytes)).unwrap();
    assert!(library.free() < (4 << 20) - 5 * BLOCK_BYTES);
    now(upload.finish(None)).unwrap();
    assert_eq!(library.free(), (4 << 20) - 5 * BLOCK_BYTES);
    assert_eq!(get(&library, "initrd"), bytes);
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing_behind() {
    let disk = FakeDisk::new(SECTORS);
    let library = library(&disk);
    put(&library, "old", &contents(1, BLOCK)).unwrap();
    let free = library.free();
    let refused = library.upload("big", Some(5 << 20), 0).err();
    let needed = 5 << 20;
    assert_eq!(refused, Some(LibraryError::Full { needed, free }));
    assert!(library.upload("big", Some(u64::MAX), 0).is_err());
    let mut upload = library.upload("big", None, 0).unwrap();
    let mut result = Ok(());
    for _ in 0..80 {
        result = result.and_then(|()| now(upload.write(&[1; BLOCK])));
    }
    assert!(matches!(result, Err(LibraryError::Full { .. })));
    drop(upload);
    assert_eq!(library.free(), free);
    assert_eq!(library.list().len(), 1);
}

#[test]
fn wrong_length_and_checksum_are_refused() {
    let disk = FakeDisk::new(SECTORS);
    let library = library(&disk);
    let free = library.free();
    let mut upload = library.upload("a", Some(10), 0).unwrap();
    let (promised, came) = (10, 11);
    assert_eq!(
        now(upload.write(&[0; 11])),
        Err(LibraryError::Length { promised, came })
    );
    now(upload.write(&[0; 9])).unwrap();
    let (promised, came) = (10, 9);
    assert_eq!(
        now(upload.finish(None)).err(),
        Some(LibraryError::Length { promised, came })
    );
    let mut upload = library.upload("a", None, 0).unwrap();
    now(upload.write(b"abc")).unwrap();
    let other = Sha256Sum::of(b"abd");
    assert_eq!(
        now(upload.finish(Some(other))).err(),
        Some(LibraryError::Checksum)
    );
    assert_eq!((library.free(), library.list().len()), (free, 0));
}

#[test]
fn an_image_in_use_stays() {
    let disk = FakeDisk::new(SECTORS);
    let library = library(&disk);
    let old = contents(3, 2 * BLOCK);
    put(&library, "a", &old).unwrap();
    let reader = library.image("a").unwrap();
    assert!(matches!(
        now(library.remove("a")),
        Err(LibraryError::InUse(_))
    ));
    // Replaced under its reader: who has it open still reads the old one.
    let free = library.free();
    assert_eq!(
        put(&library, "a", &contents(4, BLOCK)),
        Ok(Outcome::Replaced)
    );
    put(&library, "b", &contents(5, BLOCK)).unwrap();
    let mut bytes = vec![0; old.len()];
    now(reader.read(0, &mut bytes)).unwrap();
    assert!(bytes == old);
    drop(reader);
    assert_eq!(library.free(), free);
    library.refuse_changes_if(|name| (name == "b").then(|| "system web1".into()));
    let error = now(library.remove("b")).unwrap_err();
    assert_eq!(error.to_string(), "the image is in use by system web1");
    assert!(put(&library, "b", b"x").is_err());
    now(library.remove("a")).unwrap();
    assert_eq!(now(library.remove("a")), Err(LibraryError::Missing));
    assert_eq!(library.list().len(), 1);
}

#[test]
fn boot_modules_are_images_that_cannot_be_changed() {
    let disk = FakeDisk::new(SECTORS);
    let library = library(&disk);
    let name = ImageName::new("kernel").unwrap();
    library.add_module(name, b"\x7fELF and more");
    let image = library.image("kernel").unwrap();
    let facts = image.facts();
    assert_eq!((facts.bytes, facts.format), (13, Format::Elf));
    let mut part = [0; 3];
    now(image.read(5, &mut part)).unwrap();
    assert_eq!(&part, b"and");
    drop(image);
    assert_eq!(put(&library, "kernel", b"x"), Err(LibraryError::ReadOnly));
    assert_eq!(now(library.remove("kernel")), Err(LibraryError::ReadOnly));
}

#[test]
fn an_image_hidden_by_a_boot_module_keeps_its_blocks() {
    let disk = FakeDisk::new(SECTORS);
    let first = library(&disk);
    let bytes = contents(1, BLOCK);
    put(&first, "kernel", &bytes).unwrap();
    let free = first.free();
    first.add_module(ImageName::new("kernel").unwrap(), b"module");
    assert_eq!(first.free(), free);
    put(&first, "other", &contents(2, BLOCK)).unwrap();
    assert_eq!(get(&library(&disk), "kernel"), bytes);
}

#[test]
fn a_disk_without_data_area_takes_nothing() {
    let disk = FakeDisk::new(2048 * 64);
    let library = library(&disk);
    assert_eq!(library.capacity(), 0);
    assert!(matches!(
        put(&library, "a", b"x"),
        Err(LibraryError::Full { free: 0, .. })
    ));
    assert_eq!(put(&library, "empty", b""), Ok(Outcome::Added));
}

#[test]
fn a_damaged_entry_is_told_and_costs_only_itself() {
    struct Entries(Vec<(String, Vec<u8>)>);
    impl Catalog for Entries {
        fn entries(&self, _: &str) -> Vec<(String, Vec<u8>)> {
            self.0.clone()
        }
        fn put(&self, _: &str, _: Vec<u8>) -> Result<(), CatalogError> {
            Err(CatalogError::Full)
        }
        fn remove(&self, _: &str) {}
        async fn settled(&self) -> Result<(), CatalogError> {
            Ok(())
        }
    }
    let entry = |first| Entry {
        bytes: 5,
        added: 0,
        format: Format::Data,
        sha256: Sha256Sum::of(b""),
        extents: vec![crate::area::Extent { first, blocks: 1 }],
    };
    let entries = [
        ("image/a", entry(20).encode()),
        ("image/b", entry(20).encode()),
        ("image/c", entry(5).encode()),
        ("image/d", vec![1, 2]),
        ("image/../e", entry(21).encode()),
    ];
    let entries = entries.map(|(name, value)| (name.into(), value)).into();
    let disk = FakeDisk::new(128 * 100);
    let (library, damages) = Library::open(disk, Entries(entries), 128 * 10);
    let names: Vec<_> = damages.iter().map(|damage| &*damage.entry).collect();
    assert_eq!(names, ["image/b", "image/c", "image/d", "image/../e"]);
    assert_eq!(library.list().len(), 1);
    let mut upload = library.upload("x", None, 0).unwrap();
    now(upload.write(b"x")).unwrap();
    let refused = now(upload.finish(None)).err();
    assert_eq!(refused, Some(LibraryError::Catalog(CatalogError::Full)));
    assert_eq!(library.free(), 89 * BLOCK_BYTES);
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

/// One of the images, or none, each with its contents whole; and no block is lost.
fn check(library: &FakeLibrary, name: &str, allowed: &[Option<&[u8]>]) {
    let found = library.image(name).is_ok().then(|| get(library, name));
    assert!(allowed.contains(&found.as_deref()), "{name}");
    let used: u64 = library
        .list()
        .iter()
        .map(|facts| facts.bytes.div_ceil(BLOCK_BYTES))
        .sum();
    assert_eq!(library.free(), library.capacity() - used * BLOCK_BYTES);
}

#[test]
fn a_power_cut_at_each_write_leaves_the_old_image_or_the_new_one_and_no_lost_space() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let (old, new) = (contents(1, 5 * BLOCK + 1), contents(2, 3 * BLOCK + 99));
    let mut cuts = 0;
    for cut in 0.. {
        let disk = FakeDisk::new(SECTORS);
        let first = library(&disk);
        put(&first, "other", &contents(8, BLOCK)).unwrap();
        put(&first, "a", &old).unwrap();
        let other = contents(8, BLOCK);
        disk.cut_after(cut);
        // Replace, use what that freed, remove.
        let replaced = put(&first, "a", &new);
        let added = replaced.clone().and_then(|_| put(&first, "b", &old));
        let removed = added.and_then(|_| now(first.remove("a")));
        for _ in 0..4 {
            let after = library(&disk.restart(|| random.next()));
            check(&after, "other", &[Some(&other)]);
            check(&after, "b", &[None, Some(&old)]);
            match replaced {
                Err(_) => check(&after, "a", &[Some(&old), Some(&new)]),
                Ok(_) => check(&after, "a", &[Some(&new), None]),
            }
            cuts += 1;
        }
        if removed.is_ok() {
            break;
        }
    }
    assert!(cuts >= 80, "{cuts}");
}

#[test]
fn blocks_of_a_change_that_is_not_durable_are_not_used_again() {
    let disk = FakeDisk::new(SECTORS);
    let library = library(&disk);
    let old = contents(1, BLOCK);
    put(&library, "a", &old).unwrap();
    disk.cut_after(2);
    assert!(matches!(
        now(library.remove("a")),
        Err(LibraryError::Catalog(CatalogError::Lost))
    ));
    assert_eq!(library.free(), library.capacity() - BLOCK_BYTES);
    disk.cut_after(u64::MAX / 2);
    now(disk.flush()).unwrap();
    put(&library, "b", &contents(2, BLOCK)).unwrap();
    let again = crate::fake::library(&disk.restart(|| 0));
    assert_eq!(again.list().len(), 1);
}
