//! `bench linux-boot`: the emulated time that Debian's stock kernel needs from its first line to its first process, on
//! the bare machine and in a guest of Bulkhead.
//!
//! Both machines count executed instructions as time, so the figures repeat. The kernel's own clock is read: the time
//! stamp of the line that the initramfs writes to the kernel's log when it has loaded its drivers.

use crate::setup::guest_linux::{self, GuestLinux};
use crate::setup::{self, Purpose, venv};
use crate::verb::background::Background;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail, ensure};
use qemu_tests::emulator::{Console, Emulator, find_program};
use qemu_tests::machine::SVM_CPU;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// What the initramfs says when it is ready.
const MARKER: &str = "GUEST READY";
/// Most that a boot may take of our own time.
const PATIENCE: Duration = Duration::from_secs(300);
/// The kernel's.
const COMMAND_LINE: &str = "console=ttyS0 then=poweroff";
/// Memory of the guest, and of the bare machine.
const MEMORY_MIB: u32 = 256;
/// The guest's time may be so many times the bare machine's.
const LIMIT: f64 = 1.15;

/// Measures, prints, and writes target/bench/linux-boot.json.
pub fn run(workspace: &Workspace, qemu: Option<&Path>) -> Result<ExitCode> {
    setup::ensure(workspace, Purpose::Clients)?;
    setup::ensure(workspace, Purpose::Run)?;
    let linux = guest_linux::ensure(workspace)?;
    let program = match qemu {
        Some(path) => path.to_owned(),
        None => find_program(setup::QEMU).context("QEMU is missing: run `cargo xtask setup`")?,
    };
    let bare = bare(&program, &linux)?;
    let guest = guest(workspace, qemu)?;
    let ratio = guest / bare;
    println!("Linux to its first process, emulated seconds (1 instruction = 1 ns)");
    println!("  bare machine  {bare:9.6}");
    println!("  guest         {guest:9.6}");
    println!("  ratio         {ratio:9.3}   (limit {LIMIT})");
    let file = workspace.output("bench")?.join("linux-boot.json");
    let json = format!(
        "{{\"bare_seconds\": {bare:.6}, \"guest_seconds\": {guest:.6}, \"ratio\": {ratio:.4}}}\n"
    );
    fs::write(&file, json).with_context(|| format!("cannot write {}", file.display()))?;
    ensure!(ratio <= LIMIT, "the guest is slower than the limit allows");
    Ok(ExitCode::SUCCESS)
}

/// Without Bulkhead: the same processor, memory, serial port and virtio devices, given by QEMU.
fn bare(qemu: &Path, linux: &GuestLinux) -> Result<f64> {
    let mut arguments: Vec<OsString> = [
        "-accel",
        "tcg",
        "-M",
        "q35",
        "-cpu",
        SVM_CPU,
        "-smp",
        "1",
        "-nodefaults",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-monitor",
        "none",
        "-no-reboot",
        "-icount",
        "shift=0,sleep=off",
        "-device",
        "virtio-serial-pci",
        "-chardev",
        "null,id=hvc0",
        "-device",
        "virtconsole,chardev=hvc0",
        "-device",
        "virtio-rng-pci",
        "-append",
        COMMAND_LINE,
        "-m",
    ]
    .map(OsString::from)
    .into();
    arguments.push(MEMORY_MIB.to_string().into());
    arguments.extend(["-kernel".into(), linux.kernel.clone().into()]);
    arguments.extend(["-initrd".into(), linux.initramfs.clone().into()]);
    let mut emulator = Emulator::start(qemu, &arguments, None)?;
    let end = Instant::now() + PATIENCE;
    let mut lines = Vec::new();
    while Instant::now() < end {
        match emulator.next(Duration::from_millis(200)) {
            Console::Line(line) => lines.push(line),
            Console::Quiet => {}
            Console::Closed => break,
        }
    }
    let messages = emulator.stop();
    time_of(&lines).with_context(|| {
        let last = lines.last().map_or("nothing", String::as_str);
        format!(
            "Linux was not ready on the bare machine; its console ended with: {last}\n{messages}"
        )
    })
}

/// As a guest that a CIM client defines and starts.
fn guest(workspace: &Workspace, qemu: Option<&Path>) -> Result<f64> {
    let mut arguments = vec!["run", "--icount", "--cpus", "1", "--for", "600"];
    if let Some(path) = qemu.and_then(Path::to_str) {
        arguments.extend(["--qemu", path]);
    }
    let said = ["CIM ready", "CIM user", "CIM password"];
    let machine = Background::start(&arguments, &said, PATIENCE)?;
    let memory = MEMORY_MIB.to_string();
    let mut client = Command::new(venv::folder(workspace).join("bin/python"));
    client
        .args(["-B", "-u"])
        .arg(workspace.root().join("qemu-tests/cim/boot_guest.py"))
        .args(["--url", machine.said("CIM ready")?])
        .args(["--user", machine.said("CIM user")?])
        .args(["--password", machine.said("CIM password")?])
        .args(["--memory", &memory, "--arguments", COMMAND_LINE])
        .args(["--for", &PATIENCE.as_secs().to_string()]);
    let output = client.output().context("cannot run the CIM client")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    match time_of(&lines) {
        Some(time) if output.status.success() => Ok(time),
        _ => bail!(
            "Linux was not ready in the guest:\n{text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

/// The kernel's time stamp of the marker.
fn time_of(lines: &[String]) -> Option<f64> {
    lines.iter().find_map(|line| {
        let (stamp, rest) = line.trim_start().strip_prefix('[')?.split_once(']')?;
        rest.trim_start().starts_with(MARKER).then_some(())?;
        stamp.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_stamp_is_read_and_the_programs_line_is_not() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let log =
            "[    1.5] x\nGUEST READY after 1.82 s\n[    1.819352] GUEST READY after 1.82 s\n";
        assert_eq!(time_of(&lines(log)), Some(1.819352));
        assert_eq!(
            time_of(&lines("GUEST READY\n[ 1.0] other GUEST READY")),
            None
        );
    }
}
