//! Deliberate crashes, asked for on the command line: the tests look at the record from outside.

use core::hint::black_box;

use bulkhead_hw::layout::DIRECT_MAP;

use super::options::CrashTest;

/// Crashes.
#[expect(clippy::panic, reason = "one of the crashes to test is a panic")]
pub fn run(test: CrashTest) {
    match test {
        CrashTest::StackOverflow => {
            black_box(recurse(1));
        }
        CrashTest::WriteCode => {
            let code = run as *const () as *mut u8;
            // SAFETY: none: the write must fault, which is what is tested.
            unsafe { code.write_volatile(0xcc) };
        }
        CrashTest::RunData => {
            static mut DATA: [u8; 16] = [0xc3; 16];
            let data = (&raw mut DATA).cast::<()>();
            // SAFETY: none: the call must fault, which is what is tested. Were it allowed, it
            // would only return.
            unsafe { core::mem::transmute::<*mut (), extern "C" fn()>(data)() };
        }
        CrashTest::Unmapped => {
            // Page 0 never belongs to the hypervisor.
            let nothing = core::ptr::with_exposed_provenance::<u8>(DIRECT_MAP as usize);
            // SAFETY: none: the read must fault, which is what is tested.
            unsafe { nothing.read_volatile() };
        }
        CrashTest::Panic => panic!("asked for on the command line"),
    }
    bulkhead_hw::error!("the crash test {test:?} did not crash");
}

#[expect(unconditional_recursion, reason = "the stack must overflow")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(frame.len() as u64) ^ black_box(&frame).len() as u64
}
