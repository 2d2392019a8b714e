//! Bring-up: from the boot loader's hand-over to a machine that can run partitions.
//!
//! Two stages. The first runs on the boot stack and the early identity map: it reads what loader
//! and firmware left, decides whether the machine will do, and builds the final address space. The
//! second runs on the boot CPU's own stack in that space.

mod banner;
mod cpus;
mod crash_test;
mod early;
mod image;
mod interrupts;
mod memory;
mod options;
mod platform;
mod wall_clock;

use alloc::boxed::Box;
use core::arch::asm;

use bulkhead_boot::{BootInfo, Framebuffer, PhysicalBytes};
use bulkhead_core::addr::{Hpa, Hva};
use bulkhead_core::id::{ApicId, CpuId};
use bulkhead_core::paging::MemoryType;
use bulkhead_hw::acpi::Acpi;
use bulkhead_hw::apic::{self, ApicMode};
use bulkhead_hw::cpuid::ThisCpu;
use bulkhead_hw::framebuffer::TextScreen;
use bulkhead_hw::idt::{self, Stacks};
use bulkhead_hw::layout::{self, Stack};
use bulkhead_hw::msr::Msr;
use bulkhead_hw::numa::Nodes;
use bulkhead_hw::percpu::PerCpu;
use bulkhead_hw::probe::{CpuFeatures, CpuIdentity, MsrSource, Virtualization};
use bulkhead_hw::serial::Serial;
use bulkhead_hw::shutdown::{self, ExitCode};
use bulkhead_hw::smp::StartPage;
use bulkhead_hw::{console, info, log, pool, registers, space, warn};

use early::EarlyMap;
use memory::Foundation;
use options::DeliveryChoice;
pub use options::{Exit, IommuChoice, Options};
pub use platform::Platform;

/// Model-specific registers of the running CPU.
pub struct ThisMsrs;

impl MsrSource for ThisMsrs {
    fn read(&self, number: u32) -> u64 {
        Msr(number).read()
    }
}

/// What the first stage leaves for the second. The large records are boxed, so that they are never
/// moved over the second stage's stack.
struct Found {
    boot: Box<BootInfo>,
    options: Options,
    identity: CpuIdentity,
    features: CpuFeatures,
    virtualization: Virtualization,
    acpi: Box<Acpi>,
    nodes: Nodes,
    foundation: Foundation,
    page: Option<StartPage>,
}

/// Ends where the machine lacks what the hypervisor needs.
fn cannot_run(reason: core::fmt::Arguments<'_>) -> ! {
    info!("cannot run: {reason}");
    shutdown::exit_qemu(ExitCode::CannotRun);
    registers::halt()
}

/// The value, or the end with the error as the reason.
fn required<T, E: core::fmt::Display>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => cannot_run(format_args!("{error}")),
    }
}

/// The boot CPU's way; see [`crate::boot_main`].
pub fn boot_cpu(magic: u32, info: Hpa) -> ! {
    console::set_serial(Serial::com1());
    info!("Bulkhead {} starts", env!("CARGO_PKG_VERSION"));
    // SAFETY: only this CPU runs.
    unsafe { idt::fill(Stacks::Current, ApicMode::Xapic) };
    idt::load();
    let found = survey(magic, info);
    // SAFETY: the region of CPU 0 was mapped by `survey`, and nothing runs on its stack.
    unsafe { on_own_stack(found) }
}

/// The first stage.
fn survey(magic: u32, info: Hpa) -> Box<Found> {
    // SAFETY: the entry code's identity map is active until the end of this function, and no slice
    // of it is kept.
    let memory = unsafe { EarlyMap::new() };
    let boot = required(BootInfo::parse(magic, info, &memory));
    let options = Options::parse(&boot.command_line);
    open_screen(&boot, options, &memory);
    banner::boot(&boot);

    let identity = CpuIdentity::read(&ThisCpu);
    let features = CpuFeatures::read(&ThisCpu);
    banner::record(&ThisCpu, &ThisMsrs);
    banner::cpu(&identity, &features);
    let found = required(Virtualization::read(&ThisCpu, &ThisMsrs));
    let virtualization = match options.delivery {
        DeliveryChoice::WhereSound => found.with_sound_delivery(),
        DeliveryChoice::On => found,
        DeliveryChoice::Off => found.with_software_delivery(),
    };
    banner::virtualization(&virtualization);

    let acpi = required(Acpi::read(boot.rsdp, &memory));
    shutdown::use_acpi(&acpi);
    let nodes = Nodes::of(&acpi.srat);
    banner::acpi(&acpi, nodes.count());

    let page = StartPage::choose(&boot.memory, &boot.reserved)
        // SAFETY: the page is free, and the identity map is active.
        .filter(|page| unsafe { page.fill(&image::smp_entry(), &memory) });
    let foundation = required(memory::choose_foundation(&boot, memory.limit()));
    enter_space(&features, &foundation);
    Box::new(Found {
        boot: Box::new(boot),
        options,
        identity,
        features,
        virtualization,
        acpi: Box::new(acpi),
        nodes,
        foundation,
        page,
    })
}

/// Draws on the boot loader's framebuffer, if wanted: first of all what was logged already.
fn open_screen(boot: &BootInfo, options: Options, memory: &EarlyMap) {
    let buffer = boot
        .framebuffer
        .filter(|_| options.console.has_framebuffer());
    let reachable = |buffer: &Framebuffer| {
        let bytes = usize::try_from(buffer.bytes()?).ok()?;
        memory.slice(buffer.address, bytes).map(|_| ())
    };
    let Some(buffer) = buffer.filter(|buffer| reachable(buffer).is_some()) else {
        return;
    };
    // SAFETY: reachable through the identity map; `enter_space` moves the screen before that ends.
    let mut screen = unsafe { TextScreen::new(buffer, Hva::new(buffer.address.as_u64())) };
    log::replay(&mut screen);
    console::set_screen(Some(screen));
    info!(
        "framebuffer: {}x{}, {} bits a pixel",
        buffer.width,
        buffer.height,
        u32::from(buffer.pixel_bytes) * 8
    );
    if !options.console.has_serial() {
        console::set_serial(None);
    }
}

/// Builds the final address space, with the region of CPU 0, and switches to it.
fn enter_space(features: &CpuFeatures, foundation: &Foundation) {
    // SAFETY: the foundation is free RAM below the limit of the identity map.
    required(unsafe { pool::found(foundation.pool) });
    required(space::build(features, &image::parts(), foundation.range()));
    required(space::map_cpu_region(CpuId(0)));
    required(space::map_local_apic(apic::base()));
    let mut screen = console::set_screen(None);
    let moved = screen.as_ref().and_then(|screen| {
        let buffer = screen.framebuffer();
        // SAFETY: the boot loader says that a framebuffer is there.
        unsafe {
            space::map_device(buffer.address, buffer.bytes()?, MemoryType::WriteCombining).ok()
        }
    });
    // SAFETY: image, boot stack (part of the image) and the pool are mapped; the screen is not in
    // use and is moved or dropped below. The heap's memory is mapped and unused.
    unsafe {
        space::activate(features);
        pool::use_direct_map();
        let heap = foundation.heap;
        crate::HEAP.fill(layout::direct(heap.start), heap.bytes() as usize);
        if let (Some(screen), Some(base)) = (screen.as_mut(), moved) {
            screen.move_to(base);
        }
    }
    console::set_screen(screen.filter(|_| moved.is_some()));
    info!(
        "hypervisor memory: image {} KiB, heap {} KiB, frame pool {} KiB",
        image::range().bytes() >> 10,
        foundation.heap.bytes() >> 10,
        foundation.pool.bytes() >> 10
    );
}

/// Goes on in [`second_stage`] on the main stack of CPU 0.
///
/// # Safety
/// That stack must be mapped and unused.
unsafe fn on_own_stack(found: Box<Found>) -> ! {
    // SAFETY: the function never returns, so what is on the old stack is left behind.
    unsafe {
        asm!(
            "mov rsp, {stack}",
            "xor ebp, ebp",
            "call {stage}",
            "ud2",
            stack = in(reg) Stack::MAIN.top(CpuId(0)).as_u64(),
            stage = sym second_stage,
            in("rdi") Box::into_raw(found),
            options(noreturn)
        )
    }
}

extern "C" fn second_stage(found: *mut Found) -> ! {
    // SAFETY: `on_own_stack` passes on a box, once.
    let found = unsafe { Box::from_raw(found) };
    crate::host::start(finish(*found))
}

/// The boot stack has no guard page and is not needed any more.
fn retire_boot_stack() {
    let (start, bytes) = image::boot_stack_range();
    // SAFETY: this runs on the main stack of CPU 0, nothing on the boot stack is referred to (the
    // survey's result was boxed), and the other CPUs sleep in the firmware.
    if let Err(error) = unsafe { space::retire(start, bytes) } {
        warn!("the boot stack stays mapped: {error}");
    }
}

/// The second stage. Not inlined, so that its large frame is gone when the host starts.
#[inline(never)]
fn finish(found: Found) -> Box<Platform> {
    retire_boot_stack();
    interrupts::mask_pics(&found.acpi);
    let mode = interrupts::choose_mode(&found.features, found.options.apic);
    // SAFETY: only this CPU runs; its region is mapped and its block used here first. The APIC's
    // registers are mapped. The task-state segment is loaded before the gates use its stacks.
    let block = unsafe {
        let block = PerCpu::create(CpuId(0), this_apic());
        block.install();
        idt::fill(Stacks::Own, mode);
        idt::load();
        apic::enable(mode);
        block
    };
    space::attach_windows(block);
    interrupts::mask_io_apics(&found.acpi);
    let Some(rates) = interrupts::measure_clocks(&found.acpi) else {
        cannot_run(format_args!(
            "no clock of known rate works (HPET, ACPI timer, PIT)"
        ));
    };
    let boot_time = wall_clock::boot_time(&found.acpi, rates.tsc);
    let frames = required(memory::frame_allocator(
        &found.boot,
        &found.acpi.srat,
        &found.nodes,
        &found.foundation,
    ));
    info!(
        "memory: {} MiB for partitions on {} NUMA nodes",
        frames.free_bytes() >> 20,
        found.nodes.count()
    );
    bulkhead_hw::smp::arrived(block);
    let cpus = cpus::start_all(&found.acpi, &found.nodes, block, found.page, rates.tsc);
    cpus::release_all(&cpus);
    if cpus.len() < found.acpi.madt.cpus.len() {
        warn!(
            "{} CPUs of the firmware's list are left out",
            found.acpi.madt.cpus.len() - cpus.len()
        );
    }
    if let Some(test) = found.options.crash_test {
        crash_test::run(test);
    }
    let memory_bytes = banner::usable_bytes(&found.boot);
    Box::new(Platform {
        boot: found.boot,
        options: found.options,
        identity: found.identity,
        features: found.features,
        virtualization: found.virtualization,
        acpi: found.acpi,
        nodes: found.nodes,
        cpus,
        frames,
        foundation: found.foundation.range(),
        memory_bytes,
        tsc: rates.tsc,
        apic_timer: rates.apic_timer,
        boot_time,
    })
}

/// The APIC id of the running CPU by CPUID, which works before the APIC is enabled.
fn this_apic() -> ApicId {
    use bulkhead_hw::probe::CpuidSource;
    let [highest, ..] = ThisCpu.cpuid(0, 0);
    let [_, topology, _, id] = if highest >= 0xb {
        ThisCpu.cpuid(0xb, 0)
    } else {
        [0; 4]
    };
    if topology != 0 {
        // Leaf 0xB has the whole x2APIC id.
        ApicId(id)
    } else {
        ApicId(ThisCpu.cpuid(1, 0)[1] >> 24)
    }
}

/// A further CPU's way; see [`crate::ap_main`].
pub fn further_cpu(block: &'static PerCpu) -> ! {
    cpus::join(block, apic::mode().unwrap_or(ApicMode::Xapic));
    crate::host::start_ap(block)
}
