//! The addresses outside of its RAM that the guest `escape` tries, one at each start.

/// The 2 MiB that hold the APICs' registers, which every guest has.
const APICS: [u64; 2] = [0xfec0_0000 >> 21, 0xfee0_0000 >> 21];

/// In units of 2 MiB: all of the machine's RAM of 256 MiB but the first 2, then every 256 MiB up to 8 GiB, then powers of two.
pub fn blocks() -> impl Iterator<Item = u64> {
    (1..128)
        .chain((128..4096).step_by(128))
        .chain((12..18).map(|bit| 1 << bit))
        .filter(|block| !APICS.contains(block))
}
