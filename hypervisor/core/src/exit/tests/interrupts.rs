//! Delivery: windows, priorities, NMI, and the 8259A.

use crate::exit::Leave;
use crate::fakes::{Bench, Queued};
use crate::id::Vector;
use crate::local_apic::Trigger;
use crate::vcpu::{Direction, Exit, Gpr, PortAccess, PortForm, Watch};
use crate::vcpu_record::Work;

fn post(bench: &Bench, vector: u8) {
    let _ = bench
        .vcpu
        .shared
        .mailbox
        .post(Vector(vector), Trigger::Edge);
}

fn ready() -> Bench {
    let mut bench = Bench::guest();
    bench.enable_x2apic();
    bench
}

#[test]
fn an_interrupt_waits_for_the_window_and_then_comes() {
    let mut bench = ready();
    bench.vcpu.hw.disable_interrupts();
    post(&bench, 0x61);
    bench.run();
    assert_eq!(bench.vcpu.hw.window, Watch::On);
    assert!(bench.vcpu.hw.interrupts().is_empty());
    bench.vcpu.hw.enable_interrupts();
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x61]);
    assert_eq!(bench.vcpu.hw.window, Watch::Off);
}

#[test]
fn no_interrupt_comes_in_a_shadow() {
    let mut bench = ready();
    bench.vcpu.hw.shadow = true;
    post(&bench, 0x61);
    bench.vcpu.hw.then(Exit::Undefined);
    bench.run();
    // One instruction later.
    assert_eq!(
        bench.vcpu.hw.delivered.last(),
        Some(&Queued::Interrupt(0x61))
    );
}

#[test]
fn an_interrupt_between_sti_and_hlt_does_not_leave_the_guest_asleep() {
    let mut bench = ready();
    bench.code(0x1000, &[0xf4, 0x90]);
    bench.vcpu.hw.shadow = true;
    post(&bench, 0x61);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x61]);
    assert_eq!(bench.vcpu.hw.rip, 0x1001, "the HLT is over");
}

#[test]
fn the_higher_vector_comes_first_and_the_lower_after_its_end() {
    let mut bench = ready();
    post(&bench, 0x41);
    post(&bench, 0x82);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x82]);
    let _ = bench.wrmsr(0x80b, 0);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x82, 0x41]);
}

#[test]
fn an_interrupt_below_the_task_priority_waits_until_cr8_falls() {
    let mut bench = ready();
    // The guest writes CR8 without an exit.
    bench.vcpu.hw.cr8 = 7;
    post(&bench, 0x75);
    bench.run();
    assert!(bench.vcpu.hw.interrupts().is_empty());
    assert_eq!(bench.vcpu.hw.cr8_watch, Watch::On);
    bench.code(0x10_0000, &[0x44, 0x0f, 0x22, 0xc0]);
    bench.vcpu.hw.set(Gpr::Rax, 6);
    bench.vcpu.hw.then(Exit::ControlWrite);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x75]);
    let _ = bench.wrmsr(0x80b, 0);
    post(&bench, 0x76);
    bench.run();
    let _ = bench.wrmsr(0x80b, 0);
    bench.vcpu.work |= Work::EVENT;
    bench.run();
    assert_eq!(
        bench.vcpu.hw.cr8_watch,
        Watch::Off,
        "nothing waits any more"
    );
}

#[test]
fn a_self_ipi_goes_straight_in_where_nothing_is_in_its_way() {
    let mut bench = ready();
    let _ = bench.wrmsr(0x83f, 0x91);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x91]);
    let _ = bench.wrmsr(0x83f, 0x92);
    assert_eq!(
        bench.vcpu.hw.interrupts(),
        [0x91],
        "the same class is in service"
    );
    let _ = bench.wrmsr(0x83f, 0xa1);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x91, 0xa1]);
    bench.vcpu.hw.cr8 = 0xc;
    let _ = bench.wrmsr(0x83f, 0xb1);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x91, 0xa1], "CR8 counts");
}

#[test]
fn an_nmi_comes_before_interrupts_and_they_come_after_it() {
    let mut bench = ready();
    post(&bench, 0x61);
    let _ = bench.vcpu.shared.mailbox.post_nmi();
    bench.run();
    assert_eq!(
        bench.vcpu.hw.delivered,
        [Queued::Nmi, Queued::Interrupt(0x61)]
    );
    assert!(bench.vcpu.work.is_empty());
}

#[test]
fn an_nmi_in_a_shadow_with_interrupts_off_comes_at_the_next_exit() {
    let mut bench = ready();
    bench.vcpu.hw.disable_interrupts();
    bench.vcpu.hw.shadow = true;
    let _ = bench.vcpu.shared.mailbox.post_nmi();
    bench.vcpu.hw.then(Exit::CacheFlush);
    bench.run();
    assert_eq!(bench.vcpu.hw.delivered, [Queued::Nmi]);
}

#[test]
fn what_is_queued_already_is_not_replaced() {
    let mut bench = ready();
    post(&bench, 0x61);
    // The exit interrupted a delivery, which the backend has queued again.
    bench.vcpu.hw.after(
        |hw| hw.queued = Some(Queued::Interrupt(0x99)),
        Exit::CacheFlush,
    );
    bench.vcpu.hw.disable_interrupts();
    bench.run();
    bench.vcpu.hw.enable_interrupts();
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x99, 0x61]);
}

fn write_port(bench: &mut Bench, port: u16, value: u64) {
    let access = PortAccess {
        port,
        size: 1,
        direction: Direction::Write,
        form: PortForm::Single,
    };
    bench.exit(&[(Gpr::Rax, value)], Exit::Port(access));
}

/// The 8259A pair at vectors 0x20 and 0x28, all lines open; LINT0 as firmware leaves it.
pub(super) fn with_pic() -> Bench {
    let mut bench = Bench::guest();
    for (port, value) in [
        (0x20, 0x11),
        (0x21, 0x20),
        (0x21, 4),
        (0x21, 1),
        (0x21, 0),
        (0xa0, 0x11),
        (0xa1, 0x28),
        (0xa1, 2),
        (0xa1, 1),
        (0xa1, 0),
    ] {
        write_port(&mut bench, port, value);
    }
    bench
}

pub(super) fn line(bench: &mut Bench, number: u32, level: crate::level::Level) {
    let partition = bench.partition.clone();
    let woken =
        partition
            .devices
            .lock()
            .set_line(crate::id::Gsi(number), level, &partition, &bench.host);
    assert!(woken.is_some());
}

#[test]
fn the_8259_delivers_through_lint0_once_interrupts_are_on() {
    use crate::level::Level::{High, Low};
    let mut bench = with_pic();
    line(&mut bench, 4, High);
    bench.run();
    assert_eq!(bench.vcpu.hw.window, Watch::On);
    bench.vcpu.hw.enable_interrupts();
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x24]);
    assert!(!bench.vcpu.work.contains(Work::EXT_INT));
    line(&mut bench, 4, Low);
    write_port(&mut bench, 0x20, 0x20);
    line(&mut bench, 3, High);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x24, 0x23]);
}

#[test]
fn a_request_of_the_8259_that_is_withdrawn_is_not_delivered() {
    use crate::level::Level::High;
    let mut bench = with_pic();
    line(&mut bench, 4, High);
    bench.run();
    write_port(&mut bench, 0x21, 0xff);
    bench.vcpu.hw.enable_interrupts();
    bench.run();
    assert!(bench.vcpu.hw.interrupts().is_empty());
    assert!(!bench.vcpu.work.contains(Work::EXT_INT));
}

#[test]
fn a_masked_lint0_costs_nothing_and_delivers_when_it_is_opened() {
    use crate::level::Level::High;
    let mut bench = with_pic();
    bench.enable_x2apic();
    line(&mut bench, 4, High);
    bench.run();
    assert!(bench.vcpu.work.contains(Work::EXT_INT));
    assert!(
        !bench.vcpu.has_work(),
        "nothing to look at before each entry"
    );
    assert_eq!(bench.vcpu.hw.window, Watch::Off);
    let _ = bench.wrmsr(0x835, 0x700);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x24]);
}

#[test]
fn a_fixed_lint0_delivers_its_own_vector_when_the_8259_asks() {
    use crate::level::Level::High;
    let mut bench = with_pic();
    bench.enable_x2apic();
    let _ = bench.wrmsr(0x835, 0x55);
    line(&mut bench, 4, High);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x55]);
    let _ = bench.wrmsr(0x80b, 0);
    bench.run();
    assert_eq!(
        bench.vcpu.hw.interrupts(),
        [0x55],
        "an edge is one interrupt"
    );
    // Nobody has acknowledged it: the output falls by the mask only.
    write_port(&mut bench, 0x21, 0xff);
    write_port(&mut bench, 0x21, 0);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x55, 0x55]);
}

#[test]
fn lint0_is_asked_when_it_is_opened() {
    use crate::level::Level::{High, Low};
    let mut bench = with_pic();
    bench.enable_x2apic();
    line(&mut bench, 4, High);
    bench.run();
    assert!(bench.vcpu.hw.interrupts().is_empty(), "masked");
    let _ = bench.wrmsr(0x835, 0x55);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x55]);
    let _ = bench.wrmsr(0x80b, 0);
    // The same again is no news; another mode is.
    let _ = bench.wrmsr(0x835, 0x55);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x55]);
    let _ = bench.wrmsr(0x835, 0x700);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x55, 0x24]);
    // An output that fell meanwhile is forgotten.
    write_port(&mut bench, 0x20, 0x20);
    line(&mut bench, 4, Low);
    let _ = bench.wrmsr(0x835, 0x1_0000);
    line(&mut bench, 3, High);
    bench.run();
    assert!(bench.vcpu.work.contains(Work::EXT_INT));
    write_port(&mut bench, 0x21, 0xff);
    let _ = bench.wrmsr(0x835, 0x56);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x55, 0x24]);
    assert!(!bench.vcpu.work.contains(Work::EXT_INT));
}

#[test]
fn lint0_can_be_an_nmi() {
    use crate::level::Level::High;
    let mut bench = with_pic();
    bench.enable_x2apic();
    let _ = bench.wrmsr(0x835, 0x400);
    line(&mut bench, 4, High);
    bench.run();
    assert!(bench.vcpu.hw.delivered.contains(&Queued::Nmi));
}

#[test]
fn an_interrupt_of_the_apic_follows_one_of_the_8259() {
    use crate::level::Level::High;
    let mut bench = with_pic();
    let _ = bench.wrmsr(0x1b, 0xfee0_0d00);
    line(&mut bench, 4, High);
    post(&bench, 0x61);
    bench.vcpu.hw.enable_interrupts();
    bench.run();
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x24, 0x61]);
}

#[test]
fn a_disabled_apic_lets_the_8259_through_at_once() {
    use crate::level::Level::High;
    let mut bench = with_pic();
    bench.vcpu.hw.enable_interrupts();
    let _ = bench.wrmsr(0x1b, 0xfee0_0d00);
    let _ = bench.wrmsr(0x835, 0x1_0000);
    line(&mut bench, 4, High);
    bench.run();
    assert!(bench.vcpu.hw.interrupts().is_empty());
    let _ = bench.wrmsr(0x1b, 0xfee0_0100);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x24]);
}

#[test]
fn a_level_interrupt_of_the_ioapic_comes_again_until_its_line_falls() {
    use crate::level::Level::{High, Low};
    let mut bench = ready();
    let partition = bench.partition.clone();
    // Pin 20: vector 0x71, level-triggered, to APIC 0.
    for (offset, value) in [(0, 0x10 + 40), (0x10, 0x8071), (0, 0x10 + 41), (0x10, 0)] {
        let _ = partition.devices.lock().ioapic_access(
            offset,
            Direction::Write,
            value,
            &partition,
            &bench.host,
        );
    }
    line(&mut bench, 20, High);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x71]);
    assert_eq!(
        bench.wrmsr(0x80b, 0),
        Leave::Yield,
        "the line is still high"
    );
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x71, 0x71]);
    line(&mut bench, 20, Low);
    let _ = bench.wrmsr(0x80b, 0);
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x71, 0x71]);
}
