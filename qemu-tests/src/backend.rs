//! The hypervisor's two backends, as tests and benches name them.

use std::fmt::{self, Display, Formatter};

/// A hardware virtualization the hypervisor drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// AMD SVM, under QEMU.
    Svm,
    /// Intel VMX, under Bochs.
    Vmx,
}

impl Display for Backend {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Svm => "svm",
            Self::Vmx => "vmx",
        })
    }
}

/// The backends a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backends {
    /// On each, with the same expectation.
    Both,
    /// On one, for the reason given.
    Only(Backend, &'static str),
}

impl Backends {
    /// Whether the test runs on `backend`.
    pub fn include(self, backend: Backend) -> bool {
        match self {
            Self::Both => true,
            Self::Only(one, _reason) => one == backend,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_for_one_backend_is_not_for_the_other() {
        let only = Backends::Only(Backend::Svm, "nested paging walk order");
        assert!(only.include(Backend::Svm) && !only.include(Backend::Vmx));
        assert!(Backends::Both.include(Backend::Svm) && Backends::Both.include(Backend::Vmx));
    }
}
