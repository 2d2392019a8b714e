//! Hypercalls: numbers, arguments, results.
//!
//! A hypercall is VMMCALL (AMD) or VMCALL (Intel) at CPL 0 with the number in RAX and arguments in RDI,
//! RSI, RDX, R10 and R8. RAX returns a [`Status`], RDX a value where one is documented (0 otherwise); no
//! other register changes. At CPL 3, or with RAX above the last number, the answer is a status as well:
//! a hypercall never raises an exception except #UD where the CPU itself does.

/// Who may call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    /// Every partition, about itself.
    Guest,
    /// The management partition alone.
    Management,
}

macro_rules! hypercalls {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $right:ident;)*) => {
        /// The hypercalls.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u64)]
        pub enum Number {
            $($(#[$doc])* $name = $number,)*
        }

        impl Number {
            /// One more than the largest number. Not every number below is one: [`Number::from_u64`] tells.
            pub const COUNT: u64 = {
                let numbers: &[u64] = &[$($number,)*];
                match numbers {
                    [.., last] => *last + 1,
                    [] => 0,
                }
            };

            /// The hypercall of this number.
            pub const fn from_u64(number: u64) -> Option<Self> {
                match number {
                    $($number => Some(Number::$name),)*
                    _ => None,
                }
            }

            /// Who may call it.
            pub const fn right(self) -> Right {
                match self {
                    $(Number::$name => Right::$right,)*
                }
            }
        }
    };
}

hypercalls! {
    /// Does nothing.
    Null = 0, Guest;
    /// RDX: [`crate::VERSION`].
    Version = 1, Guest;
    /// Stops the calling partition. RDI: [`StopReason`]. A management partition is started again.
    Stop = 2, Guest;
    /// Fills the page at GPA RDI with a [`crate::host::HostInfo`].
    HostInfo = 3, Management;
    /// Registers the page at GPA RDI as the event page ([`crate::event`]) and RSI as the vector that is
    /// posted to vCPU 0 when an event arrives in an empty page. RDI = 0 unregisters.
    EventPage = 4, Management;
    /// Reserves a host interrupt and binds it to (vCPU RDI, vector RSI) of the caller, for one MSI or MSI-X
    /// entry of the function with requester id RDX. Returns in RDX the message address (low 32 bits) and the
    /// message data (high 32 bits) to program into the device.
    InterruptBind = 5, Management;
    /// Releases the interrupt with message (address, data) RDI as [`Number::InterruptBind`] returned it.
    InterruptRelease = 6, Management;
    /// One more than the largest id of a partition, in RDX. Ids may have gaps: [`Number::PartitionInfo`] answers
    /// [`Status::NotFound`] there.
    PartitionCount = 7, Management;
    /// Fills the page at GPA RSI with the [`crate::host::PartitionInfo`] of partition RDI.
    PartitionInfo = 8, Management;
    /// Fills the page at GPA RSI with the [`crate::crash::CrashRecord`] of partition RDI.
    CrashRecord = 9, Management;
    /// Registers the page at GPA RSI as the I/O request page ([`crate::io`]) of partition RDI and RDX as the first
    /// event port of its requests: slot n of the page raises event port RDX + n. RSI = 0 unregisters.
    IoPage = 10, Management;
    /// Completes the I/O request in slot RSI of partition RDI: the vCPU runs on. For reads the slot's data field
    /// holds the value.
    IoComplete = 11, Management;
    /// Adds a doorbell to partition RDI: RSI = address, RDX = event port | size (1, 2, 4, 8; 0 = any) << 16 |
    /// [`crate::io::Space`] << 24 | (1 << 32 where R10 is the data to match). Returns nothing.
    DoorbellAdd = 12, Management;
    /// Removes the doorbell of partition RDI at address RSI with the same RDX and R10.
    DoorbellRemove = 13, Management;
    /// Sends the message with address RSI and data RDX to partition RDI as if one of its devices had.
    MessageSend = 14, Management;
    /// Sets the input pin RSI of partition RDI's I/O APIC to the level RDX (0 or 1).
    LineSet = 15, Management;
    /// Copies the oldest log line with a number of at least RDI into the 256 bytes at GPA RSI. Returns in RDX its length in
    /// bytes (bits 15:0; 0: there is none yet) and the number to ask for next (bits 63:16).
    LogRead = 16, Management;
    /// Does RSI = [`PartitionAction`] to partition RDI. Done when it returns, but for [`PartitionAction::Stop`] and
    /// [`PartitionAction::Pause`]: there the life-cycle port says when all vCPUs have left guest mode.
    PartitionControl = 17, Management;
    /// Ends the machine or restarts it: RDI = [`MachineAction`].
    Machine = 18, Management;
    /// Registers the event port RSI for life-cycle changes of partition RDI.
    LifecyclePort = 19, Management;
    /// Makes the partition that the [`crate::partition::PartitionRequest`] in the page at GPA RDI describes. Returns its id in RDX:
    /// the lowest that is free. It is stopped and its RAM is not cleared yet ([`Number::MemoryClear`]).
    /// [`Status::NoResource`] leaves nothing behind.
    PartitionCreate = 20, Management;
    /// Ends partition RDI, which does not run, and gives back everything that it has: RAM, tables, doorbells, pages, windows.
    /// [`Status::Busy`] while a CPU still holds a part of it (one that was started or shown): try again soon (an action that was refused so has begun, and the
    /// partition cannot be started again). [`Status::BadArgument`] for a partition of the boot configuration.
    PartitionDestroy = 21, Management;
    /// Maps the RAM of partition RDI, made by [`Number::PartitionCreate`], into the caller's guest-physical space. Returns the base in RDX: the partition's address g
    /// is at base + g; where it has no RAM nothing is mapped. [`Status::BadState`] before all RAM was cleared.
    /// Calling again returns the same base. Devices do not reach windows. It ends with the partition.
    MemoryWindow = 22, Management;
    /// Clears RAM of partition RDI, made by [`Number::PartitionCreate`], which does not run, from GPA RSI on: a piece that takes less than a few milliseconds.
    /// Returns in RDX where to go on, 0 after the last. A new partition must be cleared whole, from 0 on, before it can be started.
    MemoryClear = 23, Management;
    /// Takes the [`crate::partition::BootState`] in the page at GPA RSI as what vCPU 0 of partition RDI, made by
    /// [`Number::PartitionCreate`], starts in each time. [`Status::BadArgument`] for a state that no CPU can be in.
    BootState = 24, Management;
    /// Registers the page at GPA RSI as the console page ([`crate::console`]) of partition RDI and RDX as its event port.
    /// RSI = 0 unregisters.
    ConsolePage = 25, Management;
    /// Tells partition RDI that input was added to its console page.
    ConsoleInput = 26, Management;
    /// Keeps the first RDX bytes, at most a page, of the page at GPA RSI with partition RDI, in place of what was kept there: what
    /// its manager needs to serve it on after a restart of its own. Gone with the partition. RDX = 0 keeps nothing any more.
    StateKeep = 27, Management;
    /// Copies what [`Number::StateKeep`] has kept with partition RDI to the page at GPA RSI. Returns its bytes in RDX, 0 where there
    /// is nothing.
    StateRead = 28, Management;
    /// Gives partition RDI, which may be the caller, the weight RSI, the reservation RDX and the limit R10, with the meaning that
    /// [`crate::partition::PartitionRequest`] gives them; its CPUs take them over at once.
    /// [`Status::NoResource`] where its physical CPUs cannot promise so much, [`Status::Busy`] while another partition is made or
    /// removed; nothing has changed then.
    PartitionShares = 29, Management;
    /// Has vCPU RSI, or all where it is [`crate::partition::ALL_VCPUS`], of partition RDI, which is not the caller, on the physical
    /// CPUs whose bits are set in the four words at the start of the page at GPA RDX; none set: any CPU. One whose CPU is in the set
    /// stays there. Others move, running or not, after their next exit, to the CPU of the set with the least weight on it that has
    /// room for their reservation. Returns in RDX the CPU
    /// that the vCPU, or the last one, is on or moves to. [`Status::NoResource`] where the set has no room for all reservations,
    /// [`Status::Busy`] while another partition is made or removed; nothing has changed then.
    PartitionAffinity = 30, Management;
    /// Copies the state of the vCPUs and of the devices in the hypervisor of partition RDI, which is paused, from byte RDX of it on to the
    /// page at GPA RSI, as much as fits. Returns the length of the state in RDX. With RDX = 0 the state is taken anew, and stays as it was
    /// then for the calls that ask for the rest, until the partition runs on. [`Status::Busy`] while its vCPUs have not
    /// answered, or one of them waits for [`Number::IoComplete`]: try again soon. RAM and what is registered with the partition are not a part
    /// of it, nor is what the caller sends to it ([`Number::MessageSend`], [`Number::LineSet`]) after the call.
    PartitionSave = 31, Management;
    /// Takes the piece from byte RDX on of a state of R10 bytes that [`Number::PartitionSave`] gave, from the page at GPA RSI: a whole page, but
    /// for the last. Returns in RDX where to go on, 0 after the last; RDX = 0 begins anew. With the last piece partition RDI, made by
    /// [`Number::PartitionCreate`], which is paused, or stopped with RAM that was cleared, is in that state and paused, and
    /// goes on by [`PartitionAction::Resume`]. Fill its RAM before. It must have as much RAM and as many vCPUs with the same APIC ids
    /// as the one that was saved; [`Status::BadArgument`] for a state that no such partition can be in, with a
    /// line in the log that says why. All clocks of the guest, its TSC included, go on from what they showed: between a save
    /// and a restore its time stands still. The rates of the two machines' TSCs may differ by a thousandth.
    PartitionRestore = 32, Management;
    /// Has the first RSI vCPUs of partition RDI, made by [`Number::PartitionCreate`], present and the others absent. It may run. Those that come are placed on the
    /// physical CPUs whose bits are set in the four words at the start of the page at GPA RDX (none: any), as at power-up, and wait for their
    /// start-up IPI. Those that go stop where they are, whatever the guest does with them: ask it to let go first. An absent vCPU gets
    /// neither interrupts nor time, and nothing is reserved for it; weight, reservation and limit of the partition are
    /// divided anew among those that are present. [`Status::NoResource`] where the physical CPUs cannot promise that, [`Status::BadArgument`] for
    /// less than one vCPU, for more than it may have, and for fewer than its reservation needs, [`Status::Busy`] while another
    /// partition is made or removed; nothing has changed then.
    PartitionVcpus = 33, Management;
    /// Fills the page at GPA RSI with a [`crate::host::VcpuUsage`] for each vCPU of partition RDI, in the order of their numbers.
    /// Returns in RDX how many they are.
    VcpuUsage = 34, Management;
}

/// What RAX returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// No such hypercall.
    NoSuchCall = 1,
    /// The caller may not do this.
    Denied = 2,
    /// An argument is out of its range.
    BadArgument = 3,
    /// A GPA is not the caller's own RAM, or not aligned as needed.
    BadAddress = 4,
    /// No such partition, vCPU, slot or interrupt.
    NotFound = 5,
    /// The thing exists already, or is in use.
    Busy = 6,
    /// A resource is exhausted; nothing has changed.
    NoResource = 7,
    /// The partition's state does not allow this.
    BadState = 8,
}

impl Status {
    /// The status of this number; `None` for a number of a later version.
    pub const fn from_u64(number: u64) -> Option<Self> {
        Some(match number {
            0 => Status::Ok,
            1 => Status::NoSuchCall,
            2 => Status::Denied,
            3 => Status::BadArgument,
            4 => Status::BadAddress,
            5 => Status::NotFound,
            6 => Status::Busy,
            7 => Status::NoResource,
            8 => Status::BadState,
            _ => return None,
        })
    }
}

/// Why a partition stops itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum StopReason {
    /// It is done; a clean end.
    Done = 0,
    /// It has failed; a crash record is kept.
    Failed = 1,
    /// It wants to be started again from the beginning.
    Restart = 2,
}

/// What to do with a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum PartitionAction {
    /// Start, from stopped, reset or crashed. A partition of the boot configuration is loaded again before; one made by
    /// [`Number::PartitionCreate`] starts in its boot state with the memory that it has.
    Start = 0,
    /// Stop at once, from running or paused.
    Stop = 1,
    /// Take the vCPUs out of guest mode until [`PartitionAction::Resume`]. Virtual time goes on.
    Pause = 2,
    /// Let the vCPUs of a paused partition run again.
    Resume = 3,
}

/// What to do with the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum MachineAction {
    /// Power off.
    PowerOff = 0,
    /// Restart.
    Reset = 1,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_what_they_are() {
        let known = (0..Number::COUNT).filter_map(|number| {
            let call = Number::from_u64(number)?;
            assert_eq!(call as u64, number);
            Some(number)
        });
        assert_eq!(known.max(), Some(Number::COUNT - 1));
        assert_eq!(Number::from_u64(Number::COUNT), None);
    }
}
