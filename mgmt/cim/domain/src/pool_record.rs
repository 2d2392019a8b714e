//! Child pools as text, for the store, in the manner of definitions.

use crate::node_memory::NodeMemory;
use crate::one_line::unescaped;
use crate::pool::{Child, PoolId, PoolKind, Share};
use crate::record::Lines;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The blob with the number of the next child pool.
pub(crate) const NEXT_POOL: &str = "domain/next-pool";
/// Prefix of the child pools.
pub(crate) const POOLS: &str = "domain/pool/";

const FIRST_LINE: &str = "bulkhead-pool 1";

pub(crate) fn pool_name(id: PoolId) -> String {
    let number = match id {
        PoolId::Primordial(_) => 0,
        PoolId::Child(_, number) => number,
    };
    format!("{POOLS}{number:020}")
}

/// Writes a child pool.
pub(crate) fn encode(id: PoolId, child: &Child) -> Vec<u8> {
    let mut lines = Lines::new(FIRST_LINE);
    lines.add("id", id);
    lines.add("name", &child.name);
    lines.add("parent", child.parent);
    match &child.share {
        Share::Processors(numbers) => {
            for number in numbers {
                lines.add("processor", number);
            }
        }
        Share::Memory(memory) => {
            for node in memory.used_nodes() {
                lines.add("bytes", format_args!("{node} {}", memory.on(node)));
            }
        }
    }
    lines.into_bytes()
}

/// Reads a child pool; `None` for anything that [`encode`] does not write.
pub(crate) fn decode(bytes: &[u8]) -> Option<(PoolId, Child)> {
    let text = core::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_suffix('\n')?.split('\n');
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let (mut id, mut name, mut parent) = (None, None, None);
    let (mut numbers, mut memory) = (Vec::new(), NodeMemory::default());
    for line in lines {
        let (key, value) = line.split_once(' ')?;
        let value = unescaped(value)?;
        match key {
            "id" => id = Some(PoolId::parse(&value)?),
            "name" => name = Some(value),
            "parent" => parent = Some(PoolId::parse(&value)?),
            "processor" => numbers.push(value.parse().ok()?),
            "bytes" => {
                let (node, bytes) = value.split_once(' ')?;
                let node: u8 = node.parse().ok()?;
                memory.add(node.into(), bytes.parse().ok()?);
            }
            _ => return None,
        }
    }
    let (id, parent): (PoolId, PoolId) = (id?, parent?);
    let share = match id.kind() {
        PoolKind::Processor if memory.total() == 0 => {
            Share::Processors(numbers.into_iter().collect())
        }
        PoolKind::Memory if numbers.is_empty() => Share::Memory(memory),
        _ => return None,
    };
    let name = name?;
    let fits = matches!(id, PoolId::Child(..)) && parent.kind() == id.kind();
    fits.then_some((
        id,
        Child {
            name,
            parent,
            share,
        },
    ))
}
