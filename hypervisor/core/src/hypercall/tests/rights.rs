//! Who may call what.

use super::*;
use crate::vcpu::{Exit, Gpr};
use bulkhead_abi::hypercall::Right;

#[test]
fn a_guest_is_denied_what_is_managements_whatever_the_arguments() {
    let mut bench = Bench::managed(&[0]);
    for number in (0..Number::COUNT).filter_map(Number::from_u64) {
        if number.right() == Right::Management {
            for argument in [0, 1, 0x10_0000, u64::MAX] {
                let result = call(&mut bench, number, [argument; 4]);
                assert_eq!(result, Err(Status::Denied), "{number:?}");
            }
        }
    }
}

#[test]
fn user_code_is_denied() {
    let mut bench = Bench::manager();
    bench.vcpu.hw.system.cpl = 3;
    for number in (1..Number::COUNT).filter_map(Number::from_u64) {
        assert_eq!(call(&mut bench, number, [0; 4]), Err(Status::Denied));
    }
}

#[test]
fn numbers_that_are_none_are_told_so() {
    let mut bench = Bench::guest();
    for number in [Number::COUNT, 1000, 1 << 32, u64::MAX] {
        assert_eq!(bench.call(number, [0; 4]), (Status::NoSuchCall as u64, 0));
    }
}

#[test]
fn a_call_goes_on_behind_itself_and_leaves_the_other_registers_alone() {
    let mut bench = Bench::guest();
    for (index, register) in Gpr::ALL.into_iter().enumerate() {
        bench.vcpu.hw.set(register, 0x1000 + index as u64);
    }
    let before = bench.vcpu.hw.gprs;
    let rip = bench.vcpu.hw.rip;
    let _ = bench.exit(&[(Gpr::Rax, Version as u64)], Exit::Hypercall);
    assert_eq!(bench.vcpu.hw.rip, rip + 2);
    for register in Gpr::ALL {
        let expected = match register {
            Gpr::Rax => 0,
            Gpr::Rdx => u64::from(bulkhead_abi::VERSION),
            _ => before[register as usize],
        };
        assert_eq!(bench.vcpu.hw.get(register), expected, "{register:?}");
    }
    assert_eq!(call(&mut bench, Null, [1, 2, 3, 4]), Ok(0));
}
