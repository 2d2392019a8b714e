//! Exits off the hot path.

use bulkhead_core::fault::Exception;
use bulkhead_core::vcpu::{Exit, Vcpu, Watch};

use super::SvmVcpu;
use crate::svm::exit_code as code;
use crate::svm::instructions;
use crate::svm::vmcb::{Event, EventKind, TlbControl};

impl SvmVcpu {
    /// Queues the event again whose delivery the exit interrupted.
    #[cold]
    #[inline(never)]
    pub(super) fn redeliver(&mut self, event: Event) {
        match event.kind() {
            // RIP still points to the INT, INT3 or INTO, which will run again.
            EventKind::Software | EventKind::Reserved => {}
            EventKind::Exception if matches!(event.vector(), 3 | 4) => {}
            // QEMU calls a virtual interrupt so; it waits on.
            EventKind::Exception if event.vector() >= 32 => {}
            EventKind::Interrupt | EventKind::Nmi | EventKind::Exception => {
                self.inject(event);
            }
        }
    }

    /// The exits off the hot path.
    #[cold]
    #[inline(never)]
    pub(super) fn rare_exit(&mut self, exit_code: u32) -> Exit {
        match exit_code {
            code::VINTR => {
                self.block.vmcb.set_window(Watch::Off);
                if let Some(event) = self.deferred.take() {
                    self.inject(event);
                }
                Exit::Window
            }
            // The handler of an NMI is about to return: the next one may come, but only behind this instruction.
            code::IRET => {
                let vmcb = &mut self.block.vmcb;
                vmcb.set_nmi_blocked(Watch::Off);
                vmcb.begin_shadow();
                // Whoever hears of a window takes it for closed, and asks again where another one is needed.
                vmcb.set_window(Watch::Off);
                if self.deferred.is_some() {
                    self.request_window();
                }
                Exit::Window
            }
            code::CR_WRITE_0..=code::CR_WRITE_15 => Exit::ControlWrite,
            // #MC: the intercept came before any handler. The machine, not the guest, has failed.
            0x52 => {
                self.park();
                // SAFETY: `park` has restored the host's segments.
                unsafe { instructions::raise_machine_check() };
                Exit::MachineCheck
            }
            code::EXCEPTION_0..=code::EXCEPTION_31 => {
                let vector = (exit_code - code::EXCEPTION_0) as u8;
                let error_code = match vector {
                    8 | 10..=14 | 17 | 21 | 29 | 30 => Some(self.block.vmcb.exit_info_1() as u32),
                    _ => None,
                };
                Exit::Exception(Exception { vector, error_code })
            }
            code::INVD | code::WBINVD => Exit::CacheFlush,
            code::RDPMC => Exit::PerformanceCounter,
            code::XSETBV => Exit::XSetBv,
            code::RSM
            | code::INVLPGA
            | code::VMRUN
            | code::VMLOAD..=code::SKINIT
            | code::MONITOR
            | code::MWAIT
            | code::RDPRU => Exit::Undefined,
            code::SHUTDOWN => Exit::TripleFault,
            code::INVALID => {
                // A refused entry flushes nothing: what was demanded stays demanded.
                self.block.vmcb.set_tlb_control(TlbControl::All);
                Exit::InvalidState
            }
            _ => Exit::Unknown,
        }
    }
}
