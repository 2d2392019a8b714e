//! VMREADs and VMWRITEs of an exit, as the unit test over a VMCS that counts prints them: an emulator does not tell.

use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;

/// The unit test of `bulkhead-hw`.
const TEST: &str = "vmx::vcpu::tests::exits_cost_these_vmcs_accesses";

/// Runs the test: reads and writes of each exit that it knows.
///
/// # Errors
/// The test cannot be built, fails, or prints nothing.
pub fn count(workspace: &Workspace) -> Result<BTreeMap<String, (u32, u32)>> {
    let mut command = workspace.cargo();
    command.args(["test", "--quiet", "-p", "bulkhead-hw", "--lib", TEST]);
    command.args(["--", "--exact", "--nocapture"]);
    let output = command.output().context("cannot run cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "the VMCS accesses cannot be counted:\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let counts = parse(&text);
    ensure!(!counts.is_empty(), "{TEST} printed no counts:\n{text}");
    Ok(counts)
}

/// Lines of the word VMCS, the exit, the reads and the writes.
fn parse(text: &str) -> BTreeMap<String, (u32, u32)> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.strip_prefix("VMCS ")?.split(' ');
            let name = words.next()?.to_owned();
            Some((
                name,
                (words.next()?.parse().ok()?, words.next()?.parse().ok()?),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_among_the_test_programs_words() {
        let counts = parse("running 1 test\nVMCS cpuid 2 1\n.VMCS x\nVMCS out 4 1\n");
        let expected = [("cpuid".to_owned(), (2, 1)), ("out".to_owned(), (4, 1))];
        assert_eq!(counts, expected.into());
    }
}
