//! INS and OUTS, one iteration at a time.

use super::super::*;
use super::DF;
use super::fake::{Fake, MEMORY, Refused};
use crate::addr::Gva;

/// The fake vCPU with a port that gives and takes bytes.
struct Ported {
    fake: Fake,
    gives: u64,
    taken: Vec<(u64, u8)>,
    /// What the next port accesses answer instead.
    refuses: bool,
    reads: u32,
}

impl Ported {
    fn new(count: u64) -> Self {
        let fake = Fake::new()
            .set(Gpr::Rcx, count)
            .set(Gpr::Rsi, MEMORY)
            .set(Gpr::Rdi, MEMORY);
        Self {
            fake,
            gives: 0xffff_ffff_a1b2_c3d4,
            taken: Vec::new(),
            refuses: false,
            reads: 0,
        }
    }

    fn step(&mut self, code: CodeSize, bytes: &[u8]) -> Result<Progress, Refused> {
        let instruction = decode(bytes, code).unwrap();
        assert_eq!(usize::from(instruction.length), bytes.len());
        emulate_port(&instruction, self)
    }

    /// RCX, RSI, RDI.
    fn registers(&self) -> [u64; 3] {
        [Gpr::Rcx, Gpr::Rsi, Gpr::Rdi].map(|name| self.fake.registers[name as usize])
    }
}

impl Machine for Ported {
    type Error = Refused;

    fn register(&self, register: Gpr) -> u64 {
        self.fake.register(register)
    }

    fn set_register(&mut self, register: Gpr, value: u64) {
        self.fake.set_register(register, value);
    }

    fn rip(&self) -> u64 {
        self.fake.rip
    }

    fn flags(&self) -> u64 {
        self.fake.flags
    }

    fn set_flags(&mut self, _flags: u64) {
        panic!("no flag changes");
    }

    fn segment_base(&self, segment: Segment) -> u64 {
        self.fake.segment_base(segment)
    }

    fn stack_width(&self) -> Width {
        self.fake.stack
    }

    fn read(&mut self, address: Gva, width: Width) -> Result<u64, Refused> {
        self.fake.read(address, width)
    }

    fn write(&mut self, address: Gva, width: Width, value: u64) -> Result<(), Refused> {
        self.fake.write(address, width, value)
    }
}

impl PortMachine for Ported {
    fn input(&mut self, width: Width) -> Result<u64, Refused> {
        self.reads += 1;
        if self.refuses {
            return Err(Refused(0));
        }
        Ok(self.gives & width.mask())
    }

    fn output(&mut self, width: Width, value: u64) -> Result<(), Refused> {
        if self.refuses {
            return Err(Refused(0));
        }
        self.taken.push((value, width.bytes()));
        Ok(())
    }

    fn check_write(&mut self, address: Gva, width: Width) -> Result<(), Refused> {
        let at = address.as_u64();
        if at < MEMORY || at + u64::from(width.bytes()) > self.fake.end {
            return Err(Refused(at));
        }
        Ok(())
    }
}

const LONG: CodeSize = CodeSize::Bits64;
const INSB: [u8; 1] = [0x6c];
const REP_INSB: [u8; 2] = [0xf3, 0x6c];
const OUTSB: [u8; 1] = [0x6e];
const REP_OUTSD: [u8; 2] = [0xf3, 0x6f];

#[test]
fn sizes_come_from_the_opcode_and_its_prefixes() {
    for (code, bytes, size) in [
        (LONG, &[0x6c][..], 1),
        (LONG, &[0x6d], 4),
        (LONG, &[0x66, 0x6d], 2),
        // There is no 64-bit port access.
        (LONG, &[0x48, 0x6d], 4),
        (CodeSize::Bits32, &[0x6d], 4),
        (CodeSize::Bits16, &[0x6d], 2),
        (CodeSize::Bits16, &[0x66, 0x6d], 4),
    ] {
        let mut machine = Ported::new(7);
        machine.fake.registers[Gpr::Rdi as usize] = 0x10;
        machine.fake.bases = [MEMORY - 0x10; 6];
        if code == LONG {
            machine.fake.registers[Gpr::Rdi as usize] = MEMORY;
        }
        assert_eq!(
            machine.step(code, bytes),
            Ok(Progress::Done),
            "{bytes:02x?}"
        );
        let mask = u64::MAX >> (64 - size * 8);
        assert_eq!(machine.fake.get(MEMORY, 8), 0xa1b2_c3d4 & mask);
        let [rcx, _, rdi] = machine.registers();
        assert_eq!((rcx, rdi & 0xf), (7, size), "RCX counts with REP only");
    }
}

#[test]
fn repeats_count_one_iteration_at_a_time() {
    let mut machine = Ported::new(3);
    machine
        .fake
        .put(MEMORY, &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
    for (progress, left) in [
        (Progress::Again, 2),
        (Progress::Again, 1),
        (Progress::Done, 0),
    ] {
        assert_eq!(machine.step(LONG, &REP_OUTSD), Ok(progress));
        let moved = (3 - left) * 4;
        assert_eq!(machine.registers(), [left, MEMORY + moved, MEMORY]);
    }
    assert_eq!(machine.taken, [(1, 4), (2, 4), (3, 4)]);
    assert_eq!(machine.step(LONG, &REP_OUTSD), Ok(Progress::Done));
    assert_eq!(machine.taken.len(), 3, "a count of zero does nothing");
    // REPNE repeats as well.
    let mut machine = Ported::new(2);
    assert_eq!(machine.step(LONG, &[0xf2, 0x6e]), Ok(Progress::Again));
}

#[test]
fn the_direction_flag_moves_down() {
    let mut machine = Ported::new(2);
    machine.fake.flags |= DF;
    machine.fake.registers[Gpr::Rdi as usize] = MEMORY + 8;
    machine.fake.registers[Gpr::Rsi as usize] = MEMORY + 8;
    assert_eq!(machine.step(LONG, &[0xf3, 0x66, 0x6d]), Ok(Progress::Again));
    assert_eq!(machine.step(LONG, &REP_OUTSD), Ok(Progress::Done));
    assert_eq!(machine.registers(), [0, MEMORY + 4, MEMORY + 6]);
}

#[test]
fn the_address_size_says_how_much_of_the_registers_counts() {
    // 16 bits: the upper parts stay, and the offset wraps at 64 KiB.
    let mut machine = Ported::new(0xdead_0002);
    machine.fake.bases = [MEMORY; 6];
    machine.fake.registers[Gpr::Rdi as usize] = 0xbeef_0001;
    machine.fake.flags |= DF;
    let code = CodeSize::Bits16;
    assert_eq!(machine.step(code, &REP_INSB), Ok(Progress::Again));
    assert_eq!(machine.step(code, &REP_INSB), Ok(Progress::Done));
    assert_eq!(machine.registers(), [0xdead_0000, MEMORY, 0xbeef_ffff]);
    assert_eq!(machine.step(code, &REP_INSB), Ok(Progress::Done));
    assert_eq!(machine.reads, 2);
    // 32 bits in 64-bit mode: the upper halves do not count, and are cleared.
    let mut machine = Ported::new(0x1_0000_0002);
    machine.fake.registers[Gpr::Rsi as usize] = 0x7_0000_0000 | MEMORY;
    assert_eq!(machine.step(LONG, &[0x67, 0xf3, 0x6e]), Ok(Progress::Again));
    assert_eq!(machine.registers(), [1, MEMORY + 1, MEMORY]);
}

#[test]
fn only_the_source_of_outs_has_an_override() {
    let mut machine = Ported::new(0);
    machine.fake.bases = [0x100, 0x200, 0x300, 0x400, 0x500, 0x600];
    machine.fake.registers[Gpr::Rsi as usize] = MEMORY - 0x200;
    machine.fake.registers[Gpr::Rdi as usize] = MEMORY;
    let code = CodeSize::Bits32;
    let mut touched = |code, bytes: &[u8]| {
        machine.fake.log.clear();
        assert_eq!(machine.step(code, bytes), Ok(Progress::Done));
        machine.fake.registers[Gpr::Rsi as usize] = MEMORY - 0x200;
        machine.fake.registers[Gpr::Rdi as usize] = MEMORY;
        machine.fake.log[0].1
    };
    assert_eq!(touched(code, &OUTSB), MEMORY + 0x200, "DS");
    assert_eq!(touched(code, &[0x2e, 0x6e]), MEMORY, "CS");
    assert_eq!(touched(code, &[0x36, 0x6e]), MEMORY + 0x100, "SS");
    assert_eq!(touched(code, &[0x65, 0x6e]), MEMORY + 0x400, "GS");
    assert_eq!(touched(LONG, &[0x64, 0x6e]), MEMORY + 0x300, "FS");
    assert_eq!(touched(code, &[0x65, 0x6c]), MEMORY + 0x100, "INS: ES");
    assert_eq!(touched(LONG, &[0x65, 0x6c]), MEMORY, "INS: no base");
}

#[test]
fn a_fault_comes_before_the_port_is_read() {
    let mut machine = Ported::new(2);
    machine.fake.end = MEMORY + 1;
    assert_eq!(machine.step(LONG, &REP_INSB), Ok(Progress::Again));
    let before = machine.registers();
    assert_eq!(machine.step(LONG, &REP_INSB), Err(Refused(MEMORY + 1)));
    assert_eq!((machine.registers(), machine.reads), (before, 1));
    let mut machine = Ported::new(2);
    machine.fake.end = MEMORY;
    assert_eq!(machine.step(LONG, &REP_OUTSD), Err(Refused(MEMORY)));
    assert_eq!(machine.registers(), [2, MEMORY, MEMORY]);
    assert_eq!(machine.taken, []);
}

#[test]
fn a_port_that_answers_later_changes_nothing() {
    let mut machine = Ported::new(2);
    machine.refuses = true;
    for bytes in [&INSB[..], &REP_INSB, &OUTSB, &REP_OUTSD] {
        assert_eq!(machine.step(LONG, bytes), Err(Refused(0)));
        assert_eq!(machine.registers(), [2, MEMORY, MEMORY]);
    }
    assert_eq!(machine.fake.get(MEMORY, 8), 0);
}

#[test]
fn others_are_refused() {
    let mut machine = Ported::new(2);
    assert_eq!(machine.step(LONG, &[0xf3, 0xa4]), Ok(Progress::Refused));
    assert_eq!(machine.registers(), [2, MEMORY, MEMORY]);
}
