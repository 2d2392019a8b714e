//! Moves, exchanges, bit strings, the stack and string instructions.

use super::super::*;
use super::Random;
use super::fake::{Fake, MEMORY, Refused};
use super::{CF, DF, PF, STATUS, ZF};

#[test]
fn moves_obey_register_widths() {
    let full = 0x1122_3344_5566_7788;
    let mut fake = Fake::new().set(Gpr::Rbx, MEMORY).set(Gpr::Rax, full);
    fake.put(MEMORY, &[0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8]);
    for (bytes, expected) in [
        (&[0x8a, 0x03][..], 0x1122_3344_5566_77f1u64),
        (&[0x8a, 0x23], 0x1122_3344_5566_f188),
        (&[0x66, 0x8b, 0x03], 0x1122_3344_5566_f2f1),
        (&[0x8b, 0x03], 0xf4f3_f2f1),
        (&[0x48, 0x8b, 0x03], 0xf8f7_f6f5_f4f3_f2f1),
        (&[0x0f, 0xb6, 0x03], 0xf1),
        (&[0x66, 0x0f, 0xb6, 0x03], 0x1122_3344_5566_00f1),
        (&[0x0f, 0xb7, 0x03], 0xf2f1),
        (&[0x0f, 0xbe, 0x03], 0xffff_fff1),
        (&[0x48, 0x0f, 0xbe, 0x03], 0xffff_ffff_ffff_fff1),
        (&[0x48, 0x0f, 0xbf, 0x03], 0xffff_ffff_ffff_f2f1),
        (&[0x48, 0x63, 0x03], 0xffff_ffff_f4f3_f2f1),
    ] {
        fake.registers[0] = full;
        fake.done(bytes);
        assert_eq!(fake.registers[0], expected, "{bytes:02x?}");
    }
    fake.registers[0] = full;
    fake.done(&[0x88, 0x23]);
    assert_eq!(fake.get(MEMORY, 2), 0xf277, "AH");
    fake.done(&[0x40, 0x88, 0x23]);
    assert_eq!(fake.get(MEMORY, 1), 0, "with REX it is SPL");
    fake.done(&[0x48, 0xc7, 0x03, 0xfe, 0xff, 0xff, 0xff]);
    assert_eq!(fake.get(MEMORY, 8), u64::MAX - 1, "sign-extended immediate");
    fake.done(&[0x0f, 0xc3, 0x03]);
    assert_eq!(fake.get(MEMORY, 4), 0x5566_7788, "MOVNTI");
}

#[test]
fn addresses_are_computed_in_every_mode() {
    let mut fake = Fake::new()
        .set(Gpr::Rbx, MEMORY)
        .set(Gpr::Rsi, 4)
        .set(Gpr::R9, 2)
        .set(Gpr::Rsp, MEMORY + 0x80);
    fake.bases = [0x10, 0x20, 0x30, 0x40, 0x50, 0x60];
    let mut touch = |code, bytes: &[u8]| {
        fake.log.clear();
        fake.run(code, bytes).map(drop).unwrap();
        fake.log[0].1
    };
    let long = CodeSize::Bits64;
    assert_eq!(touch(long, &[0x8a, 0x44, 0xb3, 0x10]), MEMORY + 0x20, "SIB");
    assert_eq!(
        touch(long, &[0x8a, 0x44, 0xb3, 0xf8]),
        MEMORY + 8,
        "negative offset"
    );
    assert_eq!(
        touch(long, &[0x42, 0x8a, 0x04, 0xcb]),
        MEMORY + 16,
        "R9 * 8"
    );
    assert_eq!(
        touch(long, &[0x8a, 0x04, 0x24]),
        MEMORY + 0x80,
        "RSP, no SS base"
    );
    assert_eq!(touch(long, &[0x64, 0x8a, 0x03]), MEMORY + 0x50, "FS");
    assert_eq!(touch(long, &[0x2e, 0x8a, 0x03]), MEMORY, "CS has no base");
    let next = 0x40_0000 + 6;
    let distance = (MEMORY as i64 + 0x123 - next) as i32;
    let mut relative = vec![0x8a, 0x05];
    relative.extend(distance.to_le_bytes());
    assert_eq!(touch(long, &relative), MEMORY + 0x123, "RIP-relative");
    let mut absolute = vec![0xa0];
    absolute.extend((MEMORY + 7).to_le_bytes());
    assert_eq!(touch(long, &absolute), MEMORY + 7);
    let protected = CodeSize::Bits32;
    assert_eq!(touch(protected, &[0x8a, 0x03]), MEMORY + 0x40, "DS");
    assert_eq!(
        touch(protected, &[0x8a, 0x04, 0x24]),
        MEMORY + 0xb0,
        "SS by ESP"
    );
    assert_eq!(touch(protected, &[0x26, 0x8a, 0x03]), MEMORY + 0x10, "ES");
    fake.registers[Gpr::Rbx as usize] = 0xffff;
    fake.bases[Segment::Ds as usize] = MEMORY;
    fake.log.clear();
    fake.run(CodeSize::Bits16, &[0x8a, 0x00]).map(drop).unwrap();
    assert_eq!(fake.log[0].1, MEMORY + 3, "BX + SI wraps at 64 KiB");
    fake.bases[Segment::Ds as usize] = 0xffff_fff0;
    fake.registers[Gpr::Rbx as usize] = MEMORY + 0x20;
    fake.log.clear();
    fake.run(CodeSize::Bits32, &[0x8a, 0x03]).map(drop).unwrap();
    assert_eq!(
        fake.log[0].1,
        MEMORY + 0x10,
        "linear addresses wrap at 4 GiB"
    );
    fake.registers[Gpr::Rbx as usize] = 0xffff_0000_0000_0000 | MEMORY;
    fake.log.clear();
    fake.run(CodeSize::Bits64, &[0x67, 0x8a, 0x03])
        .map(drop)
        .unwrap();
    assert_eq!(fake.log[0].1, MEMORY, "32-bit addresses in 64-bit code");
}

#[test]
fn exchanges_swap() {
    let mut fake = Fake::new().set(Gpr::Rbx, MEMORY).set(Gpr::Rcx, 0x1111_2222);
    fake.put(MEMORY, &0x3333_4444u32.to_le_bytes());
    fake.done(&[0x87, 0x0b]);
    assert_eq!(
        (fake.get(MEMORY, 4), fake.registers[1]),
        (0x1111_2222, 0x3333_4444)
    );
    fake.done(&[0xf0, 0x0f, 0xc1, 0x0b]);
    assert_eq!(
        (fake.get(MEMORY, 4), fake.registers[1]),
        (0x4444_6666, 0x1111_2222)
    );
    assert_eq!(fake.flags & STATUS, PF);
    fake.done(&[0x0f, 0xc1, 0xc9]);
    assert_eq!(
        fake.registers[1], 0x2222_4444,
        "XADD of a register with itself"
    );
}

#[test]
fn compare_exchange_stores_or_loads() {
    let mut fake = Fake::new()
        .set(Gpr::Rbx, MEMORY)
        .set(Gpr::Rcx, 9)
        .set(Gpr::Rax, 5);
    fake.put(MEMORY, &5u32.to_le_bytes());
    fake.done(&[0xf0, 0x0f, 0xb1, 0x0b]);
    assert_eq!((fake.get(MEMORY, 4), fake.flags & ZF), (9, ZF));
    fake.done(&[0xf0, 0x0f, 0xb1, 0x0b]);
    assert_eq!(
        (fake.get(MEMORY, 4), fake.registers[0], fake.flags & ZF),
        (9, 9, 0)
    );
    assert_eq!(fake.flags & CF, CF, "5 - 9");
}

#[test]
fn bit_strings_reach_beyond_the_operand() {
    let mut fake = Fake::new().set(Gpr::Rbx, MEMORY + 0x100).set(Gpr::Rcx, 67);
    fake.done(&[0x0f, 0xab, 0x0b]);
    assert_eq!(fake.get(MEMORY + 0x108, 4), 8, "bit 67");
    assert_eq!(fake.flags & CF, 0);
    fake.done(&[0x0f, 0xa3, 0x0b]);
    assert_eq!(fake.flags & CF, CF);
    fake.registers[1] = -5i64 as u64;
    fake.done(&[0x48, 0x0f, 0xbb, 0x0b]);
    assert_eq!(fake.get(MEMORY + 0xf8, 8), 1 << 59, "bit -5");
    fake.done(&[0x0f, 0xba, 0x33, 0x23]);
    assert_eq!(
        fake.get(MEMORY + 0x100, 4),
        0,
        "an immediate is taken modulo 32"
    );
    fake.put(MEMORY + 0x100, &[8]);
    fake.done(&[0x0f, 0xba, 0x33, 0x23]);
    assert_eq!((fake.get(MEMORY + 0x100, 4), fake.flags & CF), (0, CF));
}

#[test]
fn pushes_and_pops_of_memory_use_the_stack() {
    let mut fake = Fake::new()
        .set(Gpr::Rbx, MEMORY)
        .set(Gpr::Rsp, MEMORY + 0x100);
    fake.put(MEMORY, &0x1122_3344_5566_7788u64.to_le_bytes());
    fake.done(&[0xff, 0x33]);
    assert_eq!(fake.registers[4], MEMORY + 0xf8);
    assert_eq!(fake.get(MEMORY + 0xf8, 8), 0x1122_3344_5566_7788);
    fake.done(&[0x8f, 0x43, 0x10]);
    assert_eq!(fake.get(MEMORY + 0x10, 8), 0x1122_3344_5566_7788);
    assert_eq!(fake.registers[4], MEMORY + 0x100);
    fake.put(MEMORY + 0x100, &[1, 2, 3, 4, 5, 6, 7, 8]);
    fake.done(&[0x8f, 0x04, 0x24]);
    assert_eq!(
        fake.get(MEMORY + 0x108, 8),
        0x0807_0605_0403_0201,
        "RSP after the pop"
    );
    fake.registers[4] = MEMORY + 0x100;
    fake.done(&[0x5c]);
    assert_eq!(fake.registers[4], 0x0807_0605_0403_0201, "POP RSP");
    let mut real = Fake::new().set(Gpr::Rsp, 0xabcd_0000).set(Gpr::Rax, 0x1234);
    real.stack = Width::Word;
    real.bases[Segment::Ss as usize] = 0x8_0000;
    real.run(CodeSize::Bits16, &[0x50]).unwrap_err();
    assert_eq!(real.registers[4], 0xabcd_0000, "nothing has changed");
    real.bases[Segment::Ss as usize] = MEMORY - 0xfff0;
    real.run(CodeSize::Bits16, &[0x50]).map(drop).unwrap();
    assert_eq!(
        real.registers[4], 0xabcd_fffe,
        "SP wraps, the rest of ESP stays"
    );
    assert_eq!(real.get(MEMORY + 14, 2), 0x1234);
}

#[test]
fn strings_repeat_and_can_be_resumed() {
    let mut fake = Fake::new()
        .set(Gpr::Rsi, MEMORY)
        .set(Gpr::Rdi, MEMORY + 0x400)
        .set(Gpr::Rcx, 250);
    for index in 0..250 {
        fake.put(MEMORY + index, &[index as u8]);
    }
    let bytes = [0xf3, 0xa4];
    assert_eq!(fake.run(CodeSize::Bits64, &bytes), Ok(Progress::Again));
    assert_eq!(fake.registers[1], 150);
    assert_eq!(fake.run(CodeSize::Bits64, &bytes), Ok(Progress::Again));
    assert_eq!(fake.run(CodeSize::Bits64, &bytes), Ok(Progress::Done));
    assert_eq!(fake.registers[1], 0);
    assert_eq!(fake.memory[..250], fake.memory[0x400..0x4fa]);
    assert_eq!(
        fake.run(CodeSize::Bits64, &bytes),
        Ok(Progress::Done),
        "count 0"
    );
    assert_eq!(fake.registers[7], MEMORY + 0x4fa);
}

#[test]
fn a_fault_in_a_repeated_string_keeps_what_was_done() {
    let mut fake = Fake::new()
        .set(Gpr::Rdi, MEMORY)
        .set(Gpr::Rcx, 50)
        .set(Gpr::Rax, 0xaa);
    fake.end = MEMORY + 16;
    assert_eq!(
        fake.run(CodeSize::Bits64, &[0xf3, 0xab]),
        Err(Refused(MEMORY + 16))
    );
    assert_eq!(fake.registers[1], 46);
    assert_eq!(fake.registers[7], MEMORY + 16);
    fake.end = MEMORY + 0x1000;
    assert_eq!(
        fake.run(CodeSize::Bits64, &[0xf3, 0xab]),
        Ok(Progress::Done)
    );
    assert_eq!(fake.registers[7], MEMORY + 200);
}

#[test]
fn comparing_strings_stop_at_the_difference() {
    let mut fake = Fake::new()
        .set(Gpr::Rsi, MEMORY)
        .set(Gpr::Rdi, MEMORY + 0x100)
        .set(Gpr::Rcx, 10);
    fake.put(MEMORY, b"bulkhead");
    fake.put(MEMORY + 0x100, b"bulkhorn");
    assert_eq!(
        fake.run(CodeSize::Bits64, &[0xf3, 0xa6]),
        Ok(Progress::Done)
    );
    assert_eq!((fake.registers[1], fake.registers[6]), (4, MEMORY + 6));
    assert_eq!(fake.flags & (ZF | CF), CF, "e < o");
    fake = fake
        .set(Gpr::Rdi, MEMORY)
        .set(Gpr::Rcx, 8)
        .set(Gpr::Rax, u64::from(b'k'));
    assert_eq!(
        fake.run(CodeSize::Bits64, &[0xf2, 0xae]),
        Ok(Progress::Done)
    );
    assert_eq!((fake.registers[1], fake.registers[7]), (4, MEMORY + 4));
    assert_eq!(fake.flags & ZF, ZF);
}

#[test]
fn strings_go_backwards_and_wrap_with_small_addresses() {
    let mut fake = Fake::new().set(Gpr::Rsi, 0xffff_0002).set(Gpr::Rax, 0);
    fake.flags |= DF;
    fake.bases[Segment::Fs as usize] = MEMORY;
    fake.put(MEMORY + 2, &[1, 2, 3, 4]);
    assert_eq!(
        fake.run(CodeSize::Bits16, &[0x64, 0x66, 0xad]),
        Ok(Progress::Done)
    );
    assert_eq!(fake.registers[0], 0x0403_0201);
    assert_eq!(
        fake.registers[6], 0xffff_fffe,
        "SI wraps, the rest of ESI stays"
    );
}

#[test]
fn faults_change_no_register() {
    let mut random = Random::new(9);
    for bytes in [
        &[0x8b, 0x03][..],
        &[0x01, 0x0b],
        &[0x87, 0x0b],
        &[0x0f, 0xc1, 0x0b],
        &[0x0f, 0xb1, 0x0b],
        &[0x0f, 0xab, 0x0b],
        &[0xff, 0x33],
        &[0x8f, 0x03],
        &[0xa4],
        &[0xa7],
        &[0xff, 0x03],
    ] {
        let mut fake = Fake::new();
        for register in &mut fake.registers {
            *register = random.next() & 0xff;
        }
        let before = fake.clone();
        assert!(fake.run(CodeSize::Bits64, bytes).is_err(), "{bytes:02x?}");
        assert_eq!(
            (fake.registers, fake.flags),
            (before.registers, before.flags)
        );
    }
}

#[test]
fn no_bytes_make_the_emulator_panic() {
    let mut random = Random::new(4);
    for _ in 0..100_000 {
        let mut bytes = [0; 15];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
        }
        for code in [CodeSize::Bits16, CodeSize::Bits32, CodeSize::Bits64] {
            if let Ok(instruction) = decode(&bytes, code) {
                let mut fake = Fake::new();
                for register in &mut fake.registers {
                    *register = MEMORY + (random.next() & 0xff);
                }
                fake.bases = [0; 6];
                let _ = emulate(&instruction, &mut fake, 3);
            }
        }
    }
}

#[test]
fn port_strings_are_left_to_the_caller() {
    let mut fake = Fake::new();
    assert_eq!(
        fake.run(CodeSize::Bits64, &[0xf3, 0x6c]),
        Ok(Progress::Refused)
    );
    assert_eq!(fake.run(CodeSize::Bits64, &[0x6f]), Ok(Progress::Refused));
    assert!(fake.log.is_empty());
}
