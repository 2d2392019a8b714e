//! [`Header`]: the Multiboot 1 header in an image.

use crate::addresses::Addresses;
use crate::fields::u32_at;

const MAGIC: u32 = 0x1bad_b002;
/// The header is in the first 8 KiB.
const SEARCHED: usize = 8192;
/// The flag for address fields.
const HAS_ADDRESSES: u32 = 1 << 16;

/// What the loader needs of the header.
#[derive(Debug)]
pub struct Header {
    /// What the kernel asks for.
    pub flags: u32,
    /// Where the image goes and its entry point, where the header says it.
    pub addresses: Option<(Addresses, u32)>,
}

/// Whether a file is a Multiboot 1 kernel.
pub fn is_multiboot1(head: &[u8]) -> bool {
    find(head).is_some()
}

/// The first header, and where it is.
pub fn find(head: &[u8]) -> Option<(u64, Header)> {
    let head = head.get(..SEARCHED).unwrap_or(head);
    (0..head.len())
        .step_by(4)
        .find_map(|at| Some((at as u64, header(head.get(at..)?)?)))
}

fn header(bytes: &[u8]) -> Option<Header> {
    if u32_at(bytes, 0)? != MAGIC {
        return None;
    }
    let flags = u32_at(bytes, 4)?;
    let sum = MAGIC.wrapping_add(flags).wrapping_add(u32_at(bytes, 8)?);
    if sum != 0 {
        return None;
    }
    let addresses = match flags & HAS_ADDRESSES {
        0 => None,
        _ => {
            let addresses = Addresses {
                header: u32_at(bytes, 12)?,
                load: Some(u32_at(bytes, 16)?),
                load_end: u32_at(bytes, 20)?,
                bss_end: u32_at(bytes, 24)?,
            };
            Some((addresses, u32_at(bytes, 28)?))
        }
    };
    Some(Header { flags, addresses })
}
