//! The fuzzer itself: what ends a process is told apart, and coverage or not, nothing hangs.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that is surprised fails"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fuzz(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fuzz"))
        .args(arguments)
        .output()
        .unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn trap(name: &str) -> (bool, String) {
    let file = folder("traps").join(name);
    fs::write(&file, name).unwrap();
    let output = fuzz(&["self-test", "--reproduce", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

#[test]
fn every_trap_ends_the_process_with_its_own_words() {
    for (name, words) in [
        ("panic", "panicked at tools/fuzz/src/targets.rs"),
        ("hang", "takes too long"),
        ("grow", "memory allocation of"),
        ("dive", "overflowed its stack"),
    ] {
        let (good, said) = trap(name);
        assert!(!good && said.contains(words), "{name}: {said}");
    }
    assert!(trap("harmless").0);
}

#[test]
fn a_campaign_files_what_it_finds_once_and_as_small_as_it_can_be() {
    let folder = folder("campaign");
    let target = folder.join("self-test");
    let _ = fs::remove_dir_all(&target);
    // Without coverage the fuzzer would not find the word by itself in this time.
    let corpus = target.join("corpus");
    fs::create_dir_all(&corpus).unwrap();
    fs::write(corpus.join("one"), "panic with more behind").unwrap();
    let output = fuzz(&[
        "self-test",
        "--for",
        "2",
        "--seed",
        "1",
        "--folder",
        folder.to_str().unwrap(),
    ]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "{said}");
    assert_eq!(said.matches("FOUND").count(), 1, "{said}");
    let found: Vec<_> = fs::read_dir(&target)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("finding-") && !name.ends_with(".txt")
        })
        .collect();
    assert_eq!(found.len(), 1);
    assert_eq!(fs::read(&found[0]).unwrap(), b"panic");
}

#[test]
fn an_unknown_target_is_an_error() {
    let output = fuzz(&["no-such-target"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no target"));
}
