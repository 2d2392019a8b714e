//! Who is woken by what, and who must not be.

use super::*;
use crate::event_page::EventPort;
use crate::id::Vector;
use crate::local_apic::Trigger;
use crate::machine::InterruptRoute;
use crate::vcpu::{Direction, Exit, Gpr, PortAccess, PortForm};
use bulkhead_abi::host::PartitionState;

/// Arms the APIC timer with vector 0x40 to fire after `span`.
fn arm_timer(vcpu: &mut Scripted, span: u64) {
    for (msr, value) in [
        (0x1b, 0xfee0_0d00),
        (0x80f, 0x1ff),
        (0x832, 0x40),
        (0x83e, 0xb),
        (0x838, span),
    ] {
        vcpu.after(
            move |vcpu| {
                vcpu.set(Gpr::Rcx, msr);
                vcpu.set(Gpr::Rax, value);
                vcpu.set(Gpr::Rdx, 0);
            },
            Exit::MsrWrite,
        );
    }
}

fn input() -> Exit {
    Exit::Port(PortAccess {
        port: 0x2f8,
        size: 1,
        direction: Direction::Read,
        form: PortForm::Single,
    })
}

#[test]
fn a_halted_guest_wakes_when_its_timer_is_due() {
    let (_, _, mut cpu) = single();
    arm_timer(cpu.hw(0), 5000);
    cpu.hw(0).after(Scripted::enable_interrupts, Exit::Halt);
    cpu.settle();
    assert_eq!(cpu.readiness(0), Readiness::Waiting);
    assert!(
        (6000..6010).contains(&cpu.host.armed.0),
        "{:?}",
        cpu.host.armed
    );
    cpu.settle();
    assert!(cpu.hw(0).interrupts().is_empty());
    cpu.timer();
    cpu.pass();
    assert_eq!(cpu.hw(0).interrupts(), [0x40]);
    assert_eq!(cpu.readiness(0), Readiness::Ready);
}

#[test]
fn a_stopped_guest_is_not_entered_when_its_timer_fires() {
    let (_, partition, mut cpu) = single();
    arm_timer(cpu.hw(0), 5000);
    cpu.pass();
    partition.stop(PartitionState::Stopped);
    cpu.settle();
    let entries = cpu.hw(0).entries;
    cpu.timer();
    cpu.settle();
    assert_eq!(cpu.hw(0).entries, entries);
    assert_eq!(cpu.readiness(0), Readiness::Parked);
}

#[test]
fn a_guest_that_waits_for_an_answer_is_not_entered_when_its_timer_fires() {
    let mut world = World::new(1);
    world.manager(&[0]);
    let partition = world.guest(&[0]);
    let mut cpu = Cpu::new(&world, 0);
    start(&world, &partition, &mut cpu);
    cpu.pass();
    let frame = crate::addr::Hpa::new(crate::fakes::MANAGER_BASE);
    let page = world.memory.borrow_mut().share(frame).unwrap();
    partition.io.lock().requests = Some((page, EventPort::new(100).unwrap()));
    arm_timer(cpu.hw(0), 5000);
    cpu.hw(0).after(Scripted::enable_interrupts, input());
    cpu.settle();
    assert_eq!(cpu.readiness(0), Readiness::Waiting);
    let entries = cpu.hw(0).entries;
    cpu.timer();
    // And it does not keep the CPU from sleeping either.
    cpu.settle();
    cpu.settle();
    assert_eq!(cpu.hw(0).entries, entries);
    page[2].store(0x77, std::sync::atomic::Ordering::SeqCst);
    partition.vcpus[0].raise(crate::shared_vcpu::Hazard::IO_DONE);
    cpu.pass();
    assert_eq!(cpu.hw(0).get(Gpr::Rax) as u8, 0x77);
    assert_eq!(cpu.hw(0).interrupts(), [0x40], "after the answer");
}

#[test]
fn a_vcpu_that_waits_for_start_up_sleeps_through_interrupts_and_nmis() {
    let (_, partition, _, mut second) = pair();
    let _ = partition.vcpus[1].mailbox.post_nmi();
    let _ = partition.vcpus[1].mailbox.post(Vector(0x40), Trigger::Edge);
    second.settle();
    assert_eq!(second.hw(0).entries, 0);
    second.settle();
}

#[test]
fn interrupts_of_devices_reach_the_vcpu_they_are_bound_to() {
    let (world, partition, mut cpu) = single();
    for (msr, value) in [(0x1b, 0xfee0_0d00), (0x80f, 0x1ff)] {
        cpu.hw(0).after(
            move |vcpu| {
                vcpu.enable_interrupts();
                vcpu.set(Gpr::Rcx, msr);
                vcpu.set(Gpr::Rax, value);
                vcpu.set(Gpr::Rdx, 0);
            },
            Exit::MsrWrite,
        );
    }
    cpu.hw(0).then(Exit::Halt);
    cpu.settle();
    let route = InterruptRoute {
        vcpu: partition.vcpus[0].clone(),
        vector: Vector(0x61),
    };
    let vector = world.machine.bind(cpu.host.cpu, route).unwrap();
    cpu.host.raise(vector);
    // Vectors that nobody bound are nobody's.
    cpu.host.raise(Vector(vector.0 + 1));
    cpu.host.raise(Vector(0xff));
    cpu.pass();
    assert_eq!(cpu.hw(0).interrupts(), [0x61]);
}

#[test]
fn a_post_between_the_last_look_and_the_sleep_is_seen_on_the_next_pass() {
    let (_, partition, mut cpu) = single();
    arm_timer(cpu.hw(0), 5000);
    cpu.hw(0).after(Scripted::enable_interrupts, Exit::Halt);
    cpu.settle();
    // The poster's kick makes `idle` return at once; the pass after it must find the post.
    let _ = partition.vcpus[0].mailbox.post(Vector(0x99), Trigger::Edge);
    cpu.kicked();
    cpu.pass();
    assert_eq!(cpu.hw(0).interrupts(), [0x99]);
}

#[test]
fn a_timer_that_fires_between_the_look_and_the_entry_is_not_lost() {
    let (_, _, mut cpu) = single();
    arm_timer(cpu.hw(0), 5000);
    cpu.hw(0).after(Scripted::enable_interrupts, Exit::Cpuid);
    cpu.pass();
    let entries = cpu.hw(0).entries;
    cpu.host.clock.set(cpu.host.armed.0);
    cpu.host.while_flushing.push(TIMER_VECTOR);
    cpu.pass();
    assert_eq!(cpu.hw(0).entries, entries, "entered with a vector waiting");
    cpu.pass();
    assert_eq!(cpu.hw(0).interrupts(), [0x40]);
}

#[test]
fn a_timer_with_a_tiny_period_does_not_starve_the_other_guests_of_its_cpu() {
    let (_, _, mut cpu) = single();
    // Periodic, vector 0x40, every second tick.
    for (msr, value) in [
        (0x1b, 0xfee0_0d00),
        (0x80f, 0x1ff),
        (0x832, 1 << 17 | 0x40),
        (0x83e, 0),
        (0x838, 1),
    ] {
        cpu.hw(0).after(
            move |vcpu| {
                vcpu.set(Gpr::Rcx, msr);
                vcpu.set(Gpr::Rax, value);
                vcpu.set(Gpr::Rdx, 0);
            },
            Exit::MsrWrite,
        );
    }
    cpu.pass();
    for _ in 0..5 {
        cpu.timer();
        let now = cpu.host.clock.get();
        cpu.pass();
        assert!(
            cpu.host.armed.0 >= now + SLICE.0 / 256,
            "{:?}",
            cpu.host.armed
        );
    }
}

#[test]
fn the_boards_timer_interrupts_a_guest_through_the_8259() {
    let (_, _, mut cpu) = single();
    let write = |port: u16, value: u64, vcpu: &mut Scripted| {
        let access = PortAccess {
            port,
            size: 1,
            direction: Direction::Write,
            form: PortForm::Single,
        };
        vcpu.after(
            move |vcpu| {
                vcpu.enable_interrupts();
                vcpu.set(Gpr::Rax, value);
            },
            Exit::Port(access),
        );
    };
    // The 8259A at vectors 0x20 and up with only line 0 open, then the 8254's counter 0 as a rate generator.
    for (port, value) in [
        (0x20, 0x11),
        (0x21, 0x20),
        (0x21, 4),
        (0x21, 1),
        (0x21, 0xfe),
    ] {
        write(port, value, cpu.hw(0));
    }
    for (port, value) in [(0x43, 0x34), (0x40, 0x00), (0x40, 0x10)] {
        write(port, value, cpu.hw(0));
    }
    cpu.hw(0).then(Exit::Halt);
    cpu.settle();
    for _ in 0..3 {
        cpu.timer();
        write(0x20, 0x20, cpu.hw(0));
        cpu.hw(0).then(Exit::Halt);
        cpu.settle();
    }
    assert_eq!(cpu.hw(0).interrupts(), [0x20, 0x20, 0x20]);
}

#[test]
fn the_console_is_written_when_a_guest_has_printed_a_line() {
    let (_, _, mut cpu) = single();
    for byte in *b"hi\n" {
        let access = PortAccess {
            port: bulkhead_abi::DEBUG_PORT,
            size: 1,
            direction: Direction::Write,
            form: PortForm::Single,
        };
        cpu.hw(0).after(
            move |vcpu| vcpu.set(Gpr::Rax, u64::from(byte)),
            Exit::Port(access),
        );
    }
    cpu.pass();
    assert_eq!(cpu.host.lines, [(String::from("p0"), String::from("hi"))]);
    let flushes = cpu.host.flushes;
    cpu.pass();
    assert_eq!(cpu.host.flushes, flushes + 1);
}
