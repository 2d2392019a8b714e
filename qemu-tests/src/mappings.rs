//! Reads QEMU's `info tlb`: every page the current page tables map, and with which rights.
//!
//! Called by the W^X probe of the machine tests.

use anyhow::{Context, Result, bail};

/// One mapped page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// Virtual address of its first byte.
    pub address: u64,
    /// Whether stores are allowed.
    pub write: bool,
    /// Whether instructions can be fetched.
    pub execute: bool,
}

/// The pages in the answer to `info tlb`.
///
/// A line is `VIRTUAL: PHYSICAL FLAGS` with nine flag places, `XGPDACTUW` when all are set; X means *no* execute.
///
/// # Errors
/// A line of another form, or no line at all.
pub fn parse(answer: &str) -> Result<Vec<Mapping>> {
    let mappings = answer
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| mapping(line).with_context(|| format!("unexpected `info tlb` line {line:?}")))
        .collect::<Result<Vec<_>>>()?;
    if mappings.is_empty() {
        bail!("`info tlb` shows no mapping: paging is off or the answer was lost");
    }
    Ok(mappings)
}

fn mapping(line: &str) -> Option<Mapping> {
    let (address, rest) = line.split_once(':')?;
    let flags = rest.split_whitespace().nth(1)?;
    if flags.len() != 9 {
        return None;
    }
    Some(Mapping {
        address: u64::from_str_radix(address.trim(), 16).ok()?,
        write: flags.ends_with('W'),
        execute: !flags.starts_with('X'),
    })
}

/// Passes when no page is both writable and executable, and at least one page is each.
///
/// # Errors
/// The first offending pages, by address.
pub fn check_write_xor_execute(mappings: &[Mapping]) -> Result<()> {
    let both: Vec<_> = mappings
        .iter()
        .filter(|page| page.write && page.execute)
        .collect();
    if !both.is_empty() {
        let shown: Vec<_> = both
            .iter()
            .take(8)
            .map(|page| format!("{:#x}", page.address))
            .collect();
        bail!(
            "{} pages are writable and executable: {} ...",
            both.len(),
            shown.join(", ")
        );
    }
    if !mappings.iter().any(|page| page.write) || !mappings.iter().any(|page| page.execute) {
        bail!(
            "no writable or no executable page is mapped: these are not a running program's tables"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "ffffffff80000000: 0000000000200000 -G-DA----\n";
    const DATA: &str = "ffffffff80200000: 0000000000400000 XGPDA---W\n";
    const BAD: &str = "0000000000000000: 0000000000000000 --PDA---W\n";

    #[test]
    fn rights_are_read_from_their_places() {
        let pages = parse(&format!("{TEXT}{DATA}")).unwrap();
        assert_eq!(
            pages,
            [
                Mapping {
                    address: 0xffff_ffff_8000_0000,
                    write: false,
                    execute: true
                },
                Mapping {
                    address: 0xffff_ffff_8020_0000,
                    write: true,
                    execute: false
                },
            ]
        );
        check_write_xor_execute(&pages).unwrap();
    }

    #[test]
    fn a_writable_executable_page_is_named() {
        let pages = parse(&format!("{TEXT}{DATA}{BAD}")).unwrap();
        let error = check_write_xor_execute(&pages).unwrap_err().to_string();
        assert!(
            error.contains("1 pages") && error.contains("0x0"),
            "{error}"
        );
    }

    #[test]
    fn nothing_mapped_is_not_a_pass() {
        assert!(parse("").is_err());
        assert!(check_write_xor_execute(&parse(DATA).unwrap()).is_err());
        assert!(parse("PG disabled\n").is_err());
    }
}
