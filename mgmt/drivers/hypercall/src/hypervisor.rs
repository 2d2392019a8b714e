//! Typed hypercalls.

use core::fmt;

use bulkhead_abi::hypercall::{MachineAction, Number, PartitionAction, Status, StopReason};
use bulkhead_abi::io::Space;
use bulkhead_abi::partition::ALL_VCPUS;

use crate::EventPort;

/// The instruction that enters the hypervisor.
pub trait Trap {
    /// Makes the hypercall `number` with `arguments` in RDI, RSI, RDX, R10, R8; returns RAX and RDX.
    fn trap(&self, number: u64, arguments: [u64; 5]) -> (u64, u64);
}

/// A partition's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PartitionId(pub u32);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {}", self.0)
    }
}

/// A message-signalled interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// Address that the device writes to.
    pub address: u32,
    /// What it writes.
    pub data: u32,
}

/// The level of an interrupt line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum LineLevel {
    /// Not asserted.
    Low = 0,
    /// Asserted.
    High = 1,
}

/// An address of a partition whose access only raises an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Doorbell {
    /// Port or guest-physical address.
    pub address: u64,
    /// Ports or memory.
    pub space: Space,
    /// Size of the access in bytes; 0 for any.
    pub size: u8,
    /// The data that must be written, where that matters.
    pub data: Option<u64>,
    /// The event.
    pub port: EventPort,
}

impl Doorbell {
    fn arguments(self, partition: PartitionId) -> [u64; 5] {
        let flags = u64::from(self.port.number())
            | u64::from(self.size) << 16
            | (self.space as u64) << 24
            | u64::from(self.data.is_some()) << 32;
        let data = self.data.unwrap_or(0);
        [partition.0.into(), self.address, flags, data, 0]
    }
}

/// What a partition gets of the physical CPUs; as in `bulkhead_abi::partition::PartitionRequest`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shares {
    /// 1 to 10000; 0: 100 for each vCPU.
    pub weight: u32,
    /// Percent of one physical CPU.
    pub reservation_percent: u32,
    /// Percent of one physical CPU; 0: none.
    pub limit_percent: u32,
}

/// The hypervisor's answer where it is not [`Status::Ok`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The call.
    pub call: Number,
    /// The status; `None` where this image does not know it.
    pub status: Option<Status>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.status {
            Some(Status::NoSuchCall) => "it does not have this call",
            Some(Status::Denied) => "this partition may not do that",
            Some(Status::BadArgument) => "an argument is out of range",
            Some(Status::BadAddress) => "an address is not this partition's own memory",
            Some(Status::NotFound) => "there is no such thing",
            Some(Status::Busy) => "it exists already or is in use",
            Some(Status::NoResource) => "a resource is exhausted",
            Some(Status::BadState) => "the partition's state does not allow it",
            Some(Status::Ok) | None => "for a reason that this image does not know",
        };
        write!(f, "the hypervisor refuses {:?}: {why}", self.call)
    }
}

/// The hypervisor. Addresses of pages are guest-physical and must stay valid, as each call says.
#[derive(Clone, Copy)]
pub struct Hypervisor<T>(T);

impl<T: Trap> Hypervisor<T> {
    /// The hypervisor behind this instruction.
    pub const fn new(trap: T) -> Self {
        Hypervisor(trap)
    }

    pub(crate) fn call(&self, number: Number, arguments: [u64; 5]) -> Result<u64, Refusal> {
        let (status, value) = self.0.trap(number as u64, arguments);
        match Status::from_u64(status) {
            Some(Status::Ok) => Ok(value),
            status => Err(Refusal {
                call: number,
                status,
            }),
        }
    }

    /// The contract's version.
    ///
    /// # Errors
    /// The hypervisor's refusal; this holds for all calls here.
    pub fn version(&self) -> Result<u32, Refusal> {
        Ok(self.call(Number::Version, [0; 5])? as u32)
    }

    /// Ends the calling partition; returns only if the hypervisor refuses.
    pub fn stop(&self, reason: StopReason) -> Option<Refusal> {
        self.call(Number::Stop, [reason as u64, 0, 0, 0, 0]).err()
    }

    /// Ends the machine or restarts it; returns only if the hypervisor refuses.
    pub fn end_machine(&self, action: MachineAction) -> Option<Refusal> {
        self.call(Number::Machine, [action as u64, 0, 0, 0, 0])
            .err()
    }

    /// Fills the page with a `HostInfo`.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn host_info(&self, page: u64) -> Result<(), Refusal> {
        self.call(Number::HostInfo, [page, 0, 0, 0, 0])?;
        Ok(())
    }

    /// Makes the page the event page; `vector` is posted when an event arrives in an empty page. The page belongs to
    /// the hypervisor from then on.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn event_page(&self, page: u64, vector: u8) -> Result<(), Refusal> {
        self.call(Number::EventPage, [page, vector.into(), 0, 0, 0])?;
        Ok(())
    }

    /// Reserves an interrupt for one MSI-X entry of the function `requester`, delivered as `vector` to `vcpu`.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn interrupt_bind(
        &self,
        vcpu: u32,
        vector: u8,
        requester: u16,
    ) -> Result<Message, Refusal> {
        let arguments = [vcpu.into(), vector.into(), requester.into(), 0, 0];
        let value = self.call(Number::InterruptBind, arguments)?;
        Ok(Message {
            address: value as u32,
            data: (value >> 32) as u32,
        })
    }

    /// One more than the largest id of a partition; `partition_info` answers `NotFound` where an id is not in use.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn partition_count(&self) -> Result<u32, Refusal> {
        Ok(self.call(Number::PartitionCount, [0; 5])? as u32)
    }

    /// Fills the page with the partition's `PartitionInfo`.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn partition_info(&self, partition: PartitionId, page: u64) -> Result<(), Refusal> {
        self.call(Number::PartitionInfo, [partition.0.into(), page, 0, 0, 0])?;
        Ok(())
    }

    /// Fills the page with a `VcpuUsage` for each vCPU of the partition, and says how many they are.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn vcpu_usage(&self, partition: PartitionId, page: u64) -> Result<usize, Refusal> {
        let count = self.call(Number::VcpuUsage, [partition.0.into(), page, 0, 0, 0])?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Fills the page with the partition's `CrashRecord`.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn crash_record(&self, partition: PartitionId, page: u64) -> Result<(), Refusal> {
        self.call(Number::CrashRecord, [partition.0.into(), page, 0, 0, 0])?;
        Ok(())
    }

    /// Makes the page the partition's I/O request page; slot n raises the event port n after `first`.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn io_page(
        &self,
        partition: PartitionId,
        page: u64,
        first: EventPort,
    ) -> Result<(), Refusal> {
        let arguments = [partition.0.into(), page, first.number().into(), 0, 0];
        self.call(Number::IoPage, arguments)?;
        Ok(())
    }

    /// The request in the slot is answered.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn io_complete(&self, partition: PartitionId, slot: usize) -> Result<(), Refusal> {
        let arguments = [partition.0.into(), slot as u64, 0, 0, 0];
        self.call(Number::IoComplete, arguments)?;
        Ok(())
    }

    /// Adds a doorbell to the partition.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn doorbell_add(&self, partition: PartitionId, bell: Doorbell) -> Result<(), Refusal> {
        self.call(Number::DoorbellAdd, bell.arguments(partition))?;
        Ok(())
    }

    /// Removes a doorbell.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn doorbell_remove(&self, partition: PartitionId, bell: Doorbell) -> Result<(), Refusal> {
        self.call(Number::DoorbellRemove, bell.arguments(partition))?;
        Ok(())
    }

    /// Sends a message to the partition as if one of its devices had.
    ///
    /// # Errors
    /// See [`Hypervisor::version`]; [`Status::BadArgument`] for an address where no interrupt controller is.
    pub fn message_send(&self, partition: PartitionId, message: Message) -> Result<(), Refusal> {
        let arguments = [
            partition.0.into(),
            message.address.into(),
            message.data.into(),
            0,
            0,
        ];
        self.call(Number::MessageSend, arguments)?;
        Ok(())
    }

    /// Sets an input pin of the partition's I/O APIC.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn line_set(
        &self,
        partition: PartitionId,
        pin: u32,
        level: LineLevel,
    ) -> Result<(), Refusal> {
        let arguments = [partition.0.into(), pin.into(), level as u64, 0, 0];
        self.call(Number::LineSet, arguments)?;
        Ok(())
    }

    /// Raises `port` when the partition starts, stops, pauses or crashes.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn lifecycle_port(&self, partition: PartitionId, port: EventPort) -> Result<(), Refusal> {
        let arguments = [partition.0.into(), port.number().into(), 0, 0, 0];
        self.call(Number::LifecyclePort, arguments)?;
        Ok(())
    }

    /// Starts, stops, pauses or resumes a partition. After a stop or a pause the life-cycle port says when it is done.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn partition_control(
        &self,
        partition: PartitionId,
        action: PartitionAction,
    ) -> Result<(), Refusal> {
        let arguments = [partition.0.into(), action as u64, 0, 0, 0];
        self.call(Number::PartitionControl, arguments)?;
        Ok(())
    }

    /// Makes the partition that the `PartitionRequest` in the page describes; nobody holds the page afterwards. Its RAM must be
    /// cleared by [`Hypervisor::memory_clear`] before it can be reached or started.
    ///
    /// # Errors
    /// See [`Hypervisor::version`]; nothing is left behind. [`Status::Busy`]: another vCPU of ours makes or removes a partition.
    pub fn partition_create(&self, page: u64) -> Result<PartitionId, Refusal> {
        let id = self.call(Number::PartitionCreate, [page, 0, 0, 0, 0])?;
        Ok(PartitionId(id as u32))
    }

    /// Gives a partition, also our own, this weight, reservation and limit; numbers as in `PartitionRequest`.
    ///
    /// # Errors
    /// See [`Hypervisor::version`]; nothing has changed. [`Status::NoResource`]: its physical CPUs cannot promise so much.
    pub fn partition_shares(&self, partition: PartitionId, shares: Shares) -> Result<(), Refusal> {
        let arguments = [
            partition.0.into(),
            shares.weight.into(),
            shares.reservation_percent.into(),
            shares.limit_percent.into(),
            0,
        ];
        self.call(Number::PartitionShares, arguments)?;
        Ok(())
    }

    /// Has one vCPU of another partition, or all, on the physical CPUs whose bits are set in the four words at the start of the
    /// page, no bit for any; running vCPUs move when they exit next. Returns the CPU of the vCPU, or of the last one.
    ///
    /// # Errors
    /// See [`Hypervisor::version`]; nothing has changed. [`Status::NoResource`]: the CPUs have no room for what the partition was
    /// promised; [`Status::BadArgument`]: none of them runs partitions, or the partition is our own.
    pub fn partition_affinity(
        &self,
        partition: PartitionId,
        vcpu: Option<u32>,
        page: u64,
    ) -> Result<u16, Refusal> {
        let vcpu = vcpu.unwrap_or(ALL_VCPUS);
        let arguments = [partition.0.into(), vcpu.into(), page, 0, 0];
        let cpu = self.call(Number::PartitionAffinity, arguments)?;
        Ok(cpu as u16)
    }

    /// Has the first `count` vCPUs of a partition present and the others absent, running or not. Those that come are placed on
    /// the physical CPUs of the page, as for [`Hypervisor::partition_affinity`].
    ///
    /// # Errors
    /// See [`Hypervisor::version`]; nothing has changed. [`Status::NoResource`]: the CPUs have no room for what the partition was
    /// promised; [`Status::BadArgument`]: it cannot have so many, or needs more for what it was promised.
    pub fn partition_vcpus(
        &self,
        partition: PartitionId,
        count: u32,
        page: u64,
    ) -> Result<(), Refusal> {
        let arguments = [partition.0.into(), count.into(), page, 0, 0];
        self.call(Number::PartitionVcpus, arguments)?;
        Ok(())
    }

    /// Ends a partition that does not run and gives back all that it has. Its window must not be touched from the first call on.
    ///
    /// # Errors
    /// See [`Hypervisor::version`]; after [`Status::Busy`] the call must be made again soon: other CPUs have yet to let go.
    pub fn partition_destroy(&self, partition: PartitionId) -> Result<(), Refusal> {
        self.call(Number::PartitionDestroy, [partition.0.into(), 0, 0, 0, 0])?;
        Ok(())
    }

    /// Maps the RAM of a partition, cleared before, into the caller's guest-physical space and returns the base: the partition's
    /// address g is at base + g. Again and again the same base, until the partition is destroyed; the base is a multiple of 1 GiB.
    /// Code cannot be run there, and devices do not reach it.
    ///
    /// # Errors
    /// See [`Hypervisor::version`]; [`Status::BadState`] before all of its RAM was cleared.
    pub fn memory_window(&self, partition: PartitionId) -> Result<u64, Refusal> {
        self.call(Number::MemoryWindow, [partition.0.into(), 0, 0, 0, 0])
    }

    /// Clears a piece of the RAM of a partition that does not run, from address `from` on. Returns where to go on; `None` after
    /// the last piece.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn memory_clear(&self, partition: PartitionId, from: u64) -> Result<Option<u64>, Refusal> {
        let arguments = [partition.0.into(), from, 0, 0, 0];
        let next = self.call(Number::MemoryClear, arguments)?;
        Ok((next != 0).then_some(next))
    }

    /// Takes the `BootState` in the page as what vCPU 0 of the partition starts in from now on; nobody holds the page afterwards.
    ///
    /// # Errors
    /// See [`Hypervisor::version`]; [`Status::BadArgument`] for a state that no CPU can be in.
    pub fn boot_state(&self, partition: PartitionId, page: u64) -> Result<(), Refusal> {
        let arguments = [partition.0.into(), page, 0, 0, 0];
        self.call(Number::BootState, arguments)?;
        Ok(())
    }

    /// Makes the page the console page of the partition, and `port` its event. The page belongs to the hypervisor until
    /// [`Hypervisor::console_page_remove`] or the partition's end.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn console_page(
        &self,
        partition: PartitionId,
        page: u64,
        port: EventPort,
    ) -> Result<(), Refusal> {
        let arguments = [partition.0.into(), page, port.number().into(), 0, 0];
        self.call(Number::ConsolePage, arguments)?;
        Ok(())
    }

    /// Takes the console page back; the partition's output is dropped from now on.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn console_page_remove(&self, partition: PartitionId) -> Result<(), Refusal> {
        self.call(Number::ConsolePage, [partition.0.into(), 0, 0, 0, 0])?;
        Ok(())
    }

    /// Says that input was added to the partition's console page.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn console_input(&self, partition: PartitionId) -> Result<(), Refusal> {
        self.call(Number::ConsoleInput, [partition.0.into(), 0, 0, 0, 0])?;
        Ok(())
    }

    /// Keeps the first `bytes` of the page with the partition, for whoever serves it after a restart of ours; nobody holds the
    /// page afterwards.
    ///
    /// # Errors
    /// See [`Hypervisor::version`]; what was kept before is kept on.
    pub fn state_keep(
        &self,
        partition: PartitionId,
        page: u64,
        bytes: usize,
    ) -> Result<(), Refusal> {
        let arguments = [partition.0.into(), page, bytes as u64, 0, 0];
        self.call(Number::StateKeep, arguments)?;
        Ok(())
    }

    /// Copies what is kept with the partition into the page, and returns its bytes; 0: nothing is kept.
    ///
    /// # Errors
    /// See [`Hypervisor::version`].
    pub fn state_read(&self, partition: PartitionId, page: u64) -> Result<usize, Refusal> {
        let arguments = [partition.0.into(), page, 0, 0, 0];
        let bytes = self.call(Number::StateRead, arguments)?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    struct Fake {
        calls: RefCell<Vec<(u64, [u64; 5])>>,
        answer: (u64, u64),
    }

    impl Trap for &Fake {
        fn trap(&self, number: u64, arguments: [u64; 5]) -> (u64, u64) {
            self.calls.borrow_mut().push((number, arguments));
            self.answer
        }
    }

    fn fake(answer: (u64, u64)) -> Fake {
        Fake {
            calls: RefCell::default(),
            answer,
        }
    }

    #[test]
    fn an_interrupt_comes_back_as_a_message() {
        let fake = fake((0, 0x31_fee0_0000));
        let message = Hypervisor::new(&fake).interrupt_bind(0, 0x40, 0x18);
        assert_eq!(
            message,
            Ok(Message {
                address: 0xfee0_0000,
                data: 0x31
            })
        );
        assert_eq!(*fake.calls.borrow(), [(5, [0, 0x40, 0x18, 0, 0])]);
    }

    #[test]
    fn a_doorbell_is_packed_as_the_contract_says() {
        let fake = fake((0, 0));
        let bell = Doorbell {
            address: 0xb10,
            space: Space::Memory,
            size: 4,
            data: Some(9),
            port: EventPort::new(100).unwrap(),
        };
        Hypervisor::new(&fake)
            .doorbell_add(PartitionId(2), bell)
            .unwrap();
        let flags = 100 | 4 << 16 | 1 << 24 | 1 << 32;
        assert_eq!(*fake.calls.borrow(), [(12, [2, 0xb10, flags, 9, 0])]);
    }

    #[test]
    fn messages_and_lines_are_packed_as_the_contract_says() {
        let fake = fake((0, 0));
        let message = Message {
            address: 0xfee0_1000,
            data: 0x41,
        };
        let hypervisor = Hypervisor::new(&fake);
        hypervisor.message_send(PartitionId(2), message).unwrap();
        let high = LineLevel::High;
        hypervisor.line_set(PartitionId(2), 9, high).unwrap();
        let calls = [(14, [2, 0xfee0_1000, 0x41, 0, 0]), (15, [2, 9, 1, 0, 0])];
        assert_eq!(*fake.calls.borrow(), calls);
    }

    #[test]
    fn shares_and_affinities_go_in_the_order_of_the_contract() {
        let fake = fake((0, 0));
        let shares = Shares {
            weight: 300,
            reservation_percent: 20,
            limit_percent: 50,
        };
        let hypervisor = Hypervisor::new(&fake);
        hypervisor.partition_shares(PartitionId(2), shares).unwrap();
        let cpu = hypervisor.partition_affinity(PartitionId(2), None, 0x5000);
        assert_eq!(cpu, Ok(0));
        let calls = [
            (29, [2, 300, 20, 50, 0]),
            (30, [2, 0xffff_ffff, 0x5000, 0, 0]),
        ];
        assert_eq!(*fake.calls.borrow(), calls);
    }

    #[test]
    fn memory_is_cleared_until_the_hypervisor_says_zero() {
        let fake = fake((0, 0x40_0000));
        let hypervisor = Hypervisor::new(&fake);
        assert_eq!(
            hypervisor.memory_clear(PartitionId(3), 0),
            Ok(Some(0x40_0000))
        );
        assert_eq!(*fake.calls.borrow(), [(23, [3, 0, 0, 0, 0])]);
        let fake = self::fake((0, 0));
        let last = Hypervisor::new(&fake).memory_clear(PartitionId(3), 0x40_0000);
        assert_eq!(last, Ok(None));
    }

    #[test]
    fn refusals_say_what_and_why() {
        let fake = fake((5, 0));
        let refusal = Hypervisor::new(&fake).partition_count().unwrap_err();
        assert_eq!(
            std::format!("{refusal}"),
            "the hypervisor refuses PartitionCount: there is no such thing"
        );
        let fake = self::fake((99, 0));
        let refusal = Hypervisor::new(&fake).version().unwrap_err();
        assert_eq!(refusal.status, None);
    }
}
