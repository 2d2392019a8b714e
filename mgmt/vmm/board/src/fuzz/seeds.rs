//! Programs that reach what random bytes rarely do.

use alloc::vec::Vec;

/// Starts of the two devices: with messages and without, with event indices and without, with small queues and large.
const STARTS: [&[u8]; 5] = [&[7, 0x62], &[7, 0x63], &[7, 0x30], &[7, 0x35], &[7, 0x16]];

/// What a driver does then.
const USES: [&[u8]; 7] = [
    // Offers eight buffers to each queue, and rings.
    &[
        9, 0x3f, 1, 0, 1, 2, 9, 0, 3, 0, 1, 4, 3, 0, 5, 3, 0, 6, 3, 0, 7, 3, 0, 8, 3, 0, 1, 12, 1,
        15, 15,
    ],
    &[
        9, 0x07, 1, 0, 1, 2, 9, 0, 3, 0, 1, 4, 3, 0, 5, 3, 0, 6, 3, 0, 7, 3, 0, 8, 3, 0, 0, 14, 99,
        12, 0,
    ],
    &[
        9, 0x87, 1, 0, 1, 2, 9, 0, 3, 0, 1, 4, 3, 0, 5, 3, 0, 6, 3, 0, 7, 3, 0, 8, 3, 0, 2, 12, 2,
        16,
    ],
    // A loop, an indirect table, heads and indices out of range.
    &[10, 1, 0, 0x10, 0, 0, 8, 0, 0, 0, 0, 2, 12, 2],
    &[10, 4, 0, 0, 8, 0, 0x20, 0, 0, 0, 0, 2, 12, 2],
    &[11, 70, 0, 1, 12, 1],
    // Moves a BAR, masks MSI-X, turns bus mastering off and on.
    &[
        1, 2, 0x10, 5, 0, 0, 0, 0xd1, 0, 0, 0, 0, 1, 1, 0x9a, 3, 0, 0xc0, 0, 0, 0, 0, 0, 0, 1, 2,
        4, 3, 2, 0, 0, 0, 0, 0, 0, 0, 17, 0, 17, 1, 17, 2,
    ],
];

/// Where the fuzzer begins.
pub fn seeds() -> Vec<Vec<u8>> {
    let pairs = STARTS
        .iter()
        .flat_map(|start| USES.iter().map(move |next| [*start, *next].concat()));
    let long = STARTS
        .iter()
        .flat_map(|start| [*start, USES.concat().as_slice()].concat());
    pairs.chain([long.collect()]).collect()
}
