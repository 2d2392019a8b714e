//! A management partition that lets a device reach for memory: `reads=` is a machine address of the hypervisor's, `writes=`
//! are addresses outside of its own RAM.
//!
//! With `bounds=kept` nothing may come from there, and no interrupt may arrive that was not bound; with `bounds=none` the
//! machine has no IOMMU, and bytes must come: so the test can fail. What the writes have done is for the runner to see, by
//! QEMU's monitor: memory that is nobody's cannot be read by a partition. It does not stop after its PASS, as it would be
//! started again and the machine would not stay as it is.
#![no_std]
#![no_main]

mod edu;

use core::sync::atomic::{AtomicU8, Ordering::SeqCst};

use edu::Edu;
use micro_guests::abi::hypercall::Number;
use micro_guests::abi::start::{FLAG_IOMMU, StartInfo};
use micro_guests::{apic, check, cpu, fail, guest, hypercall, number, option, say, trap, wait};

guest!(main);

/// Bytes of one DMA.
const BYTES: usize = 256;
/// What is written outside, again and again; the runner looks for it.
const MARK: u64 = u64::from_le_bytes(*b"trespass");
/// What is in a buffer before a DMA.
const BEFORE: u8 = 0xa5;
/// The vector that is bound.
const BOUND: u8 = 0x51;

#[repr(C, align(4096))]
struct Buffer([AtomicU8; BYTES]);

static SOURCE: Buffer = Buffer([const { AtomicU8::new(0) }; BYTES]);
static TARGET: Buffer = Buffer([const { AtomicU8::new(0) }; BYTES]);

impl Buffer {
    /// GPA, HPA and device address alike.
    fn address(&self) -> u64 {
        self.0.as_ptr().addr() as u64
    }

    fn fill(&self, byte: impl Fn(usize) -> u8) {
        for (index, place) in self.0.iter().enumerate() {
            place.store(byte(index), SeqCst);
        }
    }

    fn count(&self, is: impl Fn(usize, u8) -> bool) -> usize {
        let bytes = self.0.iter().enumerate();
        bytes
            .filter(|(index, byte)| is(*index, byte.load(SeqCst)))
            .count()
    }
}

/// What keeps devices within the partition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bounds {
    Kept,
    None,
}

fn main(info: &'static StartInfo) {
    let bounds = match option(info, "bounds") {
        Some("kept") => Bounds::Kept,
        Some("none") => Bounds::None,
        _ => fail(format_args!("bounds= is kept or none")),
    };
    let told = info.flags & FLAG_IOMMU != 0;
    check!(
        told == (bounds == Bounds::Kept),
        "it was told {told} about an IOMMU"
    );
    trap::install();
    apic::enable();
    let edu = Edu::find();
    within_own_memory(&edu);
    read_outside(&edu, bounds, number(info, "reads").unwrap_or(0));
    write_outside(&edu, info);
    interrupts(&edu, bounds);
    say!("PASS");
    loop {
        cpu::sti_hlt();
    }
}

/// There and back.
fn within_own_memory(edu: &Edu) {
    let pattern = |index: usize| (index as u8).wrapping_mul(29) ^ 0x5c;
    SOURCE.fill(pattern);
    TARGET.fill(|_| BEFORE);
    edu.fetch(SOURCE.address(), BYTES);
    edu.store(TARGET.address(), BYTES);
    let wrong = TARGET.count(|index, byte| byte != pattern(index));
    check!(
        wrong == 0,
        "{wrong} bytes are wrong after DMA in own memory"
    );
}

fn read_outside(edu: &Edu, bounds: Bounds, address: u64) {
    check!(address != 0, "reads= is missing");
    // The device's buffer, then what it has read, then where it puts that.
    SOURCE.fill(|_| BEFORE);
    edu.fetch(SOURCE.address(), BYTES);
    edu.fetch(address, BYTES);
    TARGET.fill(|_| !BEFORE);
    edu.store(TARGET.address(), BYTES);
    let untouched = TARGET.count(|_, byte| byte == !BEFORE);
    check!(untouched < BYTES, "the device's buffer did not come back");
    // A read that is refused leaves the device's buffer alone or brings zeros.
    let foreign = TARGET.count(|_, byte| byte != BEFORE && byte != 0);
    match bounds {
        Bounds::Kept => check!(foreign == 0, "{foreign} bytes came from {address:#x}"),
        Bounds::None => check!(
            foreign >= BYTES / 4,
            "only {foreign} bytes came from {address:#x} although nothing is in the way"
        ),
    }
}

fn write_outside(edu: &Edu, info: &'static StartInfo) {
    SOURCE.fill(|index| MARK.to_le_bytes().get(index % 8).copied().unwrap_or(0));
    edu.fetch(SOURCE.address(), BYTES);
    for word in option(info, "writes").unwrap_or("").split(',') {
        let Ok(address) = word.parse::<u64>() else {
            fail(format_args!("writes= has {word:?}"))
        };
        let own = info.ram_base..info.ram_base + info.ram_bytes;
        check!(
            !own.contains(&address),
            "{address:#x} is in this partition's own RAM"
        );
        edu.store(address, BYTES);
    }
    // The device still works, in both directions.
    within_own_memory(edu);
}

fn interrupts(edu: &Edu, bounds: Bounds) {
    let arguments = [0, u64::from(BOUND), u64::from(edu.requester), 0];
    let (status, message) = hypercall::call(Number::InterruptBind, arguments);
    check!(status == 0, "no interrupt could be bound: status {status}");
    let (address, data) = (message as u32, (message >> 32) as u32);
    edu.program_message(address, data);
    edu.interrupt();
    wait::until("the bound interrupt", 1000, || trap::count(BOUND) == 1);
    match bounds {
        // The message is the CPU's vector itself: one that no IOMMU looks at does arrive.
        Bounds::None => check!(
            address >> 20 == 0xfee && (32..256).contains(&data),
            "the message is {address:#x} {data:#x}"
        ),
        // One of these is the vector behind the bound interrupt: unseen by the IOMMU, it would arrive.
        Bounds::Kept => {
            let raw = (32..256).filter(|vector| *vector != data);
            for vector in raw {
                edu.program_message(0xfee0_0000, vector);
                edu.interrupt();
            }
            wait::nap(20);
            let all = (32..=255).filter(|vector| *vector != wait::VECTOR);
            let came: u64 = all.map(trap::count).sum();
            check!(came == 1, "{} unbound interrupts came", came - 1);
            edu.program_message(address, data);
            edu.interrupt();
            wait::until("the bound interrupt again", 1000, || {
                trap::count(BOUND) == 2
            });
        }
    }
}
