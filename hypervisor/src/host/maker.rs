//! The running CPU as core's port [`Maker`]: what partitions are made of on this CPU.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bulkhead_core::config::Role;
use bulkhead_core::cpu_shape::CpuShape;
use bulkhead_core::cpuid::CpuidTable;
use bulkhead_core::fault::ResourceError;
use bulkhead_core::frames::FrameAllocator;
use bulkhead_core::host::Host;
use bulkhead_core::id::{CpuId, VcpuId};
use bulkhead_core::lifecycle::maker::{Maker, TscScaling};
use bulkhead_core::local_apic::{LocalApic, ProcessorRole};
use bulkhead_core::machine::Adoption;
use bulkhead_core::msr::Bank;
use bulkhead_core::nested_space::{NestedSpace, NestedTables};
use bulkhead_core::paging::{LongMode, UserBit};
use bulkhead_core::partition::Partition;
use bulkhead_core::pc_board::BoardConfig;
use bulkhead_core::vcpu_record::VcpuRecord;
use bulkhead_hw::pool::{self, Tables};
use bulkhead_hw::probe::Virtualization;
use bulkhead_hw::svm::SvmVcpu;
use bulkhead_hw::vmx::{Ept, VmxVcpu};

use super::this_cpu::ThisCpu;

/// Heap that is left for what other CPUs do at the same time.
const HEAP_MARGIN: usize = 256 << 10;

impl Maker for ThisCpu {
    fn check_heap(&self, bytes: usize) -> Result<(), ResourceError> {
        let mut probe: Vec<u8> = Vec::new();
        probe
            .try_reserve_exact(bytes.saturating_add(HEAP_MARGIN))
            .map_err(|_| ResourceError::HypervisorMemory)
    }

    fn grow_tables(
        &mut self,
        count: u64,
        frames: &mut FrameAllocator<'static>,
    ) -> Result<(), ResourceError> {
        pool::grow(count, frames)
    }

    fn new_space(&mut self) -> Result<Box<dyn NestedSpace>, ResourceError> {
        let shared = self.all();
        let (gigabytes, bits) = (shared.gigabyte_pages(), shared.features.physical_bits);
        Ok(match shared.virtualization {
            Virtualization::Svm(_) => {
                let format = LongMode::new(UserBit::Always, gigabytes, bits);
                Box::new(NestedTables::new(format, Tables, Tables)?)
            }
            Virtualization::Vmx(_) => {
                let format = Ept::new(gigabytes, bits);
                Box::new(NestedTables::new(format, Tables, Tables)?)
            }
        })
    }

    fn new_vcpu(
        &mut self,
        partition: &Arc<Partition>,
        vcpu: VcpuId,
    ) -> Result<Adoption, ResourceError> {
        let shared = self.all();
        let shared_vcpu = partition
            .vcpu(vcpu)
            .ok_or(ResourceError::TableFull("vCPUs"))?
            .clone();
        let maps = match partition.role {
            Role::Management => &shared.management_maps,
            Role::Guest => &shared.guest_maps,
        };
        let role = if vcpu == VcpuId(0) {
            ProcessorRole::Bootstrap
        } else {
            ProcessorRole::Application
        };
        let apic = LocalApic::new(shared_vcpu.apic_id, role, &shared.lapic);
        let (partition, bank) = (partition.clone(), Bank::new(shared.bank));
        Ok(match &shared.virtualization {
            Virtualization::Svm(_) => Adoption::new(Box::new(VcpuRecord::new(
                SvmVcpu::new(maps)?,
                shared_vcpu,
                partition,
                apic,
                bank,
            ))),
            Virtualization::Vmx(probe) => Adoption::new(Box::new(VcpuRecord::new(
                VmxVcpu::new(maps, probe, super::slice(shared.tsc))?,
                shared_vcpu,
                partition,
                apic,
                bank,
            ))),
        })
    }

    fn cpuid_table(&self, shape: &CpuShape) -> CpuidTable {
        self.all().cpuid(shape)
    }

    fn board(&self) -> BoardConfig {
        self.all().board_at(self.now())
    }

    fn has_cpu(&self, cpu: CpuId) -> bool {
        self.all().apic_of(cpu).is_some()
    }

    fn tsc_scaling(&self) -> TscScaling {
        match &self.all().virtualization {
            Virtualization::Vmx(probe) if probe.scales_tsc() => TscScaling::Any,
            Virtualization::Svm(_) | Virtualization::Vmx(_) => TscScaling::None,
        }
    }

    fn physical_bits(&self) -> u8 {
        self.all().features.physical_bits
    }
}
