//! The entry point of the target `loader`, and its seeds: a small kernel image of every kind.

use anyhow::Result;
use vmm_loader::fuzz::{RAM_BYTES, load};
use vmm_ram::fake::FakeRam;

/// Loads the bytes as an image of every kind into memory that does not exist.
pub fn load_all(data: &[u8]) {
    load(data, &FakeRam::new(RAM_BYTES));
}

/// The smallest images that are loaded.
pub fn seeds() -> Result<Vec<Vec<u8>>> {
    let notes = words(&[4, 4, 18, u32::from_le_bytes(*b"Xen\0"), 0x20_0000]);
    let multiboot1 = sealed(&[0x1bad_b002, 3]);
    let mut addresses = sealed(&[0x1bad_b002, 1 << 16]);
    addresses.extend(words(&[
        0x20_0000, 0x20_0000, 0x20_0020, 0x20_1000, 0x20_0000,
    ]));
    // Requests, addresses, an entry point, alignment, the last tag.
    let tags = words(&[
        1, 16, 3, 6, 2, 24, 0x20_0000, 0x20_0000, 0, 0x20_1000, 3, 12, 0x20_0010, 0, 6, 8, 0, 8,
    ]);
    let mut multiboot2 = sealed(&[0xe852_50d6, 0, 16 + tags.len() as u32]);
    multiboot2.extend(tags);
    // At a multiple of 8, behind the headers of the file.
    let plain = [words(&[0]), sealed(&[0xe852_50d6, 0, 24]), words(&[0, 8])].concat();
    Ok(vec![
        linux(),
        elf32(&[(1, b"code"), (4, &notes)]),
        with_sections(elf32(&[(1, &multiboot1)])),
        elf32(&[(1, &plain)]),
        elf64(&notes),
        addresses,
        multiboot2,
    ])
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The fields of a header and what makes their sum zero.
fn sealed(fields: &[u32]) -> Vec<u8> {
    let sum = fields
        .iter()
        .fold(0u32, |sum, field| sum.wrapping_add(*field));
    [words(fields), words(&[0u32.wrapping_sub(sum)])].concat()
}

/// A bzImage with one setup sector.
fn linux() -> Vec<u8> {
    let fields: [(usize, &[u8]); 10] = [
        (0x1f1, &[1]),
        (0x1f4, &[48]),
        (0x1fe, b"\x55\xaa\xeb\x6aHdrS\x0f\x02"),
        (0x211, &[1]),
        (0x22c, &[0xff, 0xff, 0xff, 0x7f]),
        (0x230, &[0, 0, 0x20, 0, 1, 0, 0x7f, 0]),
        (0x238, &[0xff, 7]),
        // 1 MiB preferred, 64 KiB needed.
        (0x258, &[0, 0, 0x10]),
        (0x260, &[0, 0, 1]),
        (0x600, b"code"),
    ];
    let mut image = vec![0; 0x700];
    set(&mut image, &fields);
    image
}

/// A 32-bit ELF file with segments of those types, a MiB apart.
fn elf32(segments: &[(u32, &[u8])]) -> Vec<u8> {
    let mut image = b"\x7fELF\x01\x01\x01".to_vec();
    image.resize(16, 0);
    image.extend(words(&[0x3_0002, 1, 0x20_0000, 52, 0, 0]));
    image.extend(words(&[0x20_0034, segments.len() as u32, 0]));
    let mut offset = 52 + 32 * segments.len() as u32;
    let mut at = 0x20_0000;
    for (kind, content) in segments {
        let bytes = content.len() as u32;
        image.extend(words(&[*kind, offset, at, at, bytes, bytes + 8, 7, 4]));
        offset += bytes;
        at += 0x10_0000;
    }
    for (_, content) in segments {
        image.extend_from_slice(content);
    }
    image
}

/// A 32-bit ELF file with a string table and a symbol table in the first bytes of the file.
fn with_sections(mut image: Vec<u8>) -> Vec<u8> {
    let at = image.len() as u32;
    for kind in [3, 2] {
        image.extend(words(&[0, kind, 0, 0, 0, 64, 0, 0, 0, 0]));
    }
    let fields: [(usize, &[u8]); 2] = [(32, &at.to_le_bytes()), (46, &[40, 0, 2, 0])];
    set(&mut image, &fields);
    image
}

fn set(image: &mut [u8], fields: &[(usize, &[u8])]) {
    for (at, bytes) in fields {
        for (target, byte) in image.iter_mut().skip(*at).zip(*bytes) {
            *target = *byte;
        }
    }
}

/// A 64-bit ELF file with a segment to load and those notes.
fn elf64(notes: &[u8]) -> Vec<u8> {
    let quads =
        |quads: &[u64]| -> Vec<u8> { quads.iter().flat_map(|quad| quad.to_le_bytes()).collect() };
    let mut image = b"\x7fELF\x02\x01\x01".to_vec();
    image.resize(16, 0);
    image.extend(words(&[0x3e_0002, 1]));
    image.extend(quads(&[0x20_0000, 64, 0]));
    image.extend(words(&[0, 0x38_0040, 2, 0]));
    let bytes = notes.len() as u64;
    for (kind, offset, size) in [(1, 0, 176), (4, 176, bytes)] {
        image.extend(words(&[kind, 7]));
        image.extend(quads(&[offset, 0x20_0000, 0x20_0000, size, size + 8, 4]));
    }
    image.extend_from_slice(notes);
    image
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmm_loader::fuzz::plans;

    #[test]
    fn every_seed_is_loaded_by_guess() {
        for (index, seed) in seeds().unwrap().iter().enumerate() {
            assert!(plans(seed), "seed {index} is refused");
        }
    }
}
