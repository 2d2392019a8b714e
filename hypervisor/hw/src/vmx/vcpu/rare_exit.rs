//! Exits off the hot path.

use bulkhead_core::fault::Exception;
use bulkhead_core::vcpu::{Exit, Gpr, Vcpu, Watch};

use super::{ENTRY_FAILED, IN_NMI, VmxVcpu};
use crate::probe::vmx::bit;
use crate::vmx::access::VmcsAccess;
use crate::vmx::exit_reason as reason;
use crate::vmx::field::Field;
use crate::vmx::instructions::{self, Entered};

const CR0_NW: u64 = 1 << 29;
const CR0_CD: u64 = 1 << 30;
/// Interruption information: valid, error code valid, NMIs were let in again by an IRET that faulted.
const VALID: u64 = 1 << 31;
const HAS_ERROR_CODE: u64 = 1 << 11;
const UNBLOCKED_BY_IRET: u64 = 1 << 12;

impl<A: VmcsAccess> VmxVcpu<A> {
    /// VMLAUNCH or VMRESUME failed.
    #[cold]
    #[inline(never)]
    pub(super) fn refused(&mut self, entered: Entered) -> Exit {
        self.refusal = Some(match entered {
            Entered::Failed => self.vmcs.get(Field::InstructionError) as u32,
            Entered::Exited | Entered::NoVmcs => 0,
        });
        Exit::InvalidState
    }

    /// The exits off the hot path.
    #[cold]
    #[inline(never)]
    pub(super) fn rare_exit(&mut self, number: u32) -> Exit {
        if number & ENTRY_FAILED != 0 {
            // An entry that fails keeps what it was to inject (SDM 3C 26.8): the explanation looks at it.
            self.vmcs.forget();
            if number as u16 == reason::MACHINE_CHECK {
                // SAFETY: the exit has restored the host's segments.
                unsafe { instructions::raise_machine_check() };
                return Exit::MachineCheck;
            }
            return Exit::InvalidState;
        }
        match number as u16 {
            reason::EXCEPTION => self.exception(),
            reason::TRIPLE_FAULT => Exit::TripleFault,
            reason::INIT | reason::START_UP => Exit::Interrupt,
            reason::WINDOW => {
                self.control(bit::WINDOW, Watch::Off);
                if let Some(event) = self.deferred.take() {
                    self.inject(event);
                }
                Exit::Window
            }
            reason::NMI_WINDOW => {
                self.control(bit::NMI_WINDOW, Watch::Off);
                Exit::Window
            }
            reason::PREEMPTION_TIMER => {
                self.vmcs.set(Field::PreemptionTimer, self.longest_run);
                // SAFETY: the exit has restored the host's segments and tables.
                unsafe { instructions::take_interrupts() };
                Exit::Interrupt
            }
            reason::CONTROL_REGISTER => self.control_register(),
            reason::END_OF_INTERRUPT => self.end_of_interrupt(),
            reason::APIC_WRITE => self.apic_write(),
            reason::INVD | reason::WBINVD => Exit::CacheFlush,
            reason::RDPMC => Exit::PerformanceCounter,
            reason::XSETBV => Exit::XSetBv,
            reason::GETSEC
            | reason::RSM
            | reason::VMCLEAR..=reason::VMXON
            | reason::MWAIT
            | reason::MONITOR
            | reason::INVEPT
            | reason::INVVPID
            | reason::VMFUNC => Exit::Undefined,
            _ => Exit::Unknown,
        }
    }

    fn exception(&mut self) -> Exit {
        let information = self.vmcs.get(Field::ExitEvent);
        let vector = information as u8;
        // The kind: 2 is an NMI.
        if information >> 8 & 7 == 2 {
            // SAFETY: the exit has restored the host's segments and tables.
            unsafe { instructions::raise_nmi() };
            return Exit::Interrupt;
        }
        if vector == 18 {
            // SAFETY: as above. The machine, not the guest, has failed.
            unsafe { instructions::raise_machine_check() };
            return Exit::MachineCheck;
        }
        if information & UNBLOCKED_BY_IRET != 0 && self.vmcs.get(Field::VectoringEvent) & VALID == 0
        {
            self.vmcs.update(Field::Interruptibility, 0, IN_NMI);
        }
        self.redeliver();
        if vector == 1 {
            let qualification = self.vmcs.get(Field::Qualification);
            self.resident.note_debug(qualification);
        }
        let error_code =
            (information & HAS_ERROR_CODE != 0).then(|| self.vmcs.get(Field::ExitErrorCode) as u32);
        Exit::Exception(Exception { vector, error_code })
    }

    /// Moves to CR0 exit where they change a bit that the guest does not own: it gets to read what it wrote, and the
    /// instruction runs again, this time without an exit, with all the checks and effects of the CPU's.
    fn control_register(&mut self) -> Exit {
        let qualification = self.vmcs.get(Field::Qualification);
        let (register, access) = (qualification & 0xf, qualification >> 4 & 3);
        match (register, access) {
            (4 | 8, 0) => Exit::ControlWrite,
            (0, 0) => {
                let value = self.gpr(Gpr::from_number((qualification >> 8) as u8));
                if value & (CR0_NW | CR0_CD) == CR0_NW {
                    return Exit::Exception(Exception {
                        vector: 13,
                        error_code: Some(0),
                    });
                }
                self.vmcs.set(Field::Cr0Shadow, value & self.cr0_owned);
                // Nothing has come, but nothing is lost by a look.
                Exit::Window
            }
            _ => Exit::Unknown,
        }
    }
}
