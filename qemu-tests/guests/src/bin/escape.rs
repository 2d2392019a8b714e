//! Reads one word of an address outside of its RAM, another at each start; that must end it.
#![no_std]
#![no_main]

use micro_guests::abi::start::StartInfo;
use micro_guests::{fail, guest, outside};

guest!(main);

fn main(info: &StartInfo) {
    let Some(block) = outside::blocks().nth(info.restarts as usize) else {
        return;
    };
    let address = block << 21;
    // SAFETY: the page tables map all addresses below 512 GiB, and nothing of the guest is there.
    let word = unsafe { (address as *const u64).read_volatile() };
    fail(format_args!("{address:#x} is readable: {word:#x}"));
}
