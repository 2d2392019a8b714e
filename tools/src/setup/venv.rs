//! The Python environment of the CIM clients, under `venv` in the output folder.
//!
//! Wholeness is read from the environment itself: the interpreter runs, every file that the installer recorded is
//! there in its size, and the programs point to this folder. The list written after a complete installation says
//! which packages belong to it; without it the installation was interrupted.

use crate::workspace::{self, Workspace};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What to install: the client library, and `pywbemcli` (in pywbemtools).
const REQUIREMENTS: [&str; 2] = ["pywbem>=1.7,<2", "pywbemtools>=1.3,<2"];
/// The list of a complete installation: what was asked for, an empty line, and what belongs to it.
const COMPLETE: &str = "bulkhead-packages.txt";
/// Must import in a fresh environment.
const IMPORTS: &str = "import pywbem, pywbemtools.pywbemcli";
const WHAT_TO_DO: &str = "when nothing helps, see that `python3 -m venv` and `pip install pywbem` work on this \
                          machine, remove target/venv and try again";

/// Where the environment is.
pub fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("venv")
}

/// Whether the environment is whole.
pub fn is_good(workspace: &Workspace) -> bool {
    check(&folder(workspace)).is_ok()
}

/// Makes the environment anew, if it is not whole.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let folder = folder(workspace);
    let Err(problem) = check(&folder) else {
        return Ok(());
    };
    println!(
        "making the Python environment {}: {problem:#}",
        folder.display()
    );
    make(&folder).with_context(|| {
        format!(
            "the Python environment {} cannot be made; {WHAT_TO_DO}",
            folder.display()
        )
    })
}

fn make(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let made = new_environment(folder);
    if made.is_err() {
        // Debian's python3 comes without the part that makes environments.
        super::packages::install(&BTreeSet::from(["python3-venv"]))?;
        new_environment(folder)?;
    }
    let python = folder.join("bin/python");
    workspace::succeed(
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(REQUIREMENTS),
        "pip cannot install the CIM clients: its messages are above",
    )?;
    workspace::succeed(
        Command::new(&python).args(["-c", IMPORTS]),
        "the CIM clients are installed but do not start",
    )?;
    let packages: Vec<_> = packages(&site_packages(folder)?)?.into_iter().collect();
    let list = format!("{}\n\n{}\n", REQUIREMENTS.join("\n"), packages.join("\n"));
    fs::write(folder.join(COMPLETE), list).context("cannot write the list")?;
    check(folder)
}

fn new_environment(folder: &Path) -> Result<()> {
    let output = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(folder)
        .output();
    let output = output.context("cannot run python3")?;
    ensure!(output.status.success(), "python3 cannot make environments");
    Ok(())
}

fn check(folder: &Path) -> Result<()> {
    let list = fs::read_to_string(folder.join(COMPLETE)).context("it is not complete")?;
    let (requirements, belonging) = list.split_once("\n\n").context("its list is damaged")?;
    ensure!(
        requirements.lines().eq(REQUIREMENTS),
        "it was made for other requirements"
    );
    let site = site_packages(folder)?;
    let there = packages(&site)?;
    for package in belonging.lines() {
        ensure!(there.contains(package), "the package {package} is gone");
        check_record(&site, package)?;
    }
    check_program(folder, "pywbemcli")
}

/// The folder of packages of the interpreter that really runs: after an upgrade of Python it is another one.
fn site_packages(folder: &Path) -> Result<PathBuf> {
    let script = "import sys; print('%d.%d' % sys.version_info[:2])";
    let output = Command::new(folder.join("bin/python"))
        .args(["-I", "-S", "-c", script])
        .output()
        .context("its interpreter is gone")?;
    ensure!(output.status.success(), "its interpreter does not run");
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(folder.join(format!("lib/python{version}/site-packages")))
}

/// The folders NAME-VERSION.dist-info, one for each installed package.
fn packages(site: &Path) -> Result<BTreeSet<String>> {
    let entries =
        fs::read_dir(site).with_context(|| format!("no packages in {}", site.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| name.ends_with(".dist-info")).collect())
}

/// Compares the files of a package with the installer's RECORD: lines `path,hash,size`, size empty if not known.
fn check_record(site: &Path, package: &str) -> Result<()> {
    let record = fs::read_to_string(site.join(package).join("RECORD"))
        .with_context(|| format!("the package {package} has no record"))?;
    for line in record.lines() {
        let mut fields = line.rsplitn(3, ',');
        let size = fields.next().and_then(|size| size.parse::<u64>().ok());
        let path = fields.nth(1).unwrap_or_default().trim_matches('"');
        // Compiled files are Python's own cache.
        if path.is_empty() || path.ends_with(".pyc") {
            continue;
        }
        let found = fs::metadata(site.join(path)).map(|file| file.len());
        match (found, size) {
            (Ok(found), Some(size)) if found != size => bail!("{path} of {package} is damaged"),
            (Ok(_), _) => {}
            (Err(_), _) => bail!("{path} of {package} is gone"),
        }
    }
    Ok(())
}

/// A script of the environment names its interpreter by path, so a moved checkout breaks it.
fn check_program(folder: &Path, name: &str) -> Result<()> {
    let script = fs::read_to_string(folder.join("bin").join(name))
        .with_context(|| format!("the program {name} is gone"))?;
    let bin = folder.join("bin").display().to_string();
    // A path too long for the first line is on the second (distlib's form).
    ensure!(
        script.lines().take(2).any(|line| line.contains(&bin)),
        "it was made for another folder"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use qemu_tests::socket_folder::SocketFolder;
    use std::os::unix::fs::symlink;

    /// An environment with one package, whose interpreter only knows its version.
    fn environment(name: &str) -> SocketFolder {
        let scratch = SocketFolder::new(&format!("venv-{name}")).unwrap();
        let folder = scratch.path();
        let site = folder.join("lib/python3.99/site-packages");
        let info = site.join("pywbem-1.9.dist-info");
        fs::create_dir_all(&info).unwrap();
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::write(site.join("pywbem.py"), "12345").unwrap();
        let record = "pywbem.py,sha256=x,5\ncache.pyc,,\npywbem-1.9.dist-info/RECORD,,\n";
        fs::write(info.join("RECORD"), record).unwrap();
        let list = format!("{}\n\npywbem-1.9.dist-info\n", REQUIREMENTS.join("\n"));
        fs::write(folder.join(COMPLETE), list).unwrap();
        let interpreter = folder.join("bin/python");
        let source = folder.join("python.sh");
        fs::write(&source, "#!/bin/sh\necho 3.99\n").unwrap();
        let mut install = Command::new("install");
        let done = install
            .args(["-m", "755"])
            .args([&source, &interpreter])
            .status()
            .unwrap();
        assert!(done.success());
        let script = format!("#!{}\n", interpreter.display());
        fs::write(folder.join("bin/pywbemcli"), script).unwrap();
        scratch
    }

    fn problem(folder: &SocketFolder) -> String {
        format!("{:#}", check(folder.path()).unwrap_err())
    }

    #[test]
    fn a_whole_environment_is_good() {
        check(environment("good").path()).unwrap();
    }

    #[test]
    fn an_interrupted_installation_is_noticed() {
        let folder = environment("interrupted");
        fs::remove_file(folder.path().join(COMPLETE)).unwrap();
        assert!(problem(&folder).contains("not complete"));
    }

    #[test]
    fn an_environment_for_other_requirements_is_noticed() {
        let folder = environment("requirements");
        fs::write(folder.path().join(COMPLETE), "pywbem>=0.1\n\n").unwrap();
        assert!(problem(&folder).contains("other requirements"));
        fs::write(folder.path().join(COMPLETE), "").unwrap();
        assert!(problem(&folder).contains("list is damaged"));
    }

    #[test]
    fn a_missing_and_a_truncated_module_are_noticed() {
        let folder = environment("module");
        let module = folder.path().join("lib/python3.99/site-packages/pywbem.py");
        fs::write(&module, "12").unwrap();
        assert!(problem(&folder).contains("damaged"));
        fs::remove_file(&module).unwrap();
        assert!(problem(&folder).contains("gone"));
    }

    #[test]
    fn a_missing_package_is_noticed() {
        let folder = environment("package");
        let site = folder.path().join("lib/python3.99/site-packages");
        fs::remove_dir_all(site.join("pywbem-1.9.dist-info")).unwrap();
        assert!(problem(&folder).contains("the package pywbem"));
    }

    #[test]
    fn a_broken_interpreter_is_noticed() {
        let folder = environment("interpreter");
        let python = folder.path().join("bin/python");
        fs::remove_file(&python).unwrap();
        symlink("/no/such/python", &python).unwrap();
        assert!(problem(&folder).contains("interpreter"));
    }

    #[test]
    fn a_moved_environment_is_noticed() {
        let folder = environment("moved");
        fs::write(
            folder.path().join("bin/pywbemcli"),
            "#!/elsewhere/bin/python\n",
        )
        .unwrap();
        assert!(problem(&folder).contains("another folder"));
    }
}
