//! Decides what runs the machine: QEMU's emulation, the host's own CPU through QEMU, or Bochs.
//!
//! The decision is a pure function of what was asked for and what the host's KVM has.

use super::{AcceleratorChoice, BackendChoice};
use anyhow::{Result, bail};
use qemu_tests::machine::{Accelerator, Threads};
use std::fs::{self, File};

/// What runs the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bed {
    /// QEMU.
    Qemu(Accelerator),
    /// Bochs, whose emulated CPUs have VMX, which QEMU's have not.
    Bochs,
}

/// What the host's KVM gives to a machine's hypervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kvm {
    /// KVM can be used at all.
    pub usable: bool,
    /// Its guests find SVM.
    pub nested_svm: bool,
    /// Its guests find VMX.
    pub nested_vmx: bool,
}

const DEVICE: &str = "/dev/kvm";
const NESTED_SVM: &str = "/sys/module/kvm_amd/parameters/nested";
const NESTED_VMX: &str = "/sys/module/kvm_intel/parameters/nested";

impl Kvm {
    /// This host's.
    pub fn of_host() -> Self {
        Self {
            usable: File::options().read(true).write(true).open(DEVICE).is_ok(),
            nested_svm: says_yes(fs::read_to_string(NESTED_SVM).ok().as_deref()),
            nested_vmx: says_yes(fs::read_to_string(NESTED_VMX).ok().as_deref()),
        }
    }
}

/// Whether a module's parameter is on; which of the two forms it has depends on the kernel's version.
fn says_yes(parameter: Option<&str>) -> bool {
    parameter.is_some_and(|text| ["1", "Y"].contains(&text.trim()))
}

/// What runs a machine with this backend.
///
/// # Errors
/// KVM is asked for and has no nested virtualization of this kind.
pub fn choose(
    backend: BackendChoice,
    accelerator: Option<AcceleratorChoice>,
    kvm: Kvm,
) -> Result<Bed> {
    let (nested, name, parameter) = match backend {
        BackendChoice::Svm => (kvm.nested_svm, "SVM", NESTED_SVM),
        BackendChoice::Vmx => (kvm.nested_vmx, "VMX", NESTED_VMX),
    };
    let can = kvm.usable && nested;
    match (backend, accelerator) {
        (_, Some(AcceleratorChoice::Kvm)) if !can => {
            bail!(
                "this host's KVM does not offer nested {name} ({DEVICE}, {parameter}): use --accel tcg"
            )
        }
        (_, Some(AcceleratorChoice::Kvm)) => Ok(Bed::Qemu(Accelerator::Kvm)),
        (BackendChoice::Svm, _) => Ok(Bed::Qemu(Accelerator::Tcg(Threads::One))),
        (BackendChoice::Vmx, None) if can => Ok(Bed::Qemu(Accelerator::Kvm)),
        (BackendChoice::Vmx, _) => Ok(Bed::Bochs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AcceleratorChoice::{Kvm as ByKvm, Tcg};
    use BackendChoice::{Svm, Vmx};

    const NOTHING: Kvm = Kvm {
        usable: false,
        nested_svm: false,
        nested_vmx: false,
    };
    const INTEL: Kvm = Kvm {
        usable: true,
        nested_svm: false,
        nested_vmx: true,
    };
    const AMD: Kvm = Kvm {
        usable: true,
        nested_svm: true,
        nested_vmx: false,
    };

    fn chosen(backend: BackendChoice, accelerator: Option<AcceleratorChoice>, kvm: Kvm) -> Bed {
        choose(backend, accelerator, kvm).unwrap()
    }

    #[test]
    fn vmx_runs_on_the_hosts_cpu_where_that_can_be_and_else_in_bochs() {
        assert_eq!(chosen(Vmx, None, INTEL), Bed::Qemu(Accelerator::Kvm));
        for kvm in [NOTHING, AMD] {
            assert_eq!(chosen(Vmx, None, kvm), Bed::Bochs);
        }
        let forbidden = Kvm {
            usable: false,
            ..INTEL
        };
        assert_eq!(chosen(Vmx, None, forbidden), Bed::Bochs);
    }

    #[test]
    fn svm_runs_in_qemus_emulation_unless_asked_otherwise() {
        for kvm in [NOTHING, INTEL, AMD] {
            assert_eq!(
                chosen(Svm, None, kvm),
                Bed::Qemu(Accelerator::Tcg(Threads::One))
            );
        }
        assert_eq!(chosen(Svm, Some(ByKvm), AMD), Bed::Qemu(Accelerator::Kvm));
    }

    #[test]
    fn what_was_asked_for_is_done_or_refused() {
        assert_eq!(chosen(Vmx, Some(Tcg), INTEL), Bed::Bochs);
        assert_eq!(chosen(Vmx, Some(ByKvm), INTEL), Bed::Qemu(Accelerator::Kvm));
        for (backend, kvm) in [(Vmx, AMD), (Vmx, NOTHING), (Svm, INTEL), (Svm, NOTHING)] {
            let error = choose(backend, Some(ByKvm), kvm).unwrap_err().to_string();
            assert!(error.contains("nested"), "{error}");
        }
    }

    #[test]
    fn both_forms_of_the_parameter_are_understood() {
        assert!(says_yes(Some("Y\n")) && says_yes(Some("1\n")));
        assert!(!says_yes(Some("N\n")) && !says_yes(Some("0\n")) && !says_yes(None));
    }
}
