//! The smallest guest: starts, looks at its start page, ends.
#![no_std]
#![no_main]

use micro_guests::abi::start::{MAGIC, StartInfo};
use micro_guests::{check, guest, say};

guest!(main);

fn main(info: &StartInfo) {
    say!(
        "hello from partition {} with {} vCPUs",
        info.partition,
        info.vcpus
    );
    check!(
        info.magic == MAGIC,
        "the start page has magic {:#x}",
        info.magic
    );
    check!(
        info.version == micro_guests::abi::VERSION,
        "version {}",
        info.version
    );
    check!(info.tsc_hz != 0, "the TSC's rate is not told");
}
