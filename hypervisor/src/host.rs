//! The partitions' side of the machine: what all CPUs share, the partitions of the boot configuration, and each CPU's run loop.

mod configured;
mod devices;
mod dma;
mod maker;
mod shared;
mod this_cpu;

use alloc::boxed::Box;

use bulkhead_core::cpu_loop::CpuLoop;
use bulkhead_core::fault::ResourceError;
use bulkhead_core::host::MachineEnd;
use bulkhead_core::time::{Hertz, Ticks};
use bulkhead_core::vcpu::Vcpu;
use bulkhead_hw::percpu::PerCpu;
use bulkhead_hw::probe::Virtualization;
use bulkhead_hw::svm::{SvmCpu, SvmVcpu};
use bulkhead_hw::vmx::{VmxCpu, VmxVcpu};
use bulkhead_hw::{error, info, log, registers};

use crate::bringup::Platform;
use shared::Shared;
use this_cpu::ThisCpu;

/// Turns of vCPUs that share a CPU, as a fraction of a second: 5 ms.
const SLICES_PER_SECOND: u64 = 200;

/// How long a turn is.
fn slice(tsc: Hertz) -> Ticks {
    Ticks(tsc.get() / SLICES_PER_SECOND)
}

/// The boot CPU's part.
pub fn start(platform: Box<Platform>) -> ! {
    let block = PerCpu::current();
    let shared = match Shared::publish(*platform) {
        Ok(shared) => shared,
        Err(error) => {
            error!("cannot run partitions: {error}");
            registers::halt();
        }
    };
    let mut cpu = ThisCpu::new(block, shared);
    // What they take from the heap is taken before the first partition looks how much there is.
    shared.wait_for_others();
    info!("{} CPUs ready", shared.cpus.len());
    configured::start_all(shared, &mut cpu);
    if shared.machine.partition_count() == 0 {
        info!("no partition is configured");
        if shared.machine.when_done() == bulkhead_core::machine::WhenDone::PowerOff {
            bulkhead_core::host::Host::end(&mut cpu, MachineEnd::PowerOff);
        }
    }
    log::set_delivery(log::Delivery::WhenIdle);
    run(cpu)
}

/// A further CPU's part.
pub fn start_ap(block: &'static PerCpu) -> ! {
    let shared = Shared::wait();
    run(ThisCpu::new(block, shared))
}

/// Each CPU's end: its run loop, specialised for the virtualization that it has.
fn run(cpu: ThisCpu) -> ! {
    match &cpu.all().virtualization {
        Virtualization::Svm(_) => {
            let svm = SvmCpu::enable(cpu.id());
            run_on::<SvmVcpu>(cpu, svm)
        }
        Virtualization::Vmx(probe) => {
            let vmx = VmxCpu::enable(cpu.id(), probe);
            run_on::<VmxVcpu>(cpu, vmx)
        }
    }
}

fn run_on<V: Vcpu>(mut cpu: ThisCpu, enabled: Result<V::Cpu, ResourceError>) -> ! {
    let backend = match enabled {
        Ok(backend) => backend,
        Err(error) => {
            error!("CPU {}: {error}", cpu.id());
            registers::halt();
        }
    };
    let slice = slice(cpu.all().tsc);
    let mut run_loop = CpuLoop::<V>::new(backend, slice);
    cpu.all().arrive();
    // SAFETY: the IDT is loaded; interrupt stubs take no lock.
    unsafe { registers::enable_interrupts() };
    run_loop.run(&mut cpu)
}
