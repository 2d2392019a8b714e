//! All of the guest's RAM is there, starts as zeros, and keeps what is written.
#![no_std]
#![no_main]

use micro_guests::abi::start::StartInfo;
use micro_guests::{check, guest, result};

guest!(main);

fn main(info: &StartInfo) {
    // Every page, one word in each; below 4 GiB in one piece as long as the RAM is no larger than 2 GiB.
    let free = (info.image_end + 0xfff) & !0xfff;
    let pages = || (free..info.reserved_start).step_by(4096);
    for page in pages() {
        let word = (page + page / 4096 % 512 * 8) as *mut u64;
        // SAFETY: free memory of the guest.
        unsafe {
            check!(word.read_volatile() == 0, "memory at {word:?} is not zero");
            word.write_volatile(page ^ 0x5555);
        }
    }
    for page in pages() {
        let word = (page + page / 4096 % 512 * 8) as *mut u64;
        // SAFETY: as above.
        let value = unsafe { word.read_volatile() };
        check!(value == page ^ 0x5555, "memory at {word:?} is {value:#x}");
    }
    result("pages", pages().count() as u64);
}
