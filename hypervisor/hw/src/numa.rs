//! NUMA nodes: usable memory by node, and the node of each CPU.

use bulkhead_core::addr::HpaRange;
use bulkhead_core::fault::ResourceError;
use bulkhead_core::frames::{NodeId, NodeRange};
use bulkhead_core::id::ApicId;
use heapless::Vec;

use crate::acpi::{Domain, Srat};

/// Most nodes that are told apart; CPUs and memory of further ones count for node 0.
pub const MAX_NODES: usize = 16;

/// The firmware's domains in the order of their first mention, which is the order of our nodes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Nodes {
    domains: Vec<Domain, MAX_NODES>,
}

impl Nodes {
    /// The nodes of `srat`: those with memory first.
    pub fn of(srat: &Srat) -> Self {
        let mut nodes = Nodes::default();
        let memory = srat.memory.iter().map(|entry| entry.domain);
        let cpus = srat.cpus.iter().map(|entry| entry.domain);
        for domain in memory.chain(cpus) {
            if !nodes.domains.contains(&domain) {
                let _beyond = nodes.domains.push(domain);
            }
        }
        nodes
    }

    /// How many nodes there are, at least one.
    pub fn count(&self) -> usize {
        self.domains.len().max(1)
    }

    /// The node of a domain.
    pub fn node(&self, domain: Domain) -> NodeId {
        let index = self.domains.iter().position(|known| *known == domain);
        NodeId(index.unwrap_or(0) as u16)
    }

    /// The node of a CPU.
    pub fn of_cpu(&self, srat: &Srat, apic: ApicId) -> NodeId {
        srat.cpus
            .iter()
            .find(|entry| entry.apic == apic)
            .map_or(NodeId(0), |entry| self.node(entry.domain))
    }

    /// Splits the usable range by nodes into `parts`; what no domain claims is node 0's. A byte
    /// that two domains claim is the first one's.
    ///
    /// # Errors
    /// [`ResourceError::TableFull`] where `parts` is full.
    pub fn split<const N: usize>(
        &self,
        srat: &Srat,
        usable: HpaRange,
        parts: &mut Vec<NodeRange, N>,
    ) -> Result<(), ResourceError> {
        let mut start = usable.start;
        while start < usable.end {
            let (node, end) = self.run(srat, start, usable.end);
            let range = HpaRange { start, end };
            parts
                .push(NodeRange { node, range })
                .map_err(|_| ResourceError::TableFull("memory ranges"))?;
            start = end;
        }
        Ok(())
    }

    /// The node of the byte at `start`, and where its run ends, at most at `limit`.
    fn run(
        &self,
        srat: &Srat,
        start: bulkhead_core::addr::Hpa,
        limit: bulkhead_core::addr::Hpa,
    ) -> (NodeId, bulkhead_core::addr::Hpa) {
        let holder = srat
            .memory
            .iter()
            .position(|entry| entry.range.start <= start && start < entry.range.end);
        let claimed = |index: usize| srat.memory.get(index);
        let mut end = holder
            .and_then(claimed)
            .map_or(limit, |entry| entry.range.end.min(limit));
        // An entry before the holder takes over where it begins.
        let before = holder.unwrap_or(srat.memory.len());
        for entry in srat.memory.iter().take(before) {
            if entry.range.start > start {
                end = end.min(entry.range.start);
            }
        }
        let node = holder
            .and_then(claimed)
            .map_or(NodeId(0), |entry| self.node(entry.domain));
        (node, end)
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_core::addr::Hpa;

    use super::*;
    use crate::acpi::{CpuAffinity, MemoryAffinity};

    fn range(start: u64, end: u64) -> HpaRange {
        HpaRange {
            start: Hpa::new(start),
            end: Hpa::new(end),
        }
    }

    fn two_nodes() -> Srat {
        let mut srat = Srat::default();
        for (start, end, domain) in [
            (0, 0x8000_0000, 5),
            (0x1_0000_0000, 0x1_8000_0000, 9),
            (0x8000_0000, 0xc000_0000, 9),
        ] {
            let affinity = MemoryAffinity {
                range: range(start, end),
                domain: Domain(domain),
            };
            srat.memory.push(affinity).unwrap();
        }
        srat.cpus
            .push(CpuAffinity {
                apic: ApicId(3),
                domain: Domain(9),
            })
            .unwrap();
        srat
    }

    #[test]
    fn memory_is_split_at_the_borders_of_nodes() {
        let srat = two_nodes();
        let nodes = Nodes::of(&srat);
        let mut parts = Vec::<_, 8>::new();
        nodes
            .split(&srat, range(0x10_0000, 0xbf00_0000), &mut parts)
            .unwrap();
        nodes
            .split(&srat, range(0x1_0000_0000, 0x2_0000_0000), &mut parts)
            .unwrap();
        let found: std::vec::Vec<_> = parts.iter().map(|part| (part.node.0, part.range)).collect();
        assert_eq!(
            found,
            [
                (0, range(0x10_0000, 0x8000_0000)),
                (1, range(0x8000_0000, 0xbf00_0000)),
                (1, range(0x1_0000_0000, 0x1_8000_0000)),
                (0, range(0x1_8000_0000, 0x2_0000_0000)),
            ]
        );
    }

    #[test]
    fn cpus_find_their_node() {
        let srat = two_nodes();
        let nodes = Nodes::of(&srat);
        assert_eq!(nodes.count(), 2);
        assert_eq!(nodes.of_cpu(&srat, ApicId(3)), NodeId(1));
        assert_eq!(nodes.of_cpu(&srat, ApicId(4)), NodeId(0));
        assert_eq!(Nodes::default().count(), 1);
    }

    #[test]
    fn overlapping_claims_go_to_the_first() {
        let mut srat = two_nodes();
        srat.memory[0].range = range(0x4000_0000, 0x5000_0000);
        srat.memory[1].range = range(0, 0x8000_0000);
        let nodes = Nodes::of(&srat);
        let mut parts = Vec::<_, 8>::new();
        nodes
            .split(&srat, range(0, 0x8000_0000), &mut parts)
            .unwrap();
        let found: std::vec::Vec<_> = parts.iter().map(|part| part.node.0).collect();
        assert_eq!(found, [1, 0, 1]);
    }
}
