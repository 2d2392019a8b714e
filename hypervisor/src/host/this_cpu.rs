//! The running CPU as core's port [`Host`].

use core::fmt;
use core::sync::atomic::Ordering::{Acquire, Relaxed};

use bulkhead_abi::host::HostInfo;
use bulkhead_core::addr::{Hpa, HpaRange, PAGE_SIZE, PageSize};
use bulkhead_core::boot_image::Iommu;
use bulkhead_core::frames::{NodeId, Owner};
use bulkhead_core::host::{
    Host, HostVectors, KICK_VECTOR, LOG_LINE, MachineEnd, SharedPage, TIMER_VECTOR,
};
use bulkhead_core::id::{ApicId, CpuId, Vector};
use bulkhead_core::machine::Machine;
use bulkhead_core::time::Instant;
use bulkhead_hw::iommu::machine::Route;
use bulkhead_hw::log::Level;
use bulkhead_hw::percpu::PerCpu;
use bulkhead_hw::shutdown::{self, ExitCode};
use bulkhead_hw::windows::Window;
use bulkhead_hw::{apic, info, log, pool, registers, space};

use super::shared::Shared;
use super::{devices, dma};

/// The running CPU.
pub struct ThisCpu {
    block: &'static PerCpu,
    shared: &'static Shared,
    /// What the APIC timer is armed for.
    armed: Instant,
}

impl ThisCpu {
    /// The CPU of `block`, on which this runs.
    pub fn new(block: &'static PerCpu, shared: &'static Shared) -> Self {
        Self {
            block,
            shared,
            armed: Instant::NEVER,
        }
    }

    /// Its number.
    pub fn id(&self) -> CpuId {
        self.block.cpu
    }

    /// What all CPUs share.
    pub fn all(&self) -> &'static Shared {
        self.shared
    }

    /// A window on a frame that belongs to a partition.
    fn with_window(&self, at: Hpa, use_it: impl FnOnce(&Window, usize)) {
        // SAFETY: callers pass addresses from a partition's own RAM ranges, which the frame allocator gave to it: no
        // memory of the hypervisor is there.
        let window = unsafe { Window::open(at.align_down(PageSize::Size4K)) };
        if let Some(window) = window {
            use_it(&window, at.page_offset(PageSize::Size4K) as usize);
        }
    }
}

impl Host for ThisCpu {
    fn cpu(&self) -> CpuId {
        self.block.cpu
    }

    #[inline]
    fn now(&self) -> Instant {
        registers::tsc()
    }

    #[inline]
    fn arm(&mut self, deadline: Instant) {
        // An emulator can forget to deliver the timer's interrupt that its APIC holds: what is overdue is armed again.
        if deadline >= self.armed && self.now() < self.armed {
            return;
        }
        self.armed = deadline;
        let ticks = self
            .shared
            .tsc_to_timer
            .apply_up(deadline.since(self.now()).0);
        apic::arm_timer(
            TIMER_VECTOR,
            u32::try_from(ticks.max(1)).unwrap_or(u32::MAX),
        );
    }

    fn disarmed(&mut self) {
        self.armed = Instant::NEVER;
    }

    fn kick(&self, cpu: CpuId) {
        if let Some(target) = self.shared.apic_of(cpu) {
            apic::send(target, KICK_VECTOR);
        }
    }

    fn take_vectors(&mut self) -> HostVectors {
        let mut vectors = [0; 4];
        for (slot, word) in vectors.iter_mut().zip(&self.block.pending) {
            if word.load(Relaxed) != 0 {
                // Acquire: partner of the interrupt stubs' locked set, and of what the sender wrote before it.
                *slot = word.swap(0, Acquire);
            }
        }
        vectors
    }

    #[inline]
    fn has_vectors(&self) -> bool {
        self.block.any_pending()
    }

    fn idle(&mut self) {
        dma::report();
        registers::disable_interrupts();
        if !self.block.any_pending() && !log::has_unprinted() {
            // SAFETY: the IDT is loaded, and no lock is held.
            unsafe { registers::wait_for_interrupt() };
        }
        // SAFETY: as above.
        unsafe { registers::enable_interrupts() };
    }

    fn read(&mut self, at: Hpa, bytes: &mut [u8]) {
        self.with_window(at, |window, offset| {
            let _fits = window.read(offset, bytes);
        });
    }

    fn write(&mut self, at: Hpa, bytes: &[u8]) {
        self.with_window(at, |window, offset| {
            let _fits = window.write(offset, bytes);
        });
    }

    fn zero(&mut self, frame: Hpa) {
        self.with_window(frame, |window, _| {
            // SAFETY: the window maps the whole page.
            unsafe { window.as_ptr().write_bytes(0, PAGE_SIZE as usize) };
        });
    }

    fn shared(&mut self, frame: Hpa) -> Option<SharedPage> {
        let range = HpaRange::new(frame, PAGE_SIZE)?;
        // SAFETY: the frame is RAM of a partition. The mapping stays for ever, and is used by atomic accesses only, which
        // are sound whatever else writes there.
        unsafe { space::map_direct(range) }.ok()?;
        let address = pool::address_of(frame).as_u64() as usize;
        // SAFETY: the page is mapped for good, aligned, and 512 atomic words long.
        Some(unsafe { &*core::ptr::with_exposed_provenance(address) })
    }

    fn message(&mut self, cpu: CpuId, vector: Vector, _requester: u16) -> (u32, u32) {
        let apic = self.shared.apic_of(cpu).unwrap_or_default();
        dma::message(apic, vector)
            .unwrap_or((0xfee0_0000 | (apic.0 & 0xff) << 12, u32::from(vector.0)))
    }

    fn message_target(&self, address: u32, data: u32) -> Option<(CpuId, Vector)> {
        let (apic, vector) = match dma::route_of(address, data) {
            Route::To(apic, vector) => (apic, vector),
            Route::Nowhere => return None,
            Route::Direct if address >> 20 != 0xfee => return None,
            Route::Direct => (
                ApicId(address >> 12 & 0xff),
                Vector(u8::try_from(data).ok()?),
            ),
        };
        Some((self.shared.cpu_of(apic)?, vector))
    }

    fn machine(&self) -> &'static Machine {
        &self.shared.machine
    }

    fn info(&self) -> HostInfo {
        let (guest_memory_free, node_free, grown) = {
            let works = self.shared.machine.works();
            let grown = works.frames.owned_bytes(Owner::Hypervisor);
            let free = |node| works.frames.node(NodeId(node)).free_bytes;
            let by_node = core::array::from_fn(|node| free(node as u16));
            (works.frames.free_bytes(), by_node, grown)
        };
        let (_, heap_free) = crate::HEAP.usage();
        HostInfo {
            tsc: self.now().0,
            iommu: u32::from(dma::state() == Iommu::Confines),
            guest_memory_free,
            node_free,
            hypervisor_bytes: self.shared.info.hypervisor_bytes + grown,
            hypervisor_free_bytes: heap_free as u64 + pool::free_frames() * PAGE_SIZE,
            ..self.shared.info
        }
    }

    fn quiesce_devices(&mut self) {
        devices::quiesce(self.shared.facts.ecam_buses.1);
    }

    fn print(&mut self, partition: &str, line: &str) {
        log::record(Level::Partition, format_args!("[{partition}] {line}"));
    }

    fn flush_console(&mut self) {
        log::drain_some();
    }

    fn read_log(&mut self, from: u64, line: &mut [u8; LOG_LINE]) -> Option<(usize, u64)> {
        let (sequence, record) = log::read(from)?;
        let text = record.text();
        for (slot, byte) in line.iter_mut().zip(text) {
            *slot = *byte;
        }
        Some((text.len(), sequence + 1))
    }

    fn report(&mut self, message: fmt::Arguments<'_>) {
        for line in alloc::fmt::format(message).lines() {
            info!("{line}");
        }
    }

    fn end(&mut self, end: MachineEnd) -> ! {
        log::set_delivery(log::Delivery::AtOnce);
        match end {
            MachineEnd::PowerOff => {
                info!("the machine ends");
                log::drain_at_end();
                apic::stop_others();
                shutdown::exit_qemu(ExitCode::Clean);
                // A real machine, or an emulator without the runner's device.
                shutdown::power_off();
            }
            MachineEnd::Reset => {
                info!("the machine restarts");
                apic::stop_others();
                shutdown::reset();
            }
        }
        registers::halt()
    }
}
