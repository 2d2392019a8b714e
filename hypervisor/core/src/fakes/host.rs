//! A physical CPU whose clock stands still until a test moves it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use bulkhead_abi::host::HostInfo;
use zerocopy::FromZeros;

use super::memory::{FakeMemory, NestedEntries, NestedFrames};
use super::world;
use crate::addr::Hpa;
use crate::cpu_shape::CpuShape;
use crate::cpuid::CpuidTable;
use crate::fault::ResourceError;
use crate::frames::{FrameAllocator, NodeId};
use crate::host::{Host, HostVectors, LOG_LINE, MachineEnd, SharedPage};
use crate::id::{CpuId, VcpuId, Vector};
use crate::lifecycle::maker::{Maker, TscScaling};
use crate::machine::{Adoption, Machine};
use crate::nested_space::NestedSpace;
use crate::partition::Partition;
use crate::pc_board::BoardConfig;
use crate::time::{Instant, Ticks};

/// What [`Host::end`] unwinds with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended(pub MachineEnd);

/// What was made for partitions, and what may be.
#[derive(Default)]
pub struct Made {
    /// vCPUs so far.
    pub serial: Cell<u64>,
    /// Steps that succeed before all fail; `None`: all succeed.
    pub fuel: Cell<Option<u64>>,
    /// What the CPUs can do about rates of TSCs.
    pub scaling: Cell<TscScaling>,
}

impl Made {
    fn step(&self) -> Result<(), ResourceError> {
        match self.fuel.get() {
            Some(0) => return Err(ResourceError::HypervisorMemory),
            Some(left) => self.fuel.set(Some(left - 1)),
            None => {}
        }
        Ok(())
    }
}

/// The fake CPU. CPUs of one world share memory and clock.
pub struct FakeHost {
    pub cpu: CpuId,
    pub clock: Rc<Cell<u64>>,
    /// How far the clock moves each time it is read.
    pub tick: Cell<u64>,
    pub memory: Rc<RefCell<FakeMemory>>,
    pub machine: &'static Machine,
    pub armed: Instant,
    /// Every deadline that was asked for.
    pub asked: Vec<Instant>,
    pub kicks: RefCell<Vec<CpuId>>,
    pub vectors: HostVectors,
    /// Interrupts that come while the console is being written, after the run loop's look.
    pub while_flushing: Vec<Vector>,
    pub idles: u32,
    pub flushes: u32,
    /// Lines that partitions printed.
    pub lines: Vec<(String, String)>,
    pub reports: Vec<String>,
    pub log: Vec<String>,
    pub quiesced: u32,
    pub made: Rc<Made>,
    tables: (NestedEntries, NestedFrames),
}

impl FakeHost {
    pub fn new(
        cpu: CpuId,
        clock: Rc<Cell<u64>>,
        memory: Rc<RefCell<FakeMemory>>,
        machine: &'static Machine,
        made: Rc<Made>,
        tables: (NestedEntries, NestedFrames),
    ) -> Self {
        Self {
            cpu,
            clock,
            tick: Cell::new(0),
            memory,
            machine,
            armed: Instant::NEVER,
            asked: Vec::new(),
            kicks: RefCell::default(),
            vectors: [0; 4],
            while_flushing: Vec::new(),
            idles: 0,
            flushes: 0,
            lines: Vec::new(),
            reports: Vec::new(),
            log: Vec::new(),
            quiesced: 0,
            made,
            tables,
        }
    }

    /// Time passes.
    pub fn advance(&mut self, span: u64) {
        self.clock.set(self.clock.get() + span);
    }

    /// An interrupt of the host comes.
    pub fn raise(&mut self, vector: Vector) {
        self.vectors[usize::from(vector.0 / 64)] |= 1 << (vector.0 % 64);
    }

    /// The kicks since the last call.
    pub fn take_kicks(&self) -> Vec<CpuId> {
        self.kicks.take()
    }

    /// Whether a report holds `words`.
    pub fn reported(&self, words: &str) -> bool {
        self.reports.iter().any(|report| report.contains(words))
    }
}

impl Maker for FakeHost {
    fn check_heap(&self, _: usize) -> Result<(), ResourceError> {
        self.made.step()
    }

    fn grow_tables(
        &mut self,
        _: u64,
        _: &mut FrameAllocator<'static>,
    ) -> Result<(), ResourceError> {
        self.made.step()
    }

    fn new_space(&mut self) -> Result<Box<dyn NestedSpace>, ResourceError> {
        let (entries, frames) = &self.tables;
        world::empty_space(entries, frames)
    }

    fn new_vcpu(
        &mut self,
        partition: &Arc<Partition>,
        vcpu: VcpuId,
    ) -> Result<Adoption, ResourceError> {
        self.made.step()?;
        Ok(Adoption::new(world::record(&self.made, partition, vcpu)))
    }

    fn cpuid_table(&self, shape: &CpuShape) -> CpuidTable {
        world::cpuid_table(shape)
    }

    fn board(&self) -> BoardConfig {
        world::board()
    }

    fn has_cpu(&self, cpu: CpuId) -> bool {
        cpu.0 < self.machine.cpus()
    }

    fn physical_bits(&self) -> u8 {
        40
    }

    fn tsc_scaling(&self) -> TscScaling {
        self.made.scaling.get()
    }
}

impl Host for FakeHost {
    fn cpu(&self) -> CpuId {
        self.cpu
    }

    fn now(&self) -> Instant {
        self.clock.set(self.clock.get() + self.tick.get());
        Instant(self.clock.get())
    }

    fn arm(&mut self, deadline: Instant) {
        self.asked.push(deadline);
        self.armed = self.armed.min(deadline);
    }

    fn disarmed(&mut self) {
        self.armed = Instant::NEVER;
    }

    fn kick(&self, cpu: CpuId) {
        assert_ne!(cpu, self.cpu, "a CPU kicks itself");
        self.kicks.borrow_mut().push(cpu);
    }

    fn take_vectors(&mut self) -> HostVectors {
        std::mem::take(&mut self.vectors)
    }

    fn has_vectors(&self) -> bool {
        self.vectors != [0; 4]
    }

    fn idle(&mut self) {
        self.idles += 1;
    }

    fn read(&mut self, at: Hpa, bytes: &mut [u8]) {
        self.memory.borrow_mut().read(at, bytes);
    }

    fn write(&mut self, at: Hpa, bytes: &[u8]) {
        self.memory.borrow_mut().write(at, bytes);
    }

    fn zero(&mut self, frame: Hpa) {
        self.memory.borrow_mut().zero(frame);
    }

    fn shared(&mut self, frame: Hpa) -> Option<SharedPage> {
        self.memory.borrow_mut().share(frame)
    }

    fn message(&mut self, cpu: CpuId, vector: Vector, _requester: u16) -> (u32, u32) {
        (0xfee0_0000 | u32::from(cpu.0) << 12, u32::from(vector.0))
    }

    fn message_target(&self, address: u32, data: u32) -> Option<(CpuId, Vector)> {
        if address >> 20 != 0xfee {
            return None;
        }
        let vector = u8::try_from(data).ok()?;
        Some((CpuId((address >> 12 & 0xff) as u16), Vector(vector)))
    }

    fn quiesce_devices(&mut self) {
        self.quiesced += 1;
    }

    fn print(&mut self, partition: &str, line: &str) {
        self.lines.push((partition.to_string(), line.to_string()));
    }

    fn machine(&self) -> &'static Machine {
        self.machine
    }

    fn info(&self) -> HostInfo {
        HostInfo {
            version: bulkhead_abi::VERSION,
            cpus: u32::from(self.machine.cpus()),
            node_free: std::array::from_fn(|node| {
                let works = self.machine.works();
                works.frames.node(NodeId(node as u16)).free_bytes
            }),
            guest_memory_free: self.machine.works().frames.free_bytes(),
            ..HostInfo::new_zeroed()
        }
    }

    fn flush_console(&mut self) {
        self.flushes += 1;
        for vector in std::mem::take(&mut self.while_flushing) {
            self.raise(vector);
        }
    }

    fn read_log(&mut self, from: u64, line: &mut [u8; LOG_LINE]) -> Option<(usize, u64)> {
        let text = self.log.get(usize::try_from(from).ok()?)?;
        line[..text.len()].copy_from_slice(text.as_bytes());
        Some((text.len(), from + 1))
    }

    fn report(&mut self, message: fmt::Arguments<'_>) {
        self.reports.push(message.to_string());
    }

    fn end(&mut self, end: MachineEnd) -> ! {
        std::panic::resume_unwind(Box::new(Ended(end)))
    }
}

/// The slice that tests use.
pub const SLICE: Ticks = Ticks(1000);
