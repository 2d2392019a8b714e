//! Random exits with random registers and memory: no panic, no unbounded loop, and the fakes' own checks.
//!
//! `BULKHEAD_FUZZ=50000000 cargo test --release -p bulkhead-core random_exits` runs longer, with as many exits.

use crate::addr::Gpa;
use crate::exit::Leave;
use crate::fakes::{Bench, Lengths, fuzz_rounds};
use crate::fault::Exception;
use crate::id::Vector;
use crate::lifecycle;
use crate::local_apic::Trigger;
use crate::paging::fakes::Random;
use crate::shared_vcpu::Hazard;
use crate::vcpu::{Access, Direction, Exit, Gpr, NestedFault, PortAccess, PortForm};

fn address(random: &mut Random) -> u64 {
    match random.below(7) {
        0 => 0xfee0_0000 + random.below(0x1000),
        1 => 0xfec0_0000 + random.below(0x1000),
        2 => 0xfd00_0000 + random.below(0x2000),
        3 => random.below(0x40_2000),
        4 => u64::MAX - random.below(0x2000),
        5 => 1 << random.below(64),
        _ => random.next(),
    }
}

fn exit(random: &mut Random) -> Exit {
    let direction = if random.below(2) == 0 {
        Direction::Read
    } else {
        Direction::Write
    };
    match random.below(24) {
        0 => Exit::Window,
        1 => Exit::Cpuid,
        2 => Exit::Halt,
        3 => Exit::Hypercall,
        4 | 5 => Exit::MsrRead,
        6 | 7 => Exit::MsrWrite,
        8..=11 => Exit::Port(PortAccess {
            port: match random.below(4) {
                0 => random.below(0x100) as u16,
                1 => 0x600 + random.below(16) as u16,
                _ => random.next() as u16,
            },
            size: 1 << random.below(3),
            direction,
            form: if random.below(4) == 0 {
                PortForm::String
            } else {
                PortForm::Single
            },
        }),
        12..=17 => Exit::NestedFault(NestedFault {
            gpa: Gpa::new(address(random)),
            access: [Access::Read, Access::Write, Access::Fetch][random.below(3) as usize],
            in_walk: random.below(16) == 0,
        }),
        18 => Exit::Exception(Exception {
            vector: random.below(32) as u8,
            error_code: (random.below(2) == 0).then(|| random.next() as u32),
        }),
        19 => Exit::ControlWrite,
        20 => Exit::XSetBv,
        21 => Exit::CacheFlush,
        22 => [Exit::Undefined, Exit::PerformanceCounter][random.below(2) as usize],
        _ => [
            Exit::TripleFault,
            Exit::InvalidState,
            Exit::Unknown,
            Exit::MachineCheck,
        ][random.below(4) as usize],
    }
}

fn msr(random: &mut Random) -> u64 {
    match random.below(6) {
        0 => 0x800 + random.below(0x40),
        1 => random.below(0x700),
        2 => 0xc000_0080 + random.below(8),
        3 => 0xc001_0000 + random.below(0x200),
        4 => [0x10, 0x1b, 0x6e0, 0x832, 0x838, 0x830, 0x83f, 0x80b][random.below(8) as usize],
        _ => random.next(),
    }
}

/// Registers as a guest could have them; the code of the next instruction.
fn stir(bench: &mut Bench, random: &mut Random) {
    for register in Gpr::ALL {
        let value = match random.below(3) {
            0 => address(random),
            1 => random.below(0x200),
            _ => random.next(),
        };
        bench.vcpu.hw.set(register, value);
    }
    if random.below(2) == 0 {
        bench.vcpu.hw.set(Gpr::Rcx, msr(random));
    }
    let mut code = [(); 16].map(|()| random.next() as u8);
    // Instructions that are likely to be emulated, behind a random prefix.
    const LIKELY: [&[u8]; 12] = [
        &[0x89, 0x03],
        &[0x8b, 0x03],
        &[0x83, 0x0b, 0x10],
        &[0xa4],
        &[0xf3, 0xa4],
        &[0x87, 0x03],
        &[0x0f, 0xb1, 0x0b],
        &[0xff, 0x33],
        &[0x6c],
        &[0xf3, 0x6e],
        &[0x0f, 0x22, 0xe0],
        &[0x44, 0x0f, 0x22, 0xc0],
    ];
    if random.below(4) != 0 {
        let likely = LIKELY[random.below(12) as usize];
        let start = random.below(2) as usize;
        code[start..start + likely.len()].copy_from_slice(likely);
        code[0] = if start == 0 {
            code[0]
        } else {
            [0x66, 0x67, 0x48, 0xf0, 0xf2][random.below(5) as usize]
        };
    }
    let at = 0x10_0000 + random.below(0x1000);
    bench.code(at, &code);
    let hw = &mut bench.vcpu.hw;
    match random.below(64) {
        0 => hw.rip = address(random),
        1 => hw.system.cr3 = address(random),
        2 => hw.system.cs_base = address(random),
        3 => hw.system.code_64 = !hw.system.code_64,
        4 => hw.system.cr0 ^= 1 << 31,
        5 => hw.system.cpl = 3,
        6 => hw.system.rflags = random.next() | 2,
        7 => hw.shadow = true,
        8 => hw.cr8 = random.below(16) as u8,
        9 => hw.lengths = Lengths::Unknown,
        10 => hw.lengths = Lengths::Reported(1 + random.below(15) as u8),
        _ => {}
    }
}

/// What other CPUs and management do meanwhile.
fn disturb(bench: &mut Bench, random: &mut Random) {
    let shared = bench.vcpu.shared.clone();
    match random.below(24) {
        0 => drop(
            shared
                .mailbox
                .post(Vector(random.next() as u8), Trigger::Edge),
        ),
        1 => drop(
            shared
                .mailbox
                .post(Vector(random.next() as u8), Trigger::Level),
        ),
        2 => drop(shared.mailbox.post_nmi()),
        3 => drop(shared.mailbox.post_ext_int()),
        4 => shared.raise(Hazard::FLUSH | Hazard::DOORBELLS),
        5 => shared.raise(Hazard::IO_LOST),
        6 => drop(shared.mailbox.post_init()),
        7 => drop(shared.mailbox.post_startup(random.next() as u8)),
        8 => {
            let now = crate::host::Host::now(&bench.host);
            bench.vcpu.apic.expire(now);
        }
        9 => bench.host.advance(random.next() >> (20 + random.below(44))),
        10 => {
            let partition = bench.partition.clone();
            let woken = partition.devices.lock().expire(&partition, &mut bench.host);
            let _ = woken;
        }
        _ => {}
    }
}

fn fuzz(mut bench: Bench, seed: u64, rounds: u64) -> [u64; 6] {
    let mut random = Random(seed);
    let mut leaves = [0; 6];
    for _ in 0..rounds {
        stir(&mut bench, &mut random);
        disturb(&mut bench, &mut random);
        let exit = exit(&mut random);
        if exit == Exit::Hypercall {
            // Mostly the ones that a guest may use; its own tests have the rest.
            let number = random.below(4);
            bench.vcpu.hw.set(Gpr::Rax, number);
        }
        bench.vcpu.hw.then(exit);
        let before = bench.vcpu.hw.entries;
        let leave = bench.run();
        assert!(bench.vcpu.hw.entries - before < 8, "{exit:?} loops");
        leaves[leave as usize] += 1;
        match leave {
            Leave::Interrupted | Leave::Yield | Leave::Halted => {}
            Leave::WaitIo => bench.vcpu.shared.raise(Hazard::IO_DONE),
            Leave::Paused => assert!(bench.partition.is_settled() && bench.partition.resume()),
            Leave::Stopped => {
                // As the run loop does it.
                let duty = std::mem::replace(&mut bench.vcpu.duty, crate::vcpu_record::Duty::Off);
                assert_ne!(duty, crate::vcpu_record::Duty::Off);
                assert!(bench.partition.retire_vcpu());
                bench.partition.rest();
                bench.vcpu.hw.script.clear();
                let _ = lifecycle::start(&bench.partition, &mut bench.host).unwrap();
            }
        }
        if leave == Leave::Halted {
            let _ = bench.vcpu.shared.mailbox.post_init();
            let _ = bench.vcpu.shared.mailbox.post_startup(0x10);
        }
        if random.below(64) == 0 {
            let _ = bench.partition.pause();
        }
        if random.below(64) == 0 {
            bench.host.take_kicks();
            bench.host.asked.clear();
            bench.host.lines.clear();
            bench.host.reports.clear();
            bench.vcpu.hw.script.clear();
            bench.vcpu.hw.completed.clear();
            bench.vcpu.hw.delivered.clear();
            bench.vcpu.hw.resets.clear();
            bench.cpu.refreshes.clear();
            bench
                .partition
                .stop(bulkhead_abi::host::PartitionState::Stopped);
        }
    }
    leaves
}

#[test]
fn random_exits_of_a_served_guest_are_survived() {
    let mut bench = Bench::managed(&[0]);
    bench.serve();
    let leaves = fuzz(bench, 3, fuzz_rounds(6_000));
    for leave in [
        Leave::Interrupted,
        Leave::Halted,
        Leave::WaitIo,
        Leave::Paused,
        Leave::Stopped,
    ] {
        assert!(leaves[leave as usize] > 10, "{leave:?}: {leaves:?}");
    }
}

#[test]
fn random_exits_of_a_lone_guest_are_survived() {
    let leaves = fuzz(Bench::guest(), 4, fuzz_rounds(3_000));
    assert!(leaves[Leave::Stopped as usize] > 10, "{leaves:?}");
}
