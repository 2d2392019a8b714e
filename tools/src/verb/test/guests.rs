//! The part `guests`: virtual systems in the booted product, through its management plane.
//!
//! A Python program does the testing and the counting; here is the machine that it needs, and a limit on its time.

use super::cim::{Clients, count};
use crate::setup::{self, Purpose, guest_linux};
use crate::tally::Tally;
use crate::verb::background::Background;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use qemu_tests::emulator::find_program;
use qemu_tests::socket_folder::SocketFolder;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

/// Build, boot, and the server's start, on a slow and busy machine.
const BOOT: Duration = Duration::from_secs(600);
/// What the suite may take; it takes less than five minutes on a free machine.
const SUITE: Duration = Duration::from_secs(1500);
/// What it may take with the long tests, which run only when they are named.
const LONG: Duration = Duration::from_secs(3600);
/// The machine ends by itself after this, whatever happens to us.
const LIFE: &str = "4000";
/// What the tests in Bochs may take; they take about a minute on a free machine.
const VMX_SUITE: Duration = Duration::from_secs(600);
/// Bochs ends by itself after this.
const VMX_LIFE: &str = "1300";
/// Memory of the machine in MiB: that of issue 4's many guests.
const MEMORY: &str = "2048";
/// Room for images and the configuration store.
const DISK_BYTES: u64 = 256 << 20;

/// Runs the tests whose names have one of `filters`.
pub fn run(workspace: &Workspace, filters: &[String], qemu: Option<&Path>) -> Result<Tally> {
    setup::ensure(workspace, Purpose::Clients)?;
    setup::ensure(workspace, Purpose::Run)?;
    let linux = guest_linux::ensure(workspace)?;
    let qemu = match qemu {
        Some(path) => path.to_owned(),
        None => find_program(setup::QEMU).context("QEMU is missing: run `cargo xtask setup`")?,
    };
    let folder = workspace.output("guest-tests")?;
    let (disk, console) = (folder.join("store.img"), folder.join("machine.log"));
    let _ = fs::remove_file(&disk);
    let file = File::create(&disk).with_context(|| format!("cannot write {}", disk.display()))?;
    file.set_len(DISK_BYTES)?;
    let (disk_text, console_text) = (path(&disk)?, path(&console)?);
    let sockets = SocketFolder::new("guests")?;
    let monitor = sockets.path().join("monitor");
    let mut run = vec![
        "run", "--for", LIFE, "--cpus", "2", "--nodes", "2", "--memory", MEMORY,
    ];
    run.extend(["--store", disk_text, "--log", console_text]);
    run.extend(["--monitor", path(&monitor)?]);
    run.extend(["--qemu", path(&qemu)?]);
    let said = ["CIM ready", "CIM user", "CIM password"];
    let machine = Background::start(&run, &said, BOOT)?;
    let time = if filters.is_empty() { SUITE } else { LONG };
    let mut suite = Clients::new(workspace, folder).program(time, "guests.py");
    suite
        .args(["--url", machine.said("CIM ready")?])
        .args(["--user", machine.said("CIM user")?])
        .args(["--password", machine.said("CIM password")?])
        .arg("--kernel")
        .arg(&linux.kernel)
        .arg("--initrd")
        .arg(&linux.initramfs)
        .args(["--log", console_text])
        .arg("--monitor")
        .arg(&monitor)
        .arg("--qemu")
        .arg(&qemu);
    for filter in filters {
        suite.args(["--filter", filter]);
    }
    let tally = count(suite, "guests");
    drop(machine);
    let _ = fs::remove_file(&disk);
    tally
}

/// Runs those of them in Bochs that a machine without a disk can do, with the kernel unpacked.
pub fn run_vmx(workspace: &Workspace, filters: &[String]) -> Result<Tally> {
    setup::ensure(workspace, Purpose::Clients)?;
    let linux = guest_linux::ensure(workspace)?;
    let kernel = guest_linux::unpacked_kernel(workspace, &linux)?;
    let folder = workspace.output("guest-tests-vmx")?;
    let console = folder.join("machine.log");
    let (kernel, initramfs, console) = (path(&kernel)?, path(&linux.initramfs)?, path(&console)?);
    let mut run = vec![
        "run",
        "--backend",
        "vmx",
        "--accel",
        "tcg",
        "--for",
        VMX_LIFE,
    ];
    run.extend(["--no-demo", "--add", kernel, initramfs, "--log", console]);
    let said = ["CIM ready", "CIM user", "CIM password"];
    let machine = Background::start(&run, &said, BOOT)?;
    let mut suite = Clients::new(workspace, folder).program(VMX_SUITE, "guests.py");
    suite
        .args(["--url", machine.said("CIM ready")?])
        .args(["--user", machine.said("CIM user")?])
        .args(["--password", machine.said("CIM password")?])
        .args(["--kernel", kernel, "--initrd", initramfs])
        .args(["--log", console, "--boot-modules"]);
    for filter in filters {
        suite.args(["--filter", filter]);
    }
    count(suite, "guests-vmx")
}

/// Prints where the names are.
pub fn list() {
    println!(
        "guests (the modules that qemu-tests/cim/guests.py lists; tests of a LongTest only when named)"
    );
}

/// The same for those in Bochs.
pub fn list_vmx() {
    println!("guests-vmx (those of the part guests that are a BothBackendsTest)");
}

fn path(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}
