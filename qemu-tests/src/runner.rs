//! Runs machine tests: builds each one's boot files, starts its machine, and lets the judge read the console.
//!
//! Called by `cargo xtask test` and `bench`. Two machines at a time: each uses one host CPU, and the machines with an
//! instruction clock do not notice neighbours.

use crate::backend::Backend;
use crate::bochs::{self, Bochs};
use crate::emulator::{Console, Emulator};
use crate::iso;
use crate::machine::{Firmware, Forwards, ManagementDevices, Media, Network};
use crate::machine_test::{BootMethod, Devices, MachineTest};
use crate::partition::{FILE_NAME, configuration};
use crate::socket_folder::SocketFolder;
use crate::verdict::{Ending, Figure, Judge, explain_end};
use crate::view::{self, View};
use crate::{cpio, firmware};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// Machines at the same time.
const WORKERS: usize = 2;
/// How long QEMU may take to end after it has closed its console.
const LAST_GASP: Duration = Duration::from_secs(60);
/// Size of the disk for the management partition; sparse.
const STORE_BYTES: u64 = 512 << 20;
/// Console lines shown for a failed test; the log has them all.
const SHOWN_LINES: usize = 30;

/// What the tests run.
#[derive(Debug, Clone)]
pub struct Artefacts {
    /// What runs the machines.
    pub bed: Bed,
    /// The hypervisor's ELF file.
    pub hypervisor: PathBuf,
    /// Folder of the partitions' ELF files.
    pub guests: PathBuf,
    /// Folder for boot files and serial logs.
    pub scratch: PathBuf,
}

/// An emulator.
#[derive(Debug, Clone)]
pub enum Bed {
    /// QEMU's program, for the backend `svm`.
    Qemu(PathBuf),
    /// Bochs, for the backend of its CPU.
    Bochs(Bochs),
}

impl Bed {
    /// The backend that it has the CPUs for.
    pub fn backend(&self) -> Backend {
        match self {
            Self::Qemu(_) => Backend::Svm,
            Self::Bochs(bochs) => bochs.cpu().backend(),
        }
    }
}

/// How a test went.
#[derive(Debug)]
pub struct Outcome {
    /// The test's name.
    pub name: &'static str,
    /// The figures its guests measured, or why it failed.
    pub verdict: Result<Vec<Figure>, String>,
    /// How long it took.
    pub took: Duration,
    /// The end of its console, for a failure.
    pub console: Vec<String>,
    /// The whole console.
    pub log: PathBuf,
}

/// Runs `tests`, calling `report` after each; the outcomes come in the order of the tests.
pub fn run(
    tests: &[MachineTest],
    artefacts: &Artefacts,
    report: impl Fn(&Outcome) + Sync,
) -> Vec<Outcome> {
    let queue = Mutex::new(tests.iter().enumerate());
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS.min(tests.len()) {
            scope.spawn(|| {
                // A poisoned lock means that another worker has panicked; the scope will pass that on.
                while let Some((index, test)) = queue.lock().ok().and_then(|mut q| q.next()) {
                    let outcome = run_one(test, artefacts);
                    report(&outcome);
                    if let Ok(mut all) = outcomes.lock() {
                        all.push((index, outcome));
                    }
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_default();
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// How often a test is started, where two emulators took the same port for a display that nobody needs.
const STARTS: u32 = 3;

/// Runs one test.
pub fn run_one(test: &MachineTest, artefacts: &Artefacts) -> Outcome {
    let started = Instant::now();
    let log = artefacts.scratch.join(format!("{}.log", test.name));
    let mut console = Vec::new();
    let mut starts = 0;
    let verdict = loop {
        console.clear();
        let verdict = attempt(test, artefacts, &log, &mut console)
            .unwrap_or_else(|error| Err(format!("cannot run: {error:#}")));
        starts += 1;
        if starts == STARTS || !console.iter().any(|line| bochs::found_no_display(line)) {
            break verdict;
        }
    };
    let shown = console.split_off(console.len().saturating_sub(SHOWN_LINES));
    Outcome {
        name: test.name,
        verdict,
        took: started.elapsed(),
        console: shown,
        log,
    }
}

fn attempt(
    test: &MachineTest,
    artefacts: &Artefacts,
    log: &Path,
    console: &mut Vec<String>,
) -> Result<Result<Vec<Figure>, String>> {
    let folder = artefacts.scratch.join(test.name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot write to {}", folder.display()))?;
    let media = boot_files(test, artefacts, &folder)?;
    // Not in the folder: a unix socket's path is limited to 107 bytes, the checkout's is not.
    let sockets = SocketFolder::new(test.name)?;
    let devices = match test.devices {
        Devices::None => None,
        Devices::Management => {
            let network = Network::Forwarded(Forwards {
                cim: view::free_port()?,
                consoles: None,
            });
            Some(management_devices(test, network, &folder, sockets.path())?)
        }
        Devices::ManagementByFrames => {
            let network = Network::Frames(view::free_frame_ports()?);
            Some(management_devices(test, network, &folder, sockets.path())?)
        }
    };
    let view = View::new(sockets.path().join("monitor"), devices);
    let monitor = test.probe.as_ref().map(|_| view.monitor_socket());
    let (program, arguments) = match &artefacts.bed {
        Bed::Qemu(qemu) => {
            let arguments = test.machine.arguments(&media, view.devices(), monitor);
            (qemu.clone(), arguments)
        }
        Bed::Bochs(bochs) => {
            let network = match view.devices().map(|devices| devices.network) {
                Some(Network::Forwarded(forwards)) => Some(forwards),
                Some(Network::Frames(_)) | None => None,
            };
            bochs.command_line(&test.machine, network, media.iso()?, &folder)?
        }
    };
    let mut emulator = Emulator::start(&program, &arguments, Some(log))?;
    let mut boot = Boot {
        test,
        bed: &artefacts.bed,
        view: &view,
        probed: test.probe.is_none(),
        console,
    };
    let mut judge = Judge::new(test.expectation_on(artefacts.bed.backend()));
    let seen = boot.watch(&mut emulator, &mut judge);
    let verdict = match seen {
        Err(reason) => Err(reason),
        Ok(status) => judge.finish(status),
    };
    let messages = emulator.stop();
    if verdict.is_err() {
        match artefacts.bed {
            Bed::Qemu(_) => console.extend(messages.lines().map(|line| format!("QEMU: {line}"))),
            Bed::Bochs(_) => console.extend(bochs::complaints(&folder)),
        }
    } else {
        // The boot files of a failure stay, to be tried by hand.
        fs::remove_dir_all(&folder)?;
    }
    Ok(verdict)
}

/// One boot being watched.
struct Boot<'a> {
    test: &'a MachineTest,
    bed: &'a Bed,
    view: &'a View,
    probed: bool,
    console: &'a mut Vec<String>,
}

impl Boot<'_> {
    /// Reads the console until the machine has ended (its status) or has shown all it should (`None`).
    fn watch(&mut self, emulator: &mut Emulator, judge: &mut Judge) -> Result<Option<i32>, String> {
        let deadline = Instant::now() + self.test.patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.too_slow(judge));
            }
            match emulator.next(left) {
                Console::Line(line) => {
                    let verdict = judge.line(&line);
                    let probe = self.probe(&line);
                    let end = match self.bed {
                        Bed::Qemu(_) => None,
                        Bed::Bochs(_) => bochs::end_status(&line),
                    };
                    self.console.push(line);
                    verdict?;
                    probe?;
                    if end.is_some() {
                        return Ok(end);
                    }
                }
                Console::Closed => break,
                Console::Quiet => return Err(self.too_slow(judge)),
            }
            if judge.ending() == Ending::Running && judge.satisfied() && self.probed {
                return Ok(None);
            }
        }
        if let Bed::Bochs(_) = self.bed {
            return Err("Bochs has ended before the hypervisor said so".to_owned());
        }
        if !self.probed {
            return Err("the machine ended before it could be looked at from outside".to_owned());
        }
        let ended = emulator
            .ended(LAST_GASP)
            .map_err(|error| format!("{error:#}"))?;
        let status = ended.ok_or("QEMU closed its console and does not end")?;
        if status.code().is_none() {
            return Err(explain_end(None));
        }
        Ok(status.code())
    }

    fn probe(&mut self, line: &str) -> Result<(), String> {
        let Some(probe) = self
            .test
            .probe
            .as_ref()
            .filter(|probe| probe.after.is_match(line))
        else {
            return Ok(());
        };
        if self.probed {
            return Ok(());
        }
        self.probed = true;
        (probe.look)(self.view).map_err(|error| format!("seen from outside: {error:#}"))
    }

    fn too_slow(&self, judge: &Judge) -> String {
        let missing = judge
            .still_missing()
            .unwrap_or_else(|| "it should have ended".to_owned());
        format!(
            "not done after {} s: {missing}",
            self.test.patience.as_secs()
        )
    }
}

/// The test's card on this network, and an empty disk in `folder`.
fn management_devices(
    test: &MachineTest,
    network: Network,
    folder: &Path,
    sockets: &Path,
) -> Result<ManagementDevices> {
    let store = folder.join("store.raw");
    let made = File::create(&store).and_then(|file| file.set_len(STORE_BYTES));
    made.with_context(|| format!("cannot write {}", store.display()))?;
    Ok(ManagementDevices {
        card: test.card,
        network,
        serial_socket: sockets.join("cim"),
        store,
    })
}

/// Writes the module archive and, for an ISO boot, the image.
fn boot_files(test: &MachineTest, artefacts: &Artefacts, folder: &Path) -> Result<Media> {
    let mut members = vec![cpio::Member::new(
        FILE_NAME,
        configuration(&test.partitions),
    )];
    let images: BTreeSet<_> = test
        .partitions
        .iter()
        .map(|partition| partition.image())
        .collect();
    for image in images {
        let file = artefacts.guests.join(image);
        let data = fs::read(&file).with_context(|| {
            format!("no partition image {image}: cannot read {}", file.display())
        })?;
        members.push(cpio::Member::new(image, data));
    }
    let modules = folder.join("modules.cpio");
    fs::write(&modules, cpio::archive(&members)?)
        .with_context(|| format!("cannot write {}", modules.display()))?;
    let is_bochs = matches!(artefacts.bed, Bed::Bochs(_));
    let firmware = match test.boot {
        BootMethod::Pvh if is_bochs => Firmware::Bios,
        BootMethod::Pvh => {
            return Ok(Media::Direct {
                hypervisor: artefacts.hypervisor.clone(),
                modules,
                command_line: test.command_line.clone(),
            });
        }
        BootMethod::IsoBios => Firmware::Bios,
        BootMethod::IsoUefi => firmware::uefi(folder)?,
    };
    let iso = folder.join("boot.iso");
    let ways = if is_bochs {
        iso::Ways::Bios
    } else {
        iso::Ways::Both
    };
    let contents = iso::Contents {
        ways,
        hypervisor: &artefacts.hypervisor,
        modules: &modules,
        command_line: &test.command_line,
    };
    iso::build(&contents, &iso, &folder.join("tree"))?;
    Ok(Media::Iso { iso, firmware })
}

#[cfg(test)]
#[path = "runner/tests.rs"]
mod tests;
