//! Compiles a MOF file with its includes and prints its classes, or every error.
//!
//! `cargo run -p cim-mof --example compile -- schema.mof`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cim_mof::{Compiler, Include, Included};

/// Reads includes relative to the file that names them.
struct Files;

impl Include for Files {
    fn read(&mut self, from: &str, name: &str) -> Result<Included, String> {
        let folder = Path::new(from)
            .parent()
            .map_or_else(PathBuf::new, PathBuf::from);
        let path = folder.join(name);
        let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Included {
            path: path.display().to_string(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: compile FILE");
        return ExitCode::FAILURE;
    };
    let mut compiler = Compiler::new(Files);
    match Files.read("", &path) {
        Ok(file) => compiler.add(&file.path, &file.text),
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    }
    match compiler.finish() {
        Ok(schema) => {
            for class in schema.classes() {
                let superclass = class.superclass.as_deref().unwrap_or("-");
                println!(
                    "{} : {superclass} ({} properties, {} methods)",
                    class.name,
                    class.properties.len(),
                    class.methods.len()
                );
            }
            println!("{} classes", schema.classes().len());
            ExitCode::SUCCESS
        }
        Err(errors) => {
            for error in &errors {
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}
