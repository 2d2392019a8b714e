//! What a boot asks for: partitions, as the text of the `partitions.conf` boot module.
//!
//! Called by the image builder and the machine-test runner; the hypervisor parses the text. One line each:
//! `partition name=NAME image=MODULE memory=16M cpus=2 [pin=0,1] [args="..."] [management]`.

use std::fmt::{self, Display, Formatter, Write};

/// The boot module that holds the text.
pub const FILE_NAME: &str = "partitions.conf";

/// Name of the product's management partition; the console shows it before each of its lines.
pub const MANAGEMENT_NAME: &str = "management";
/// Its boot module, named like its package.
pub const MANAGEMENT_IMAGE: &str = "bulkhead-mgmt";
/// Its memory in MiB.
const MANAGEMENT_MEMORY: u32 = 64;

/// One partition to be created at boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    name: String,
    image: String,
    memory_mib: u32,
    cpus: u32,
    pins: Vec<u32>,
    arguments: String,
    role: Role,
}

/// What a partition may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An ordinary guest.
    Guest,
    /// The management partition: extra hypercall rights, identity-mapped memory, the physical devices.
    Management,
}

impl Partition {
    /// A guest named `name` with one vCPU and 16 MiB that runs the boot module `image`.
    pub fn new(name: impl Into<String>, image: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            image: image.into(),
            memory_mib: 16,
            cpus: 1,
            pins: Vec::new(),
            arguments: String::new(),
            role: Role::Guest,
        }
    }

    /// The product's management partition.
    pub fn product_management() -> Self {
        Self::new(MANAGEMENT_NAME, MANAGEMENT_IMAGE)
            .memory_mib(MANAGEMENT_MEMORY)
            .management()
    }

    /// With this much memory, in MiB.
    #[must_use]
    pub fn memory_mib(mut self, mib: u32) -> Self {
        self.memory_mib = mib;
        self
    }

    /// With this many vCPUs.
    #[must_use]
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// With vCPU n on physical CPU `pins[n]`, for itself.
    #[must_use]
    pub fn pinned(mut self, pins: impl Into<Vec<u32>>) -> Self {
        self.pins = pins.into();
        self
    }

    /// With this command line for the image. It cannot hold a quotation mark: the text has no escape.
    #[must_use]
    pub fn arguments(mut self, arguments: impl Into<String>) -> Self {
        self.arguments = arguments.into().replace('"', "'");
        self
    }

    /// As the management partition.
    #[must_use]
    pub fn management(mut self) -> Self {
        self.role = Role::Management;
        self
    }

    /// The partition's name, as the console shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The boot module the partition starts from.
    pub fn image(&self) -> &str {
        &self.image
    }
}

impl Display for Partition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            image,
            memory_mib,
            cpus,
            ..
        } = self;
        write!(
            f,
            "partition name={name} image={image} memory={memory_mib}M cpus={cpus}"
        )?;
        for (index, pin) in self.pins.iter().enumerate() {
            f.write_str(if index == 0 { " pin=" } else { "," })?;
            write!(f, "{pin}")?;
        }
        if !self.arguments.is_empty() {
            write!(f, " args=\"{}\"", self.arguments)?;
        }
        match self.role {
            Role::Guest => Ok(()),
            Role::Management => f.write_str(" management"),
        }
    }
}

/// The text of `partitions.conf`.
pub fn configuration(partitions: &[Partition]) -> String {
    partitions
        .iter()
        .fold(String::new(), |mut text, partition| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{partition}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_guest_has_only_the_required_fields() {
        assert_eq!(
            Partition::new("a", "hello").to_string(),
            "partition name=a image=hello memory=16M cpus=1"
        );
    }

    #[test]
    fn every_option_has_its_field() {
        let full = Partition::new("mgmt", "bulkhead-mgmt")
            .memory_mib(64)
            .cpus(2)
            .pinned([0, 1])
            .arguments("port=5988 name=\"x\"")
            .management();
        assert_eq!(
            full.to_string(),
            "partition name=mgmt image=bulkhead-mgmt memory=64M cpus=2 pin=0,1 \
             args=\"port=5988 name='x'\" management"
        );
    }

    #[test]
    fn the_configuration_has_one_line_each() {
        let text = configuration(&[Partition::new("a", "x"), Partition::new("b", "y")]);
        assert_eq!(text.lines().count(), 2);
        assert!(text.ends_with('\n'));
        assert_eq!(configuration(&[]), "");
    }
}
