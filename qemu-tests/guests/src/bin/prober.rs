//! A management partition that starts the partition `escape` (number 1) again and again, and checks that each of its attempts to
//! read memory that is not its own ended with a crash record that names the address.
#![no_std]
#![no_main]
#![allow(
    clippy::indexing_slicing,
    reason = "a guest that fails its own bounds reports that it failed"
)]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use micro_guests::abi::event::FIRST_PORT;
use micro_guests::abi::host::PartitionState;
use micro_guests::abi::hypercall::{Number, PartitionAction};
use micro_guests::abi::start::StartInfo;
use micro_guests::{apic, check, guest, hypercall, outside, result, trap, wait};

guest!(main);

const SUBJECT: u64 = 1;
/// `StopCause::NothingMapped`, as the crash record has it.
const NOTHING_MAPPED: u64 = 2;

#[repr(C, align(4096))]
struct Page([AtomicU64; 512]);

static EVENTS: Page = Page([const { AtomicU64::new(0) }; 512]);
static RECORD: Page = Page([const { AtomicU64::new(0) }; 512]);

fn main(_: &StartInfo) {
    trap::install();
    apic::enable();
    let address = |page: &Page| core::ptr::from_ref(page).addr() as u64;
    let record = address(&RECORD);
    call(
        "the event page",
        Number::EventPage,
        [address(&EVENTS), 0x40, 0, 0],
    );
    let port = u64::from(FIRST_PORT);
    call(
        "the life-cycle port",
        Number::LifecyclePort,
        [SUBJECT, port, 0, 0],
    );
    let mut probes = 0;
    for block in outside::blocks() {
        if probes > 0 {
            let start = PartitionAction::Start as u64;
            call("a start", Number::PartitionControl, [SUBJECT, start, 0, 0]);
        }
        // The life-cycle event ends the nap, if it comes after the look.
        wait::until("a crash", 5000, || {
            EVENTS.0[0].swap(0, SeqCst);
            call("the state", Number::PartitionInfo, [SUBJECT, record, 0, 0]);
            RECORD.0[0].load(SeqCst) >> 32 == PartitionState::Crashed as u64
        });
        call(
            "the crash record",
            Number::CrashRecord,
            [SUBJECT, record, 0, 0],
        );
        let cause = RECORD.0[0].load(SeqCst) & 0xffff_ffff;
        let gpa = RECORD.0[2].load(SeqCst);
        check!(
            cause == NOTHING_MAPPED && gpa == block << 21,
            "reading {:#x} ended with cause {cause} at {gpa:#x}",
            block << 21
        );
        probes += 1;
    }
    result("probes", probes);
}

fn call(what: &str, number: Number, arguments: [u64; 4]) {
    let (status, _) = hypercall::call(number, arguments);
    check!(status == 0, "{what} was refused with status {status}");
}
