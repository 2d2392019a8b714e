//! The entry point of the fuzzer: a guest that does anything, register by register and ring by ring.
//!
//! The bytes are a program: each operation takes what it needs from them. Besides single accesses there are operations that
//! do what an honest driver does, so that the fuzzer need not guess its way to a running queue. After every call into the
//! board its promises are checked: bounded work, no memory touched before a driver is ready, interrupts only where the
//! guest has enabled them, doorbells added and removed in pairs.

mod program;
mod seeds;
mod witness;

use alloc::boxed::Box;

use vmm_ram::fake::FakeRam;
use vmm_ram::{Gpa, GuestRam};
use vmm_virtio::TerminalSize;
use vmm_virtio::mock::{Buffer, DriverQueue, RawDescriptor};

use crate::{Access, Board, DoorbellId, Operation, Parts, Processors, Space, Width};
use program::Program;
pub use seeds::seeds;
use witness::Witness;

/// Bytes of RAM: small, so that random addresses hit what matters.
const RAM_BYTES: u64 = 1 << 20;
/// Devices with queues: slots 1 and 2.
const QUEUES: usize = 3;
/// Operations of a program.
const LONGEST: usize = 512;

/// Ports of the board, and some beside them.
const PORTS: [u16; 15] = [
    0x600, 0x602, 0x604, 0xcf8, 0xcfc, 0xcfe, 0x60, 0x64, 0x606, 0x3f8, 0x60c, 0x610, 0x614, 0x618,
    0x61c,
];

/// Runs the program in `data`; panics where the board breaks a promise.
pub fn fuzz_board(data: &[u8]) {
    let ram = FakeRam::new(RAM_BYTES);
    let parts = Parts {
        terminal: TerminalSize::default(),
        entropy: Box::new(|bytes| bytes.fill(0x5a)),
        processors: Processors {
            possible: 4,
            present: 2,
        },
    };
    let Ok(board) = Board::new(&ram, parts) else {
        unreachable!("the board is possible");
    };
    let mut run = Run {
        ram: &ram,
        board,
        witness: Witness::default(),
        queues: [const { None }; QUEUES],
    };
    let mut program = Program::new(data);
    for _ in 0..LONGEST {
        if program.is_done() {
            break;
        }
        run.step(&mut program);
    }
}

struct Run<'a> {
    ram: &'a FakeRam,
    board: Board<&'a FakeRam>,
    witness: Witness,
    queues: [Option<DriverQueue>; QUEUES],
}

impl Run<'_> {
    fn step(&mut self, program: &mut Program<'_>) {
        match program.byte() % 18 {
            0 => {
                let port = program.choose(&PORTS) + u16::from(program.byte() % 4);
                self.access(Space::Port, u64::from(port), program);
            }
            1 | 2 => {
                let address = config(program.byte(), u64::from(program.byte()));
                self.access(Space::Memory, address, program);
            }
            3..=5 => {
                let slot = program.byte();
                let region = u64::from(program.byte() % 8) << 12;
                let offset = u64::from(program.byte());
                let address = self.bar(slot) + region + offset;
                self.access(Space::Memory, address, program);
            }
            6 => {
                let address = program.word64();
                self.access(Space::Memory, address, program);
            }
            7 => self.start(program),
            8 => {
                let at = Gpa(u64::from(program.word32()) & (RAM_BYTES - 0x10));
                let _ = self.ram.write(at, &program.word64().to_le_bytes());
            }
            9 => self.offer(program),
            10 => self.offer_raw(program),
            11 => {
                let index = program.word16();
                if let Some(queue) = self.queue(program) {
                    let _ = match index & 0x8000 {
                        0 => queue.1.offer_head(queue.0, index & 0xff),
                        _ => queue.1.set_available_index(queue.0, index),
                    };
                }
            }
            12 | 13 => {
                let bell = DoorbellId(u16::from(program.byte() % 4));
                self.call(|board| board.notify(bell));
            }
            14 => {
                let bytes = [b'a'; 255];
                let bytes = bytes.get(..usize::from(program.byte())).unwrap_or_default();
                self.call(|board| board.console_input(bytes));
            }
            15 => {
                let mut bytes = [0; 512];
                self.call(|board| board.console_output(&mut bytes));
            }
            16 => self.call(|board| board.work()),
            _ => self.outside(program),
        }
    }

    /// Something of the owner's.
    fn outside(&mut self, program: &mut Program<'_>) {
        match program.byte() % 6 {
            0 => {
                self.call(|board| board.power_button());
            }
            4 => {
                let count = program.byte().into();
                self.call(|board| board.offer_processors(count));
            }
            5 => {
                let count = program.byte().into();
                self.call(|board| board.ask_back_processors(count));
            }
            1 => self.call(|board| {
                board.console_resize(TerminalSize {
                    columns: 1,
                    rows: 1,
                })
            }),
            2 => self.call(|board| assert!(board.reset().is_ok(), "a reset is possible")),
            _ => self.ram.zero(Gpa(0), RAM_BYTES).unwrap_or_default(),
        }
    }

    fn access(&mut self, space: Space, address: u64, program: &mut Program<'_>) {
        let how = program.byte();
        let width = program.choose_by(
            how >> 1,
            &[Width::Byte, Width::Word, Width::Dword, Width::Qword],
        );
        let operation = match how & 1 {
            0 => Operation::Read,
            _ => Operation::Write(program.word64()),
        };
        self.one(space, address, width, operation);
    }

    fn one(&mut self, space: Space, address: u64, width: Width, operation: Operation) -> u64 {
        let access = Access {
            space,
            address,
            width,
            operation,
        };
        let value = self.call(|board| board.access(access));
        assert_eq!(value, width.of(value), "a value is as wide as its access");
        value
    }

    /// Calls the board, and looks at what it did.
    fn call<T>(&mut self, call: impl FnOnce(&mut Board<&FakeRam>) -> T) -> T {
        self.witness.before(&self.board, self.ram);
        let result = call(&mut self.board);
        self.witness.after(&mut self.board, self.ram);
        result
    }

    fn bar(&mut self, slot: u8) -> u64 {
        let slot = slot % 3;
        let base = self.one(
            Space::Memory,
            config(slot, 0x10),
            Width::Dword,
            Operation::Read,
        );
        base & !0xf
    }

    fn write(&mut self, address: u64, width: Width, value: u64) {
        self.one(Space::Memory, address, width, Operation::Write(value));
    }

    /// An honest driver's start, in a few variants.
    fn start(&mut self, program: &mut Program<'_>) {
        let how = program.byte();
        let slot = 1 + (how & 1);
        self.write(config(slot, 4), Width::Word, 6);
        let bar = self.bar(slot);
        if how & 2 != 0 {
            for vector in 0..3 {
                let entry = bar + 0x4000 + vector * 16;
                self.write(entry, Width::Qword, 0xfee0_0000);
                self.write(entry + 8, Width::Qword, 0x30 + vector);
            }
            // MSI-X is the last capability of both.
            let control = if slot == 1 { 0x9a } else { 0x8a };
            self.write(config(slot, control), Width::Word, 0x8000);
        }
        self.write(bar + 0x14, Width::Byte, 0);
        self.write(bar + 0x14, Width::Byte, 3);
        self.write(bar + 0x08, Width::Dword, 1);
        self.write(bar + 0x0c, Width::Dword, 1);
        self.write(bar + 0x08, Width::Dword, 0);
        let features = if how & 4 == 0 { 3 << 28 } else { 0 };
        self.write(bar + 0x0c, Width::Dword, features);
        self.write(bar + 0x14, Width::Byte, 0xb);
        self.write(bar + 0x10, Width::Word, 0);
        let first = if slot == 1 { 0 } else { 2 };
        let count = if slot == 1 { 2 } else { 1 };
        for index in 0..count {
            let size = 1_u16 << (how >> 4).min(6);
            let base = 0x1000 + (first + index) * 0x4000;
            let queue = DriverQueue::new(Gpa(base), size);
            let _ = self.ram.zero(Gpa(base), 0x4000);
            self.write(bar + 0x16, Width::Word, index);
            self.write(bar + 0x18, Width::Word, u64::from(size));
            self.write(bar + 0x1a, Width::Word, index + 1);
            self.write(bar + 0x20, Width::Qword, queue.descriptors.0);
            self.write(bar + 0x28, Width::Qword, queue.available.0);
            self.write(bar + 0x30, Width::Qword, queue.used.0);
            self.write(bar + 0x1c, Width::Word, 1);
            if let Some(place) = self.queues.get_mut((first + index) as usize) {
                *place = Some(queue);
            }
        }
        self.write(bar + 0x14, Width::Byte, 0xf);
    }

    fn queue(&mut self, program: &mut Program<'_>) -> Option<(&FakeRam, &mut DriverQueue)> {
        let index = usize::from(program.byte()) % QUEUES;
        let queue = self.queues.get_mut(index)?.as_mut()?;
        Some((self.ram, queue))
    }

    /// Buffers as a driver would have them, directly or by a table.
    fn offer(&mut self, program: &mut Program<'_>) {
        let how = program.byte();
        let buffers = [(); 8].map(|()| {
            let at = u64::from(program.byte()) << 8;
            let bytes = u32::from(program.word16());
            (at, bytes)
        });
        let count = usize::from(how & 7) + 1;
        let readable = usize::from(how >> 3 & 7);
        let mut list = [Buffer::read(0, 0); 8];
        for (index, (entry, (at, bytes))) in list.iter_mut().zip(buffers).enumerate() {
            *entry = if index < readable {
                Buffer::read(at, bytes)
            } else {
                Buffer::write(at, bytes)
            };
        }
        let list = list.get(..count).unwrap_or_default();
        if let Some((ram, queue)) = self.queue(program) {
            let _ = match how & 0x80 {
                0 => queue.offer(ram, list),
                _ => queue.offer_indirect(ram, Gpa(0x8_0000), list),
            };
        }
    }

    fn offer_raw(&mut self, program: &mut Program<'_>) {
        let flags = program.byte();
        let descriptor = RawDescriptor {
            at: match flags & 0x10 {
                0 => Gpa(u64::from(program.word32()) % (2 * RAM_BYTES)),
                _ => Gpa(program.word64()),
            },
            bytes: program.word32(),
            flags: u16::from(flags & 0xf),
            next: u16::from(program.byte() % 80),
        };
        if let Some((ram, queue)) = self.queue(program) {
            let _ = queue.offer_raw(ram, descriptor);
        }
    }
}

/// The address of a register in configuration space.
fn config(slot: u8, offset: u64) -> u64 {
    crate::map::ECAM.start + (u64::from(slot % 4) << 15) + offset
}

#[cfg(test)]
mod tests;
