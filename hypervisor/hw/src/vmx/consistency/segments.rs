//! Checks of the guest's segments (SDM 3C 26.3.1.2), with unrestricted guests, which the backend requires.

use super::{Check, Subject, canonical, first};
use crate::probe::vmx::bit;
use crate::vmx::access::VmcsAccess;
use crate::vmx::field::Field;

const RFLAGS_VM: u64 = 1 << 17;
const UNUSABLE: u64 = 1 << 16;
/// Reserved bits of access rights.
const RESERVED: u64 = 0xf << 8 | !0x1_ffff;
/// Rights of every segment in virtual-8086 mode.
const VIRTUAL_8086: u64 = 0xf3;

/// Names of the fields of a segment, and what is said of it.
struct Segment {
    selector: Field,
    base: Field,
    limit: Field,
    rights: Field,
    words: [&'static str; 4],
}

macro_rules! segment {
    ($name:literal, $selector:ident, $base:ident, $limit:ident, $rights:ident) => {
        Segment {
            selector: Field::$selector,
            base: Field::$base,
            limit: Field::$limit,
            rights: Field::$rights,
            words: [
                concat!($name, " is not as virtual-8086 mode wants it"),
                concat!("the base of ", $name, " has bits above 31"),
                concat!(
                    $name,
                    " is not a present segment of accessed data or readable code"
                ),
                concat!("the limit of ", $name, " and its G bit do not go together"),
            ],
        }
    };
}

const ALL: [Segment; 6] = [
    segment!("CS", CsSelector, CsBase, CsLimit, CsRights),
    segment!("SS", SsSelector, SsBase, SsLimit, SsRights),
    segment!("DS", DsSelector, DsBase, DsLimit, DsRights),
    segment!("ES", EsSelector, EsBase, EsLimit, EsRights),
    segment!("FS", FsSelector, FsBase, FsLimit, FsRights),
    segment!("GS", GsSelector, GsBase, GsLimit, GsRights),
];

/// The first check that fails.
pub fn failed<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    let task = system(subject).or_else(|| bases(subject));
    if subject.get(Field::Rflags) & RFLAGS_VM != 0 {
        return task.or_else(|| {
            ALL.iter()
                .find_map(|segment| in_virtual_8086(subject, segment))
        });
    }
    task.or_else(|| code(subject))
        .or_else(|| stack(subject))
        .or_else(|| ALL.iter().find_map(|segment| data(subject, segment)))
}

fn in_virtual_8086<A: VmcsAccess>(
    subject: &Subject<'_, A>,
    segment: &Segment,
) -> Option<&'static str> {
    let [words, ..] = segment.words;
    let as_wanted = subject.get(segment.base) == subject.get(segment.selector) << 4
        && subject.get(segment.limit) == 0xffff
        && subject.get(segment.rights) == VIRTUAL_8086;
    (!as_wanted).then_some(words)
}

/// TR and LDTR.
fn system<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    let (task, table) = (subject.get(Field::TrRights), subject.get(Field::LdtrRights));
    let long = subject.get(Field::EntryControls) & u64::from(bit::ENTRY_LONG_MODE) != 0;
    let has_table = table & UNUSABLE == 0;
    let checks: [Check; 10] = [
        (task & UNUSABLE != 0, "TR cannot be used"),
        (
            // Type, S and P.
            !(task & 0x9f == 0x8b || task & 0x9f == 0x83 && !long),
            "TR is not a present and busy task-state segment",
        ),
        (task & RESERVED != 0, "the rights of TR have reserved bits"),
        (
            !granular(subject.get(Field::TrLimit), task),
            "the limit of TR and its G bit do not go together",
        ),
        (
            subject.has(Field::TrSelector, 2),
            "the selector of TR points into the LDT",
        ),
        (
            !canonical(subject.get(Field::TrBase)),
            "the base of TR is not canonical",
        ),
        (
            has_table && (table & 0x9f != 0x82 || table & RESERVED != 0),
            "LDTR is not a present LDT",
        ),
        (
            has_table && !granular(subject.get(Field::LdtrLimit), table),
            "the limit of LDTR and its G bit do not go together",
        ),
        (
            has_table && subject.has(Field::LdtrSelector, 2),
            "the selector of LDTR points into the LDT",
        ),
        (
            has_table && !canonical(subject.get(Field::LdtrBase)),
            "the base of LDTR is not canonical",
        ),
    ];
    first(&checks)
}

fn bases<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    if !canonical(subject.get(Field::FsBase)) {
        return Some("the base of FS is not canonical");
    }
    if !canonical(subject.get(Field::GsBase)) {
        return Some("the base of GS is not canonical");
    }
    ALL.iter().take(4).find_map(|segment| {
        let [_, words, ..] = segment.words;
        let used = segment.base == Field::CsBase || subject.get(segment.rights) & UNUSABLE == 0;
        (used && subject.get(segment.base) >> 32 != 0).then_some(words)
    })
}

fn code<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    let rights = subject.get(Field::CsRights);
    let long = subject.get(Field::EntryControls) & u64::from(bit::ENTRY_LONG_MODE) != 0;
    let (kind, level) = (rights & 0xf, rights >> 5 & 3);
    let stack_level = subject.get(Field::SsRights) >> 5 & 3;
    let checks: [Check; 8] = [
        (
            rights & UNUSABLE != 0 || rights & 1 << 7 == 0 || rights & 1 << 4 == 0,
            "CS is not a present segment of code",
        ),
        (
            !matches!(kind, 3 | 9 | 11 | 13 | 15),
            "CS is neither accessed code nor accessed data of real mode",
        ),
        (kind == 3 && level != 0, "CS is data with a DPL above 0"),
        (
            matches!(kind, 9 | 11) && level != stack_level,
            "the DPL of CS differs from that of SS",
        ),
        (
            matches!(kind, 13 | 15) && level > stack_level,
            "the DPL of conforming CS is above that of SS",
        ),
        (
            long && rights & 1 << 13 != 0 && rights & 1 << 14 != 0,
            "CS.L and CS.D are both 1 in long mode",
        ),
        (
            rights & RESERVED != 0,
            "the rights of CS have reserved bits",
        ),
        (
            !granular(subject.get(Field::CsLimit), rights),
            "the limit of CS and its G bit do not go together",
        ),
    ];
    first(&checks)
}

fn stack<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    let rights = subject.get(Field::SsRights);
    let real = subject.get(Field::Cr0) & 1 == 0;
    let data_as_code = subject.get(Field::CsRights) & 0xf == 3;
    let used = rights & UNUSABLE == 0;
    let checks: [Check; 3] = [
        (
            (real || data_as_code) && rights >> 5 & 3 != 0,
            "the DPL of SS is above 0 in real mode",
        ),
        (
            used && !matches!(rights & 0xf, 3 | 7),
            "SS is not a segment of accessed writable data",
        ),
        (
            used && rights & RESERVED != 0,
            "the rights of SS have reserved bits",
        ),
    ];
    first(&checks)
}

/// What SS has in common with DS, ES, FS and GS; CS has been looked at.
fn data<A: VmcsAccess>(subject: &Subject<'_, A>, segment: &Segment) -> Option<&'static str> {
    let rights = subject.get(segment.rights);
    if rights & UNUSABLE != 0 || segment.rights == Field::CsRights {
        return None;
    }
    let [_, _, kind, limit] = segment.words;
    let unreadable_code = rights & 0b1010 == 0b1000;
    let checks: [Check; 2] = [
        (
            rights & 1 == 0 || unreadable_code || rights & 0x90 != 0x90 || rights & RESERVED != 0,
            kind,
        ),
        (!granular(subject.get(segment.limit), rights), limit),
    ];
    first(&checks)
}

/// Whether a limit can be written with this G bit.
const fn granular(limit: u64, rights: u64) -> bool {
    let pages = rights & 1 << 15 != 0;
    (limit & 0xfff == 0xfff || !pages) && (limit >> 20 == 0 || pages)
}
