//! Makes vCPU records for the CPU that adopts them.

use alloc::boxed::Box;

use bulkhead_core::config::Role;
use bulkhead_core::cpu_loop::Maker;
use bulkhead_core::fault::ResourceError;
use bulkhead_core::id::VcpuId;
use bulkhead_core::local_apic::{LocalApic, ProcessorRole};
use bulkhead_core::machine::Adoption;
use bulkhead_core::msr::Bank;
use bulkhead_core::vcpu_record::VcpuRecord;
use bulkhead_hw::svm::SvmVcpu;

use super::shared::Shared;

/// Makes vCPUs on SVM.
pub struct SvmMaker {
    shared: &'static Shared,
}

impl SvmMaker {
    /// With what all CPUs share.
    pub fn new(shared: &'static Shared) -> Self {
        Self { shared }
    }
}

impl Maker<SvmVcpu> for SvmMaker {
    fn make(&mut self, adoption: &Adoption) -> Result<Box<VcpuRecord<SvmVcpu>>, ResourceError> {
        let partition = &adoption.partition;
        let shared_vcpu = partition
            .vcpu(adoption.vcpu)
            .ok_or(ResourceError::TableFull("vCPUs"))?
            .clone();
        let maps = match partition.role {
            Role::Management => &self.shared.management_maps,
            Role::Guest => &self.shared.guest_maps,
        };
        let role = if adoption.vcpu == VcpuId(0) {
            ProcessorRole::Bootstrap
        } else {
            ProcessorRole::Application
        };
        let apic = LocalApic::new(shared_vcpu.apic_id, role, &self.shared.lapic);
        let hw = SvmVcpu::new(maps)?;
        let bank = Bank::new(self.shared.bank);
        Ok(Box::new(VcpuRecord::new(
            hw,
            shared_vcpu,
            partition.clone(),
            apic,
            bank,
        )))
    }
}
