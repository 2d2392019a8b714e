//! CPUs that deliver interrupts by themselves: the state goes to them and comes back, and nothing is lost on the way.

use crate::exit::Leave;
use crate::fakes::{Bench, Queued};
use crate::id::Vector;
use crate::interrupt_delivery::HeldInterrupts;
use crate::local_apic::{Trigger, VectorBits};
use crate::time::Instant;
use crate::vcpu::{Direction, Exit, Watch};
use crate::vcpu_record::{Activity, Work};

fn ready() -> Bench {
    let mut bench = Bench::guest();
    bench.vcpu.hw.delivers = true;
    bench.enable_x2apic();
    bench.run();
    bench
}

fn post(bench: &Bench, vector: u8, trigger: Trigger) {
    let _ = bench.vcpu.shared.mailbox.post(Vector(vector), trigger);
}

fn set(vectors: &[u8]) -> VectorBits {
    vectors.iter().copied().map(Vector).collect()
}

fn held(bench: &Bench) -> HeldInterrupts {
    bench.vcpu.hw.lent.expect("the CPU holds the interrupts")
}

/// The guest ends the interrupt in service, with an exit where the CPU is asked for it.
fn end(bench: &mut Bench) -> Leave {
    let vector = Vector(held(bench).in_service.highest());
    let exit = if bench.vcpu.hw.watched.contains(vector) {
        Exit::EndOfInterrupt(vector)
    } else {
        Exit::Interrupt
    };
    bench.vcpu.hw.after(|hw| hw.end_of_interrupt(), exit);
    bench.run()
}

#[test]
fn only_an_enabled_apic_in_x2apic_mode_is_lent() {
    let mut bench = Bench::guest();
    bench.vcpu.hw.delivers = true;
    bench.vcpu.hw.enable_interrupts();
    bench.vcpu.work |= Work::EVENT;
    bench.run();
    assert_eq!(bench.vcpu.hw.lent, None, "it is in xAPIC mode");
    bench.enable_x2apic();
    bench.run();
    assert_eq!(held(&bench), HeldInterrupts::default());
    // Disabled by software.
    post(&bench, 0x41, Trigger::Edge);
    bench.vcpu.hw.disable_interrupts();
    bench.run();
    let _ = bench.wrmsr(0x80f, 0xff);
    assert_eq!(bench.vcpu.hw.lent, None);
    bench.vcpu.hw.enable_interrupts();
    bench.run();
    assert!(bench.vcpu.hw.interrupts().is_empty());
    let _ = bench.wrmsr(0x80f, 0x1ff);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x41], "it waited");
    // Disabled as a whole.
    let _ = bench.wrmsr(0x1b, 0xfee0_0100);
    assert_eq!(bench.vcpu.hw.lent, None);
}

#[test]
fn what_arrives_is_requested_of_the_cpu_and_nothing_is_injected() {
    let mut bench = ready();
    post(&bench, 0x41, Trigger::Edge);
    post(&bench, 0x82, Trigger::Edge);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x82]);
    assert_eq!(held(&bench).requested, set(&[0x41]));
    assert_eq!(bench.vcpu.hw.window, Watch::Off);
    end(&mut bench);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x82, 0x41]);
    end(&mut bench);
    assert_eq!(held(&bench), HeldInterrupts::default());
}

#[test]
fn a_halt_ends_by_what_the_cpu_can_deliver_and_by_nothing_else() {
    let mut bench = ready();
    bench.vcpu.hw.then(Exit::Halt);
    assert_eq!(bench.run(), Leave::Halted);
    bench.vcpu.hw.lent.as_mut().unwrap().task_priority = 0x50;
    post(&bench, 0x4f, Trigger::Edge);
    assert!(bench.vcpu.should_wake());
    assert_eq!(bench.run(), Leave::Halted, "the task priority is higher");
    assert!(!bench.vcpu.should_wake());
    bench.vcpu.hw.disable_interrupts();
    post(&bench, 0x61, Trigger::Edge);
    assert_eq!(bench.run(), Leave::Halted, "interrupts are off");
    bench.vcpu.hw.enable_interrupts();
    post(&bench, 0x62, Trigger::Edge);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.activity, Activity::Running);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x62]);
    assert_eq!(held(&bench).requested, set(&[0x4f, 0x61]));
}

#[test]
fn a_halt_that_follows_what_is_pending_ends_at_once() {
    let mut bench = ready();
    // The guest sends it to itself and halts in the shadow of STI.
    bench.vcpu.hw.after(
        |hw| {
            hw.lent.as_mut().unwrap().requested.insert(Vector(0x71));
        },
        Exit::Halt,
    );
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x71]);
}

#[test]
fn an_interrupt_between_sti_and_hlt_does_not_leave_the_guest_asleep() {
    let mut bench = ready();
    bench.code(0x1000, &[0xf4, 0x90]);
    bench.vcpu.hw.shadow = true;
    post(&bench, 0x61, Trigger::Edge);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x61]);
    assert_eq!(bench.vcpu.hw.rip, 0x1001, "the HLT is over");
}

#[test]
fn a_timer_that_fires_while_the_state_is_lent_comes() {
    let mut bench = ready();
    let _ = bench.wrmsr(0x832, 0x55);
    let _ = bench.wrmsr(0x838, 100);
    let deadline = bench.vcpu.apic.deadline();
    assert!(deadline < Instant::NEVER);
    bench.vcpu.apic.expire(deadline);
    bench.vcpu.work |= Work::EVENT;
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x55]);
}

#[test]
fn the_end_of_a_level_interrupt_reaches_the_ioapic() {
    use crate::level::Level::{High, Low};
    let mut bench = ready();
    let partition = bench.partition.clone();
    for (offset, value) in [(0, 0x10 + 40), (0x10, 0x8071), (0, 0x10 + 41), (0x10, 0)] {
        let _ = partition.devices.lock().ioapic_access(
            offset,
            Direction::Write,
            value,
            &partition,
            &bench.host,
        );
    }
    super::interrupts::line(&mut bench, 20, High);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x71]);
    assert_eq!(bench.vcpu.hw.watched, set(&[0x71]));
    assert_eq!(end(&mut bench), Leave::Yield, "the line is still high");
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x71, 0x71]);
    super::interrupts::line(&mut bench, 20, Low);
    end(&mut bench);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x71, 0x71]);
}

#[test]
fn an_edge_at_a_vector_that_was_a_level_is_watched_no_more() {
    let mut bench = ready();
    for (trigger, watched) in [
        (Trigger::Level, set(&[0x71])),
        (Trigger::Edge, VectorBits::EMPTY),
    ] {
        post(&bench, 0x71, trigger);
        bench.run();
        assert_eq!(bench.vcpu.hw.watched, watched);
        end(&mut bench);
    }
}

#[test]
fn an_illegal_self_ipi_is_an_error_of_the_apic() {
    let mut bench = ready();
    bench.vcpu.hw.then(Exit::SelfIpi(Vector(3)));
    bench.run();
    let _ = bench.wrmsr(0x828, 0);
    assert_eq!(bench.rdmsr(0x828), 0x60, "sent and received");
}

#[test]
fn reads_that_exit_show_what_the_cpu_holds() {
    let mut bench = ready();
    post(&bench, 0x44, Trigger::Level);
    bench.run();
    bench.vcpu.hw.lent.as_mut().unwrap().task_priority = 0x23;
    post(&bench, 0x21, Trigger::Edge);
    bench.run();
    let register = |bench: &mut Bench, msr| {
        let value = bench.rdmsr(msr);
        bench.run();
        value
    };
    assert_eq!(register(&mut bench, 0x808), 0x23);
    assert_eq!(register(&mut bench, 0x80a), 0x40);
    assert_eq!(register(&mut bench, 0x812), 1 << 4);
    assert_eq!(register(&mut bench, 0x821), 1 << 1);
    assert_eq!(register(&mut bench, 0x81a), 1 << 4);
    // And the CPU has it again.
    assert_eq!(held(&bench).task_priority, 0x23);
    assert_eq!(held(&bench).requested, set(&[0x21]));
    assert_eq!(held(&bench).in_service, set(&[0x44]));
    // What has nothing to do with it leaves it where it is.
    let _ = bench.wrmsr(0x838, 0);
    assert_eq!(held(&bench).in_service, set(&[0x44]));
    let _ = bench.wrmsr(0x808, 0x10);
    bench.run();
    assert_eq!(held(&bench).task_priority, 0x10);
}

#[test]
fn init_and_reset_leave_nothing_with_the_cpu() {
    let mut bench = ready();
    post(&bench, 0x44, Trigger::Edge);
    bench.run();
    let _ = bench.vcpu.shared.mailbox.post_init();
    bench.run();
    assert_eq!(bench.vcpu.hw.lent, None);
    assert_eq!(bench.vcpu.apic.highest_pending(), None);
    assert!(!bench.vcpu.apic.is_lent());
    let mut bench = ready();
    post(&bench, 0x44, Trigger::Edge);
    bench.run();
    bench.vcpu.reset();
    assert_eq!(bench.vcpu.hw.lent, None);
    assert_eq!(bench.vcpu.apic.save(Instant(0)).isr, VectorBits::EMPTY);
}

#[test]
fn an_nmi_comes_before_what_the_cpu_delivers() {
    let mut bench = ready();
    post(&bench, 0x61, Trigger::Edge);
    let _ = bench.vcpu.shared.mailbox.post_nmi();
    bench.run();
    assert_eq!(
        bench.vcpu.hw.delivered,
        [Queued::Nmi, Queued::Interrupt(0x61)]
    );
}

#[test]
fn what_arrives_beside_an_interrupt_of_the_8259_is_not_forgotten() {
    use crate::level::Level::High;
    let mut bench = super::interrupts::with_pic();
    bench.vcpu.hw.delivers = true;
    let _ = bench.wrmsr(0x1b, 0xfee0_0d00);
    bench.vcpu.hw.enable_interrupts();
    bench.run();
    assert_eq!(held(&bench), HeldInterrupts::default());
    super::interrupts::line(&mut bench, 4, High);
    post(&bench, 0x61, Trigger::Edge);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x24, 0x61]);
}

/// What a guest can do that has to do with its interrupts.
fn act(bench: &mut Bench, action: u64, vector: u8) {
    match action {
        0..=3 => post(bench, vector, Trigger::Edge),
        4 => post(bench, vector, Trigger::Level),
        5 => bench.vcpu.hw.disable_interrupts(),
        6 | 7 => bench.vcpu.hw.enable_interrupts(),
        8 => {
            let priority = u64::from(vector & 0x3f);
            let _ = bench.wrmsr(0x808, priority);
        }
        9 => {
            let _ = bench.rdmsr(0x820 + u32::from(vector >> 5));
        }
        10 => {
            let _ = bench.wrmsr(0x83f, u64::from(vector));
        }
        _ if bench
            .vcpu
            .hw
            .lent
            .is_some_and(|held| held.in_service.highest() != 0) =>
        {
            let _ = end(bench);
        }
        _ => {
            let _ = bench.wrmsr(0x80b, 0);
        }
    }
    bench.run();
    bench.run();
}

#[test]
fn a_guest_gets_the_same_interrupts_whoever_delivers_them() {
    let mut random = 7_u64;
    for _ in 0..crate::fakes::fuzz_rounds(60) {
        let mut benches = [ready(), ready()];
        benches[1].vcpu.hw.delivers = false;
        benches[1].vcpu.reclaim();
        for step in 0..200 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let (action, vector) = (random >> 33 & 15, (random >> 50) as u8 | 16);
            let [found, expected] = benches.each_mut().map(|bench| {
                act(bench, action, vector);
                bench.vcpu.hw.interrupts()
            });
            assert_eq!(found, expected, "step {step}: {action} {vector:#x}");
        }
        let [found, expected] = benches.each_mut().map(|bench| {
            bench.vcpu.reclaim();
            bench.vcpu.apic.save(Instant(0))
        });
        assert_eq!(found, expected);
    }
}
