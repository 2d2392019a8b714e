//! [`NodeMemory`]: an amount of RAM by the NUMA nodes that it is on.

use alloc::vec::Vec;

/// Bytes of RAM by NUMA node. A machine without nodes has one.
#[derive(Clone, Debug, Default, Eq)]
pub struct NodeMemory(Vec<u64>);

impl PartialEq for NodeMemory {
    fn eq(&self, other: &Self) -> bool {
        let nodes = self.0.len().max(other.0.len());
        (0..nodes).all(|node| self.on(node) == other.on(node))
    }
}

impl NodeMemory {
    /// These bytes of nodes 0, 1 and so on.
    #[must_use]
    pub const fn new(bytes: Vec<u64>) -> Self {
        NodeMemory(bytes)
    }

    /// So many bytes of one node.
    #[must_use]
    pub fn of_node(node: usize, bytes: u64) -> Self {
        let mut all = NodeMemory::default();
        all.add(node, bytes);
        all
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().copied().fold(0, u64::saturating_add)
    }

    /// Bytes of one node.
    #[must_use]
    pub fn on(&self, node: usize) -> u64 {
        self.0.get(node).copied().unwrap_or(0)
    }

    /// How many nodes are told apart.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.0.len()
    }

    /// The nodes that some of it is on.
    pub fn used_nodes(&self) -> impl Iterator<Item = usize> {
        let nodes = self.0.iter().enumerate();
        nodes.filter_map(|(node, bytes)| (*bytes > 0).then_some(node))
    }

    pub(crate) fn add(&mut self, node: usize, bytes: u64) {
        if self.0.len() <= node {
            self.0.resize(node.saturating_add(1), 0);
        }
        if let Some(known) = self.0.get_mut(node) {
            *known = known.saturating_add(bytes);
        }
    }

    pub(crate) fn add_all(&mut self, more: &NodeMemory) {
        for node in more.used_nodes() {
            self.add(node, more.on(node));
        }
    }

    /// What is left when this much goes.
    pub(crate) fn without(&self, less: &NodeMemory) -> NodeMemory {
        let nodes = self.0.iter().enumerate();
        NodeMemory(
            nodes
                .map(|(node, bytes)| bytes.saturating_sub(less.on(node)))
                .collect(),
        )
    }

    /// Whether each node has at least so much.
    pub(crate) fn covers(&self, other: &NodeMemory) -> bool {
        other
            .used_nodes()
            .all(|node| self.on(node) >= other.on(node))
    }

    /// Chooses `bytes` of what is free here: of `only` where it is given; else first as `like` has it, one after the other, then
    /// on one node where one has room, the fullest of them, and only then on several. `None` where there is not so much.
    pub(crate) fn choose(
        &self,
        bytes: u64,
        only: Option<usize>,
        like: &[&NodeMemory],
    ) -> Option<NodeMemory> {
        if let Some(node) = only {
            return (self.on(node) >= bytes).then(|| NodeMemory::of_node(node, bytes));
        }
        let mut chosen = NodeMemory::default();
        let mut left = bytes;
        for like in like {
            for node in like.used_nodes() {
                let free = self.on(node).saturating_sub(chosen.on(node));
                let taken = like.on(node).min(free).min(left);
                chosen.add(node, taken);
                left = left.saturating_sub(taken);
            }
        }
        let free = self.without(&chosen);
        let fitting = free.used_nodes().filter(|node| free.on(*node) >= left);
        if let Some(node) = fitting.min_by_key(|node| free.on(*node)) {
            chosen.add(node, left);
            return Some(chosen);
        }
        for node in free.used_nodes() {
            let taken = free.on(node).min(left);
            chosen.add(node, taken);
            left = left.saturating_sub(taken);
        }
        (left == 0).then_some(chosen)
    }
}
