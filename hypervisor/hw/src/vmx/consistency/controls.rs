//! Checks of the control fields (SDM 3C 26.2.1).

use super::{Check, Subject, first};
use crate::probe::vmx::bit;
use crate::vmx::access::VmcsAccess;
use crate::vmx::field::Field;

/// Controls that the backend switches at run time.
const AT_TIMES: u32 = bit::WINDOW | bit::CR8_LOAD | bit::NMI_WINDOW;
/// The same of the secondary ones.
const SECONDARY_AT_TIMES: u32 = bit::TSC_SCALING | bit::DELIVERY;

/// The first check that fails.
pub fn failed<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    fields(subject)
        .or_else(|| together(subject))
        .or_else(|| addresses(subject))
        .or_else(|| injection(subject))
}

/// The fields against what the capabilities gave.
fn fields<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    let chosen = subject.probe.controls;
    let differs = |field, value: u32, free: u32| (subject.get(field) as u32 ^ value) & !free != 0;
    let checks: [Check; 5] = [
        (
            differs(Field::PinControls, chosen.pin, 0),
            "the pin-based controls are not those that the CPU's capabilities gave",
        ),
        (
            differs(Field::ProcessorControls, chosen.processor, AT_TIMES),
            "the processor-based controls are not those that the CPU's capabilities gave",
        ),
        (
            differs(
                Field::SecondaryControls,
                chosen.secondary,
                SECONDARY_AT_TIMES,
            ),
            "the secondary controls are not those that the CPU's capabilities gave",
        ),
        (
            differs(Field::ExitControls, chosen.exit, 0),
            "the exit controls are not those that the CPU's capabilities gave",
        ),
        (
            differs(Field::EntryControls, chosen.entry, bit::ENTRY_LONG_MODE),
            "the entry controls are not those that the CPU's capabilities gave",
        ),
    ];
    first(&checks)
}

/// Controls that want or exclude one another.
fn together<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    let pin = |bit| subject.has(Field::PinControls, bit);
    let processor = |bit| subject.has(Field::ProcessorControls, bit);
    let secondary = |bit| processor(31) && subject.has(Field::SecondaryControls, bit);
    let exit = |bit| subject.has(Field::ExitControls, bit);
    let checks: [Check; 9] = [
        (
            subject.get(Field::Cr3TargetCount) > 4,
            "there are more than four CR3 targets",
        ),
        (!pin(3) && pin(5), "virtual NMIs without exits by NMIs"),
        (
            !pin(5) && processor(22),
            "NMI-window exiting without virtual NMIs",
        ),
        (
            !processor(21) && (secondary(4) || secondary(8) || secondary(9)),
            "APIC virtualization without a shadow of the task priority",
        ),
        (
            secondary(0) && secondary(4),
            "virtualization of the APIC's page and of its MSRs at the same time",
        ),
        (
            secondary(9) && !pin(0),
            "virtual-interrupt delivery without exits by interrupts",
        ),
        (
            secondary(7) && !secondary(1),
            "an unrestricted guest without nested paging",
        ),
        (
            secondary(5) && subject.get(Field::Vpid) == 0,
            "the VPID is 0, which is the host's",
        ),
        (
            exit(22) && !pin(6),
            "the preemption timer is saved, but not used",
        ),
    ];
    first(&checks)
}

fn addresses<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    let odd = |field| {
        let address = subject.get(field);
        address & 0xfff != 0 || address >> 52 != 0
    };
    let pointer = subject.get(Field::EptPointer);
    let checks: [Check; 6] = [
        (
            odd(Field::IoBitmapA) || odd(Field::IoBitmapB),
            "the address of an I/O bitmap is not one of a page",
        ),
        (
            odd(Field::MsrBitmap),
            "the address of the MSR bitmap is not one of a page",
        ),
        (
            odd(Field::VirtualApicPage),
            "the address of the virtual APIC is not one of a page",
        ),
        (
            subject.get(Field::TprThreshold) >> 4 != 0,
            "the threshold of the task priority has bits above 3",
        ),
        (
            // Write-back, four levels.
            pointer & 0x3f != 0x1e,
            "the nested tables are not write-back with four levels",
        ),
        (
            pointer & 0xf80 != 0 || pointer >> 52 != 0,
            "the pointer to the nested tables has reserved bits",
        ),
    ];
    first(&checks)
}

fn injection<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    let event = subject.get(Field::EntryEvent);
    if event >> 31 & 1 == 0 {
        return None;
    }
    let (vector, kind) = (event & 0xff, event >> 8 & 7);
    let has_code = event >> 11 & 1 != 0;
    let real = subject.get(Field::Cr0) & 1 == 0;
    let wants_code = kind == 3 && matches!(vector, 8 | 10..=14 | 17 | 21) && !real;
    let length = subject.get(Field::EntryLength);
    let checks: [Check; 7] = [
        (
            kind == 1 || kind == 7,
            "the kind of the injected event does not exist",
        ),
        (
            kind == 2 && vector != 2,
            "an NMI is injected with another vector than 2",
        ),
        (
            kind == 3 && vector > 31,
            "an exception is injected with a vector above 31",
        ),
        (
            has_code != wants_code,
            "the injected event's error code is there where none belongs, or is missing",
        ),
        (
            has_code && subject.get(Field::EntryErrorCode) >> 16 != 0,
            "the injected error code has bits above 15",
        ),
        (
            matches!(kind, 4..=6) && !(1..=15).contains(&length),
            "the length of the injected instruction is not one to 15",
        ),
        (
            event & 0x7fff_f000 != 0,
            "the injected event has reserved bits",
        ),
    ];
    first(&checks)
}
