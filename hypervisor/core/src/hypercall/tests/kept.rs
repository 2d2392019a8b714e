//! What management keeps with a partition.

use super::*;
use crate::id::PartitionId;

const BACK: u64 = PAGE + 0x1000;

#[test]
fn what_is_kept_comes_back_until_it_is_replaced() {
    let mut bench = Bench::manager();
    assert_eq!(call(&mut bench, StateRead, [GUEST, BACK, 0, 0]), Ok(0));
    bench.poke(PAGE, b"the state of its devices");
    assert_eq!(call(&mut bench, StateKeep, [GUEST, PAGE, 24, 0]), Ok(0));
    bench.poke(PAGE, &[0xff; 24]);
    assert_eq!(call(&mut bench, StateRead, [GUEST, BACK, 0, 0]), Ok(24));
    assert_eq!(bench.peek(BACK + 16), u64::from_le_bytes(*b" devices"));
    bench.poke(PAGE, b"shorter!");
    assert_eq!(call(&mut bench, StateKeep, [GUEST, PAGE, 7, 0]), Ok(0));
    bench.poke(BACK, &[0; 8]);
    assert_eq!(call(&mut bench, StateRead, [GUEST, BACK, 0, 0]), Ok(7));
    assert_eq!(bench.peek(BACK), u64::from_le_bytes(*b"shorter\0"));
    assert_eq!(call(&mut bench, StateKeep, [GUEST, PAGE, 4096, 0]), Ok(0));
    assert_eq!(call(&mut bench, StateRead, [GUEST, BACK, 0, 0]), Ok(4096));
    assert_eq!(call(&mut bench, StateKeep, [GUEST, 0, 0, 0]), Ok(0));
    assert_eq!(call(&mut bench, StateRead, [GUEST, BACK, 0, 0]), Ok(0));
}

#[test]
fn what_is_kept_survives_the_loss_of_management() {
    let mut bench = Bench::manager();
    bench.poke(PAGE, b"12345678");
    assert_eq!(call(&mut bench, StateKeep, [GUEST, PAGE, 8, 0]), Ok(0));
    crate::lifecycle::forget_routes(&bench.host);
    let guest = bench.host.machine.partition(PartitionId(1)).unwrap();
    assert_eq!(*guest.kept.lock(), b"12345678");
}

#[test]
fn keeping_refuses_what_is_no_page_or_too_much_and_changes_nothing() {
    let mut bench = Bench::manager();
    assert_eq!(call(&mut bench, StateKeep, [GUEST, PAGE, 8, 0]), Ok(0));
    let refused = [
        ([0, PAGE, 8, 0], Status::BadArgument),
        ([7, PAGE, 8, 0], Status::NotFound),
        ([GUEST, PAGE, 4097, 0], Status::BadArgument),
        ([GUEST, PAGE, u64::MAX, 0], Status::BadArgument),
    ];
    for (arguments, status) in refused {
        assert_eq!(call(&mut bench, StateKeep, arguments), Err(status));
    }
    for page in BAD_PAGES {
        let bad = Err(Status::BadAddress);
        assert_eq!(call(&mut bench, StateKeep, [GUEST, page, 9, 0]), bad);
        assert_eq!(call(&mut bench, StateRead, [GUEST, page, 0, 0]), bad);
    }
    assert_eq!(call(&mut bench, StateRead, [GUEST, BACK, 0, 0]), Ok(8));
}
