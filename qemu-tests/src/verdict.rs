//! Judges a machine test by the lines of its console and the way it ended.
//!
//! Called by the runner, line by line. Pure. The convention: a micro-guest's line appears as `[partition] text`;
//! `PASS` is its success, `FAIL: why` its failure, and `RESULT key value` a figure for the benches.

use crate::machine::{CANNOT_RUN, CLEAN_END, CRASHED, PARTITION_FAILED};
use regex_lite::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// What has to happen for a test to pass.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// Partitions that must say PASS.
    pub passing: BTreeSet<String>,
    /// Patterns that each need a matching console line.
    pub console: Vec<Regex>,
    /// Patterns no console line may match.
    pub forbidden: Vec<Regex>,
    /// Figures that must be measured, and may not exceed these numbers.
    pub limits: BTreeMap<String, u64>,
    /// How the machine ends.
    pub ending: Ending,
}

/// How a machine is expected to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this status of QEMU.
    Status(i32),
    /// It runs on; the runner ends it once everything expected was seen.
    Running,
}

/// A figure a guest has measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// The partition that measured it.
    pub partition: String,
    /// What it is.
    pub key: String,
    /// How much, as the guest wrote it.
    pub value: String,
}

/// Reads the console of one boot.
#[derive(Debug)]
pub struct Judge {
    expectation: Expectation,
    missing: Vec<bool>,
    figures: Vec<Figure>,
    /// The hypervisor's own reason for its end.
    reason: Option<String>,
}

/// What a console line means by itself.
#[derive(Debug, PartialEq, Eq)]
enum Said<'a> {
    Pass(&'a str),
    Fail(&'a str, &'a str),
    Figure(Figure),
    Other,
}

impl Expectation {
    fn check_limit(&self, figure: &Figure) -> Result<(), String> {
        let Figure { key, value, .. } = figure;
        let Some(limit) = self.limits.get(key) else {
            return Ok(());
        };
        match value.parse::<u64>() {
            Ok(number) if number <= *limit => Ok(()),
            _ => Err(format!("{key} is {value}, and may be {limit} at most")),
        }
    }
}

impl Judge {
    /// A judge who has seen nothing yet.
    pub fn new(expectation: Expectation) -> Self {
        let missing = vec![true; expectation.console.len()];
        Self {
            expectation,
            missing,
            figures: Vec::new(),
            reason: None,
        }
    }

    /// Takes note of a console line.
    ///
    /// # Errors
    /// The test has failed, for the reason given.
    pub fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(pattern) = self.expectation.forbidden.iter().find(|p| p.is_match(line)) {
            return Err(format!(
                "the console shows what it must not (/{pattern}/): {line}"
            ));
        }
        for (missing, pattern) in self.missing.iter_mut().zip(&self.expectation.console) {
            *missing &= !pattern.is_match(line);
        }
        if let Some(reason) = end_reason(line) {
            self.reason.get_or_insert(reason.to_owned());
        }
        match meaning(line) {
            Said::Pass(partition) => {
                self.expectation.passing.remove(partition);
            }
            Said::Fail(partition, why) => return Err(format!("{partition} reports: {why}")),
            Said::Figure(figure) => {
                self.expectation.check_limit(&figure)?;
                self.figures.push(figure);
            }
            Said::Other => {}
        }
        Ok(())
    }

    /// Whether everything expected on the console was seen and only the end is left.
    pub fn satisfied(&self) -> bool {
        self.still_missing().is_none()
    }

    /// How the machine is expected to end.
    pub fn ending(&self) -> Ending {
        self.expectation.ending
    }

    /// The verdict, the machine having ended with `status` (`None`: the runner ended it, or a signal did).
    ///
    /// # Errors
    /// What was expected and did not happen.
    pub fn finish(self, status: Option<i32>) -> Result<Vec<Figure>, String> {
        let end_is_right = match self.expectation.ending {
            Ending::Status(expected) => status == Some(expected),
            Ending::Running => status.is_none(),
        };
        if self.satisfied() && end_is_right {
            return Ok(self.figures);
        }
        let mut reasons: Vec<String> = Vec::new();
        if !end_is_right {
            reasons.push(explain_end(status));
            reasons.extend(self.reason.clone());
        }
        if let Some(missing) = self.still_missing() {
            reasons.push(missing);
        }
        Err(reasons.join("; "))
    }

    /// What was expected on the console and has not come, as a sentence.
    pub fn still_missing(&self) -> Option<String> {
        let passes = self
            .expectation
            .passing
            .iter()
            .map(|name| format!("[{name}] PASS"));
        let lines = self.missing.iter().zip(&self.expectation.console);
        let patterns = lines
            .filter(|(missing, _)| **missing)
            .map(|(_, pattern)| format!("/{pattern}/"));
        let measured = |key: &String| self.figures.iter().any(|figure| figure.key == *key);
        let unmeasured = self.expectation.limits.keys().filter(|key| !measured(key));
        let figures = unmeasured.map(|key| format!("RESULT {key}"));
        let all: Vec<_> = passes.chain(patterns).chain(figures).collect();
        (!all.is_empty()).then(|| format!("the console never showed {}", all.join(", ")))
    }
}

fn meaning(line: &str) -> Said<'_> {
    let Some((partition, text)) = line
        .trim_start()
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    else {
        return Said::Other;
    };
    let text = text.trim_end();
    if text == "PASS" {
        return Said::Pass(partition);
    }
    if let Some(why) = text.strip_prefix("FAIL") {
        return Said::Fail(partition, why.trim_start_matches([':', ' ']));
    }
    let mut words = text.split_whitespace();
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some("RESULT"), Some(key), Some(value), None) => Said::Figure(Figure {
            partition: partition.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        }),
        _ => Said::Other,
    }
}

/// The reason the hypervisor gives for its end, if this console line is one.
pub fn end_reason(line: &str) -> Option<&str> {
    let text = line.strip_prefix("bulkhead: ")?;
    (text.starts_with("crash: ") || text.starts_with("cannot run: ")).then_some(text)
}

/// The meaning of QEMU's end as a sentence.
pub fn explain_end(status: Option<i32>) -> String {
    match status {
        Some(CLEAN_END) => "the hypervisor ended the machine cleanly (status 33)".to_owned(),
        Some(CANNOT_RUN) => "the hypervisor refused the machine (status 35)".to_owned(),
        Some(CRASHED) => "the hypervisor crashed (status 37)".to_owned(),
        Some(PARTITION_FAILED) => "a partition failed (status 39)".to_owned(),
        Some(0) => "the machine was reset or powered off: with -no-reboot a triple fault looks \
                    like this too (status 0)"
            .to_owned(),
        Some(1) => "QEMU refused to run (status 1): its own message tells why".to_owned(),
        // isa-debug-exit ends QEMU with (value << 1) | 1.
        Some(status) if status % 2 == 1 => format!(
            "the hypervisor stopped the machine with code {:#x} (status {status})",
            status >> 1
        ),
        Some(status) => format!("QEMU ended with status {status}"),
        None => "QEMU was ended from outside or crashed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expecting(passing: &[&str], console: &[&str], forbidden: &[&str], ending: Ending) -> Judge {
        let patterns = |list: &[&str]| list.iter().map(|p| Regex::new(p).unwrap()).collect();
        Judge::new(Expectation {
            passing: passing.iter().map(|name| (*name).to_owned()).collect(),
            console: patterns(console),
            forbidden: patterns(forbidden),
            limits: BTreeMap::new(),
            ending,
        })
    }

    #[test]
    fn all_partitions_must_pass() {
        let mut judge = expecting(&["a", "b"], &[], &[], Ending::Status(33));
        judge.line("[a] PASS").unwrap();
        assert!(!judge.satisfied());
        let reason = judge.finish(Some(33)).unwrap_err();
        assert_eq!(reason, "the console never showed [b] PASS");
    }

    #[test]
    fn another_partitions_pass_does_not_count() {
        let mut judge = expecting(&["a"], &[], &[], Ending::Status(33));
        for line in ["[b] PASS", "PASS", "[a] PASSED", "a PASS", "[a]PASS"] {
            judge.line(line).unwrap();
            assert!(!judge.satisfied(), "{line}");
        }
        judge.line("[a] PASS ").unwrap();
        assert!(judge.satisfied());
    }

    #[test]
    fn a_reported_failure_fails_at_once() {
        let mut judge = expecting(&["a"], &[], &[], Ending::Status(33));
        assert_eq!(
            judge.line("[a] FAIL: rax was 7").unwrap_err(),
            "a reports: rax was 7"
        );
    }

    #[test]
    fn the_end_must_be_the_expected_one() {
        for (ending, status, good) in [
            (Ending::Status(33), Some(33), true),
            (Ending::Status(33), Some(35), false),
            (Ending::Status(33), None, false),
            (Ending::Running, None, true),
            (Ending::Running, Some(0), false),
        ] {
            let judge = expecting(&[], &[], &[], ending);
            assert_eq!(judge.finish(status).is_ok(), good, "{ending:?} {status:?}");
        }
    }

    #[test]
    fn console_patterns_are_required_and_forbidden() {
        let mut judge = expecting(&[], &["^ready in \\d+ ms$"], &["panic"], Ending::Running);
        judge.line("ready in some ms").unwrap();
        assert!(judge.still_missing().unwrap().contains("ready in"));
        judge.line("ready in 12 ms").unwrap();
        assert!(judge.satisfied());
        assert!(judge.line("[a] panic at x").unwrap_err().contains("panic"));
    }

    #[test]
    fn the_hypervisors_first_reason_is_in_the_verdict() {
        let mut judge = expecting(&[], &[], &[], Ending::Status(33));
        judge.line("bulkhead: crash: page fault (#PF)").unwrap();
        judge.line("bulkhead: all CPUs are halted").unwrap();
        let reason = judge.finish(Some(37)).unwrap_err();
        assert_eq!(
            reason,
            "the hypervisor crashed (status 37); crash: page fault (#PF)"
        );
        assert_eq!(
            end_reason("bulkhead: cannot run: no SVM"),
            Some("cannot run: no SVM")
        );
        assert_eq!(end_reason("[guest] bulkhead: crash: fake"), None);
    }

    #[test]
    fn figures_are_collected() {
        let mut judge = expecting(&[], &[], &[], Ending::Status(33));
        judge.line("[bench] RESULT cpuid 512").unwrap();
        judge.line("[bench] RESULT without-value").unwrap();
        judge.line("[bench] RESULTS cpuid 512").unwrap();
        let figures = judge.finish(Some(33)).unwrap();
        assert_eq!(figures.len(), 1);
        assert_eq!(
            (figures[0].key.as_str(), figures[0].value.as_str()),
            ("cpuid", "512")
        );
    }

    #[test]
    fn figures_have_limits_and_must_come() {
        let limited = || {
            let mut judge = expecting(&[], &[], &[], Ending::Status(33));
            judge.expectation.limits.insert("cpuid".into(), 200);
            judge
        };
        let mut judge = limited();
        judge.line("[bench] RESULT rdmsr 900").unwrap();
        assert!(!judge.satisfied());
        judge.line("[bench] RESULT cpuid 200").unwrap();
        judge.finish(Some(33)).unwrap();
        let reason = limited().line("[bench] RESULT cpuid 201").unwrap_err();
        assert_eq!(reason, "cpuid is 201, and may be 200 at most");
        assert!(limited().line("[bench] RESULT cpuid few").is_err());
        assert!(
            limited()
                .finish(Some(33))
                .unwrap_err()
                .contains("RESULT cpuid")
        );
    }

    #[test]
    fn ends_are_explained() {
        assert!(explain_end(Some(0)).contains("triple fault"));
        assert!(explain_end(Some(37)).contains("crashed"));
        assert!(explain_end(Some(0x55)).contains("code 0x2a"));
        assert!(explain_end(Some(1)).contains("QEMU refused"));
        assert!(explain_end(None).contains("outside"));
    }
}
