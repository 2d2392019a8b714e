//! Processors, and how they come and go (ACPI 6.5, 6.3 and 8.4).
//!
//! All methods go through the registers at [`layout::HOT_PLUG`], one after the other. The general-purpose event has the kernel call
//! `PSCN`, which notifies the devices of all processors with news.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use acpi_tables::Aml;
use acpi_tables::aml::{
    Acquire, And, Arg, BufferData, Device, Equal, Field, FieldAccessType, FieldEntry,
    FieldLockRule, FieldUpdateRule, If, Local, Method, MethodCall, Mutex, Name, NotEqual, Notify,
    ONE, OpRegion, OpRegionSpace, Path, Release, Return, Scope, Store, While, ZERO,
};

use super::number;
use crate::acpi::interrupts::{Presence, processor};
use crate::{BoardFacts, layout};

/// Bytes of the registers.
const REGISTERS: u8 = 16;
/// State bits: it is there, it has come, it is wanted back, and what gives it back.
const PRESENT: u8 = 1 << 0;
const INSERTED: u8 = 1 << 1;
const REMOVAL: u8 = 1 << 2;
const EJECT: u8 = 1 << 3;
/// _STA: there, enabled, shown, working.
const ALL_IS_WELL: u8 = 0xf;
/// Notifications: look at the device, give it back.
const CHECK: u8 = 1;
const EJECT_REQUEST: u8 = 3;
const NOBODY: u32 = u32::MAX;
/// Wait for ever.
const WITHOUT_LIMIT: u16 = 0xffff;

fn path(name: &str) -> Path {
    Path::new(name)
}

/// The kernel calls it when the event comes.
pub fn event() -> impl Aml {
    struct Event;
    impl Aml for Event {
        fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
            let name = format!("_E{:02X}", layout::HOT_PLUG_EVENT);
            let scan = MethodCall::new(path("\\_SB_.PSCN"), Vec::new());
            let method = Method::new(path(&name), 0, false, Vec::from([&scan as &dyn Aml]));
            Scope::new(path("\\_GPE"), Vec::from([&method as &dyn Aml])).to_aml_bytes(sink);
        }
    }
    Event
}

/// A method that has the registers for itself.
fn alone(name: &str, arguments: u8, body: Vec<&dyn Aml>, answer: &dyn Aml) -> Vec<u8> {
    let (take, leave) = (
        Acquire::new(path("PLCK"), WITHOUT_LIMIT),
        Release::new(path("PLCK")),
    );
    let answer = Return::new(answer);
    let mut all = Vec::from([&take as &dyn Aml]);
    all.extend(body);
    all.extend([&leave as &dyn Aml, &answer]);
    let mut bytes = Vec::new();
    Method::new(path(name), arguments, true, all).to_aml_bytes(&mut bytes);
    bytes
}

/// A device for each processor that there can be; its _UID is the one in the MADT.
pub struct Processors<'a>(pub &'a BoardFacts<'a>);

impl Aml for Processors<'_> {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        OpRegion::new(
            path("PREG"),
            OpRegionSpace::SystemIO,
            &layout::HOT_PLUG,
            &REGISTERS,
        )
        .to_aml_bytes(sink);
        Field::new(
            path("PREG"),
            FieldAccessType::DWord,
            FieldLockRule::NoLock,
            FieldUpdateRule::WriteAsZeroes,
            [*b"PSEL", *b"PSTA", *b"PNXT", *b"POST"]
                .map(|name| FieldEntry::Named(name, 32))
                .to_vec(),
        )
        .to_aml_bytes(sink);
        Mutex::new(path("PLCK"), 0).to_aml_bytes(sink);
        for method in [state(), eject(), report(), scan()] {
            sink.vec(&method);
        }
        let count = self.0.vcpus;
        sink.vec(&notify(count));
        for index in 0..count {
            sink.vec(&device(self.0, index));
        }
    }
}

/// A register is written.
fn store(register: &str, value: &dyn Aml) -> Bytes {
    let mut bytes = Vec::new();
    Store::new(&path(register), value).to_aml_bytes(&mut bytes);
    Bytes(bytes)
}

/// PGET(n): its _STA.
fn state() -> Vec<u8> {
    let register = path("PSTA");
    let there = And::new(&Local(0), &register, &PRESENT);
    let select = store("PSEL", &Arg(0));
    let (is_there, well) = (
        Equal::new(&Local(0), &ONE),
        Store::new(&Local(0), &ALL_IS_WELL),
    );
    let answer = If::new(&is_there, Vec::from([&well as &dyn Aml]));
    let body = Vec::from([&select as &dyn Aml, &there, &answer]);
    alone("PGET", 1, body, &Local(0))
}

/// PEJ0(n).
fn eject() -> Vec<u8> {
    let body = [store("PSEL", &Arg(0)), store("PSTA", &EJECT)];
    alone("PEJ0", 1, references(&body), &ZERO)
}

/// PREP(n, event, status): its _OST.
fn report() -> Vec<u8> {
    let body = [
        store("PSEL", &Arg(0)),
        store("PNXT", &Arg(1)),
        store("POST", &Arg(2)),
    ];
    alone("PREP", 3, references(&body), &ZERO)
}

/// PSCN: notifies all processors with news.
fn scan() -> Vec<u8> {
    let (processor, state) = (Local(0), Local(1));
    let next = path("PNXT");
    let first = Store::new(&processor, &next);
    let more = NotEqual::new(&processor, &NOBODY);
    let select = store("PSEL", &processor);
    let register = path("PSTA");
    let look = Store::new(&state, &register);
    let news = INSERTED | REMOVAL;
    let clear = And::new(&register, &state, &news);
    let [come, wanted] = [(INSERTED, CHECK), (REMOVAL, EJECT_REQUEST)].map(|(bit, what)| {
        let mut bytes = Vec::new();
        let is = And::new(&ZERO, &state, &bit);
        let notify = MethodCall::new(path("PNTF"), Vec::from([&processor as &dyn Aml, &what]));
        If::new(&is, Vec::from([&notify as &dyn Aml])).to_aml_bytes(&mut bytes);
        Bytes(bytes)
    });
    let each = [&select as &dyn Aml, &look, &clear, &come, &wanted, &first];
    let all = While::new(&more, Vec::from(each));
    let body = Vec::from([&first as &dyn Aml, &all]);
    alone("PSCN", 0, body, &ZERO)
}

/// PNTF(n, value): the device of that number is named by its own line.
fn notify(count: u32) -> Vec<u8> {
    let mut lines = Vec::new();
    for index in 0..count {
        let mut bytes = Vec::new();
        let (device, is) = (path(&name(index)), Equal::new(&Arg(0), &index));
        let notify = Notify::new(&device, &Arg(1));
        If::new(&is, Vec::from([&notify as &dyn Aml])).to_aml_bytes(&mut bytes);
        lines.push(Bytes(bytes));
    }
    let mut bytes = Vec::new();
    Method::new(path("PNTF"), 2, false, references(&lines)).to_aml_bytes(&mut bytes);
    bytes
}

fn device(facts: &BoardFacts<'_>, index: u32) -> Vec<u8> {
    let entry = processor(index, facts.apic_id(index), Presence::Present);
    let call = |name, arguments, method, list: Vec<&dyn Aml>| {
        let call = MethodCall::new(path(method), list);
        let answer = Return::new(&call);
        let mut bytes = Vec::new();
        // The others answer nothing.
        let body = match name {
            "_STA" => Vec::from([&answer as &dyn Aml]),
            _ => Vec::from([&call as &dyn Aml]),
        };
        Method::new(path(name), arguments, false, body).to_aml_bytes(&mut bytes);
        Bytes(bytes)
    };
    let state = call("_STA", 0, "PGET", Vec::from([&index as &dyn Aml]));
    let report = [&index as &dyn Aml, &Arg(0), &Arg(1)];
    let report = call("_OST", 3, "PREP", Vec::from(report));
    let eject = call("_EJ0", 1, "PEJ0", Vec::from([&index as &dyn Aml]));
    let (hardware, uid) = (Name::new(path("_HID"), &"ACPI0007"), number("_UID", index));
    let entry = Name::new(path("_MAT"), &BufferData::new(entry));
    let mut content = Vec::from([&hardware as &dyn Aml, &uid, &entry, &state, &report]);
    // The first one cannot go.
    if index != 0 {
        content.push(&eject);
    }
    let mut bytes = Vec::new();
    Device::new(path(&name(index)), content).to_aml_bytes(&mut bytes);
    bytes
}

fn name(index: u32) -> String {
    format!("C{index:03X}")
}

fn references<T: Aml>(parts: &[T]) -> Vec<&dyn Aml> {
    parts.iter().map(|part| part as &dyn Aml).collect()
}

/// What is written already.
struct Bytes(Vec<u8>);

impl Aml for Bytes {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        sink.vec(&self.0);
    }
}
