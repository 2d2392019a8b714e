//! A fake vCPU with 4 KiB of memory.

use super::super::*;
use super::STATUS;
use crate::addr::Gva;

/// Where the fake memory starts.
pub(super) const MEMORY: u64 = 0x1_0000;

/// An access failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Refused(pub(super) u64);

#[derive(Clone)]
pub(super) struct Fake {
    pub(super) registers: [u64; 16],
    pub(super) flags: u64,
    pub(super) rip: u64,
    pub(super) bases: [u64; 6],
    pub(super) stack: Width,
    pub(super) memory: Vec<u8>,
    /// The first address at which accesses fail.
    pub(super) end: u64,
    pub(super) log: Vec<(char, u64, u8)>,
}

impl Fake {
    pub(super) fn new() -> Self {
        Self {
            registers: [0; 16],
            flags: 2,
            rip: 0x40_0000,
            bases: [0; 6],
            stack: Width::Qword,
            memory: vec![0; 0x1000],
            end: MEMORY + 0x1000,
            log: Vec::new(),
        }
    }

    pub(super) fn put(&mut self, address: u64, bytes: &[u8]) {
        let start = (address - MEMORY) as usize;
        self.memory[start..start + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn get(&self, address: u64, bytes: usize) -> u64 {
        let start = (address - MEMORY) as usize;
        let mut value = [0; 8];
        value[..bytes].copy_from_slice(&self.memory[start..start + bytes]);
        u64::from_le_bytes(value)
    }

    pub(super) fn set(mut self, register: Gpr, value: u64) -> Self {
        self.registers[register as usize] = value;
        self
    }

    pub(super) fn run(&mut self, code: CodeSize, bytes: &[u8]) -> Result<Progress, Refused> {
        let instruction = decode(bytes, code).unwrap();
        assert_eq!(usize::from(instruction.length), bytes.len(), "{bytes:02x?}");
        emulate(&instruction, self, 100)
    }

    pub(super) fn done(&mut self, bytes: &[u8]) {
        assert_eq!(self.run(CodeSize::Bits64, bytes), Ok(Progress::Done));
    }
}

impl Machine for Fake {
    type Error = Refused;

    fn register(&self, register: Gpr) -> u64 {
        self.registers[register as usize]
    }

    fn set_register(&mut self, register: Gpr, value: u64) {
        self.registers[register as usize] = value;
    }

    fn rip(&self) -> u64 {
        self.rip
    }

    fn flags(&self) -> u64 {
        self.flags
    }

    fn set_flags(&mut self, flags: u64) {
        assert_eq!(
            (flags ^ self.flags) & !STATUS,
            0,
            "only status flags change"
        );
        self.flags = flags;
    }

    fn segment_base(&self, segment: Segment) -> u64 {
        self.bases[segment as usize]
    }

    fn stack_width(&self) -> Width {
        self.stack
    }

    fn read(&mut self, address: Gva, width: Width) -> Result<u64, Refused> {
        let (at, bytes) = (address.as_u64(), width.bytes());
        if at < MEMORY || at.saturating_add(u64::from(bytes)) > self.end {
            return Err(Refused(at));
        }
        self.log.push(('r', at, bytes));
        Ok(self.get(at, usize::from(bytes)))
    }

    fn write(&mut self, address: Gva, width: Width, value: u64) -> Result<(), Refused> {
        let (at, bytes) = (address.as_u64(), width.bytes());
        if at < MEMORY || at.saturating_add(u64::from(bytes)) > self.end {
            return Err(Refused(at));
        }
        assert_eq!(value & !width.mask(), 0, "values are masked");
        self.log.push(('w', at, bytes));
        self.put(at, &value.to_le_bytes()[..usize::from(bytes)]);
        Ok(())
    }
}
