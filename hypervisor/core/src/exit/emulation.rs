//! Emulates the instruction at RIP: one that met a device's memory, or INS and OUTS.

use bulkhead_abi::io::Space;

use crate::addr::{Gpa, Gva, PAGE_SIZE};
use crate::decode::{self, CodeSize, Instruction, Machine, Operation, Progress, Segment, Width};
use crate::exit::port;
use crate::exit::{Flow, RESUME, crash, deliver, msr, raise, string_port};
use crate::fault::{Exception, GuestFault, StopCause};
use crate::guest_memory::NotRam;
use crate::host::Host;
use crate::instruction_fetch::{self, FetchError};
use crate::linear_memory::LinearMemory;
use crate::paging::guest_walk::{AccessKind, WalkError};
use crate::platform_devices::IOAPIC_PAGE;
use crate::vcpu::{Direction, Gpr, PortAccess, Vcpu};
use crate::vcpu_record::{Emulated, PendingAccess, Request, VcpuRecord, Work};

/// Emulates the instruction at RIP, with the answers that device accesses have got so far.
pub fn emulate<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H, cause: Emulated) -> Flow {
    vcpu.hw.settle();
    let system = vcpu.hw.system();
    let rip = vcpu.hw.rip();
    let code = match instruction_fetch::fetch(&system, rip, &vcpu.partition.memory, host) {
        Ok(code) => code,
        Err(FetchError::Fault) => return RESUME,
        Err(FetchError::NotRam(gpa)) => {
            return crash::stop(vcpu, host, StopCause::BadGuestMemory, Some(gpa));
        }
    };
    let Ok(instruction) = decode::decode(code.bytes(), CodeSize::of(&system)) else {
        return crash::stop(vcpu, host, StopCause::CannotEmulate, None);
    };
    let mut emulation = Emulation {
        vcpu,
        host,
        answered: 0,
        width: CodeSize::of(&system),
        cause,
    };
    let outcome = match cause {
        Emulated::Memory => decode::emulate(&instruction, &mut emulation, 1),
        Emulated::StringPort(access) if emulation.is_of(&instruction, access) => {
            string_port::iterate(&instruction, &mut emulation)
        }
        // Another CPU has rewritten the code since the exit: the guest runs what is there now.
        Emulated::StringPort(_) => {
            vcpu.io_log.clear();
            return RESUME;
        }
    };
    finish(vcpu, host, &instruction, outcome)
}

fn finish<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    instruction: &Instruction,
    outcome: Result<Progress, Interruption>,
) -> Flow {
    match outcome {
        Ok(Progress::Done) => {
            vcpu.io_log.clear();
            let next = vcpu.hw.rip().wrapping_add(u64::from(instruction.length));
            vcpu.hw.complete(next);
            RESUME
        }
        Ok(Progress::Again) => {
            vcpu.io_log.clear();
            // RIP stays, but an interrupt shadow ends with the first iteration.
            let rip = vcpu.hw.rip();
            vcpu.hw.complete(rip);
            RESUME
        }
        Ok(Progress::Refused) => crash::stop(vcpu, host, StopCause::CannotEmulate, None),
        Err(Interruption::Flow(flow)) => flow,
        Err(Interruption::PageFault { address, code }) => {
            vcpu.hw.set_cr2(address.as_u64());
            let exception = Exception {
                vector: 14,
                error_code: Some(code),
            };
            raise(vcpu, host, GuestFault::Inject(exception))
        }
        Err(Interruption::Protection) => raise(vcpu, host, GuestFault::GP0),
        Err(Interruption::Stop(cause, gpa)) => crash::stop(vcpu, host, cause, Some(gpa)),
    }
}

/// Why an emulated instruction did not come to its end.
pub(super) enum Interruption {
    /// The vCPU leaves the loop, or the device answers later.
    Flow(Flow),
    PageFault {
        address: Gva,
        code: u32,
    },
    Protection,
    Stop(StopCause, Gpa),
}

/// The instruction's machine: the vCPU's registers, its memory, and the devices there.
pub(super) struct Emulation<'a, V, H> {
    pub(super) vcpu: &'a mut VcpuRecord<V>,
    pub(super) host: &'a mut H,
    /// Device accesses of this instruction that were answered before.
    answered: usize,
    width: CodeSize,
    pub(super) cause: Emulated,
}

impl<V: Vcpu, H: Host> Emulation<'_, V, H> {
    /// Whether the instruction is the INS or OUTS of this access.
    fn is_of(&self, instruction: &Instruction, access: PortAccess) -> bool {
        let operation = match access.direction {
            Direction::Read => Operation::Ins,
            Direction::Write => Operation::Outs,
        };
        instruction.operation == operation
            && instruction.width.bytes() == access.size
            && self.register(Gpr::Rdx) as u16 == access.port
    }

    /// Where `address` leads, and how many bytes stay in its page.
    fn translate(&mut self, address: Gva, kind: AccessKind) -> Result<(Gpa, u64), Interruption> {
        let system = self.vcpu.hw.system();
        let mut memory = LinearMemory::new(&system, &self.vcpu.partition.memory, self.host);
        match memory.translate(address, kind) {
            Ok(page) => Ok((page.gpa, page.remaining)),
            Err(WalkError::PageFault { code }) => Err(Interruption::PageFault { address, code }),
            Err(WalkError::NonCanonical) => Err(Interruption::Protection),
            Err(WalkError::Memory(NotRam(gpa))) => {
                Err(Interruption::Stop(StopCause::BadGuestMemory, gpa))
            }
        }
    }

    /// One access that does not leave its page.
    fn access(
        &mut self,
        gpa: Gpa,
        bytes: &mut [u8],
        direction: Direction,
    ) -> Result<(), Interruption> {
        let partition = self.vcpu.partition.clone();
        if partition.memory.locate(gpa).is_ok() {
            let result = match direction {
                Direction::Read => partition.memory.read(self.host, gpa, bytes),
                Direction::Write => partition.memory.write(self.host, gpa, bytes),
            };
            return result.map_err(|NotRam(at)| Interruption::Stop(StopCause::BadGuestMemory, at));
        }
        // Devices know accesses of 1, 2, 4 and 8 bytes; what is left at a page border can be any number below 8.
        let (mut at, mut rest) = (gpa, bytes);
        while !rest.is_empty() {
            let size = 1 << rest.len().min(8).ilog2();
            let (piece, later) = rest.split_at_mut(size);
            self.device_piece(at, piece, direction)?;
            at = at.wrapping_add(size as u64);
            rest = later;
        }
        Ok(())
    }

    /// One access to a device, of a size that devices know.
    fn device_piece(
        &mut self,
        gpa: Gpa,
        bytes: &mut [u8],
        direction: Direction,
    ) -> Result<(), Interruption> {
        let mut value = [0; 8];
        for (slot, byte) in value.iter_mut().zip(bytes.iter()) {
            *slot = *byte;
        }
        let data = u64::from_le_bytes(value);
        let size = bytes.len() as u8;
        let answer = self.once(|emulation| emulation.device(gpa, size, direction, data))?;
        if direction == Direction::Read {
            for (slot, byte) in bytes.iter_mut().zip(answer.to_le_bytes()) {
                *slot = byte;
            }
        }
        Ok(())
    }

    /// An access to a device, unless an earlier attempt at this instruction made it.
    pub(super) fn once(
        &mut self,
        access: impl FnOnce(&mut Self) -> Result<u64, Interruption>,
    ) -> Result<u64, Interruption> {
        if let Some(&answer) = self.vcpu.io_log.get(self.answered) {
            self.answered += 1;
            return Ok(answer);
        }
        let answer = access(self)?;
        // A later access of the same instruction may have to wait: this one must not happen twice.
        let _ = self.vcpu.io_log.push(answer);
        self.answered += 1;
        Ok(answer)
    }

    /// An iteration is done: what it accessed is not accessed again.
    pub(super) fn settle_iteration(&mut self) {
        self.vcpu.io_log.clear();
        self.answered = 0;
    }

    /// Whether writes to all bytes would succeed.
    pub(super) fn check_span(&mut self, address: Gva, bytes: u8) -> Result<(), Interruption> {
        let bytes = u64::from(bytes);
        let (_, remaining) = self.translate(address, AccessKind::Write)?;
        if remaining < bytes {
            self.translate(address.wrapping_add(remaining), AccessKind::Write)?;
        }
        Ok(())
    }

    /// An access to something that is not RAM.
    fn device(
        &mut self,
        gpa: Gpa,
        size: u8,
        direction: Direction,
        data: u64,
    ) -> Result<u64, Interruption> {
        let page = Gpa::new(gpa.as_u64() & !(PAGE_SIZE - 1));
        let offset = (gpa.as_u64() & (PAGE_SIZE - 1)) as u16;
        if self.vcpu.apic.mmio_page() == Some(page) {
            return Ok(self.local_apic(offset, direction, data));
        }
        if page == IOAPIC_PAGE {
            let partition = self.vcpu.partition.clone();
            let (value, woken) = partition.devices.lock().ioapic_access(
                offset,
                direction,
                data as u32,
                &partition,
                self.host,
            );
            deliver::note(self.vcpu, woken);
            return Ok(u64::from(value));
        }
        if direction == Direction::Write
            && let Some(event) = self
                .vcpu
                .doorbells
                .ring(Space::Memory, gpa.as_u64(), size, data)
        {
            let woken = deliver::raise_event(event, self.host);
            deliver::note(self.vcpu, woken.with_time());
            return Ok(0);
        }
        let request = Request {
            space: Space::Memory,
            direction,
            size,
            address: gpa.as_u64(),
            data,
        };
        let pending = PendingAccess::Emulated(self.cause);
        match port::send_request(self.vcpu, self.host, request, pending) {
            Some(flow) => Err(Interruption::Flow(flow)),
            None if self.vcpu.partition.io.lock().orphaned => Ok(u64::MAX),
            None => Err(Interruption::Stop(StopCause::NothingMapped, gpa)),
        }
    }

    /// Registers are 32 bits wide on 16-byte borders; other accesses are undefined, and read as the register's bytes.
    fn local_apic(&mut self, offset: u16, direction: Direction, data: u64) -> u64 {
        let now = self.host.now();
        self.vcpu.reclaim();
        msr::sync_from_cr8(self.vcpu);
        match direction {
            Direction::Read => {
                let register = self.vcpu.apic.read_mmio(offset & !3, now);
                u64::from(register >> (8 * (offset & 3)))
            }
            Direction::Write => {
                let effect = self.vcpu.apic.write_mmio(offset, data as u32, now);
                self.vcpu.hw.set_cr8(self.vcpu.apic.cr8());
                self.vcpu.work |= Work::EVENT;
                let _ = deliver::apply(self.vcpu, self.host, effect);
                0
            }
        }
    }

    /// An access that may cross a page border, piece by piece.
    fn linear(
        &mut self,
        address: Gva,
        bytes: &mut [u8],
        direction: Direction,
    ) -> Result<(), Interruption> {
        let kind = match direction {
            Direction::Read => AccessKind::Read,
            Direction::Write => AccessKind::Write,
        };
        let (gpa, remaining) = self.translate(address, kind)?;
        let split = remaining.min(bytes.len() as u64) as usize;
        let (head, tail) = bytes.split_at_mut(split);
        if tail.is_empty() {
            return self.access(gpa, head, direction);
        }
        // Both pages must be there before either is touched.
        let (next, _) = self.translate(address.wrapping_add(split as u64), kind)?;
        self.access(gpa, head, direction)?;
        self.access(next, tail, direction)
    }
}

impl<V: Vcpu, H: Host> Machine for Emulation<'_, V, H> {
    type Error = Interruption;

    fn register(&self, register: Gpr) -> u64 {
        self.vcpu.hw.gpr(register)
    }

    fn set_register(&mut self, register: Gpr, value: u64) {
        self.vcpu.hw.set_gpr(register, value);
    }

    fn rip(&self) -> u64 {
        self.vcpu.hw.rip()
    }

    fn flags(&self) -> u64 {
        self.vcpu.hw.system().rflags
    }

    fn set_flags(&mut self, flags: u64) {
        self.vcpu.hw.set_rflags(flags);
    }

    fn segment_base(&self, segment: Segment) -> u64 {
        self.vcpu.hw.segment_base(segment)
    }

    fn stack_width(&self) -> Width {
        match self.width {
            CodeSize::Bits64 => Width::Qword,
            _ => self.vcpu.hw.stack_width(),
        }
    }

    fn read(&mut self, address: Gva, width: Width) -> Result<u64, Interruption> {
        let mut value = [0; 8];
        let bytes = value
            .get_mut(..usize::from(width.bytes()))
            .unwrap_or_default();
        self.linear(address, bytes, Direction::Read)?;
        Ok(u64::from_le_bytes(value))
    }

    fn write(&mut self, address: Gva, width: Width, value: u64) -> Result<(), Interruption> {
        let mut bytes = value.to_le_bytes();
        let bytes = bytes
            .get_mut(..usize::from(width.bytes()))
            .unwrap_or_default();
        self.linear(address, bytes, Direction::Write)
    }
}

/// The answer of the management partition came: the instruction goes on where it waited.
pub fn go_on<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    cause: Emulated,
    answer: u64,
) -> Flow {
    if vcpu.io_log.push(answer).is_err() {
        // No instruction makes so many accesses in one iteration.
        return crash::stop(vcpu, host, StopCause::CannotEmulate, None);
    }
    emulate(vcpu, host, cause)
}
