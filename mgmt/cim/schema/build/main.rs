//! Compiles `mof/schema.mof` into the tables that `src/tables.rs` includes.
//!
//! The build fails with the compiler's own messages when the MOF is wrong, so a schema that builds is a
//! schema that keeps every rule of DSP0004.

mod builder;
mod emit;
mod pool;
mod rows;

use std::error::Error;
use std::path::{Path, PathBuf};

use cim_mof::{Compiler, Include, Included};

/// Reads includes relative to the file that names them.
struct Files;

impl Include for Files {
    fn read(&mut self, from: &str, name: &str) -> Result<Included, String> {
        let folder = Path::new(from)
            .parent()
            .map_or_else(PathBuf::new, PathBuf::from);
        let path = folder.join(name);
        let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
        Ok(Included {
            path: path.display().to_string(),
            text,
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=mof");
    println!("cargo::rerun-if-changed=build");
    let root = Path::new("mof/schema.mof");
    let text = std::fs::read_to_string(root)?;
    let mut compiler = Compiler::new(Files);
    compiler.add(&root.display().to_string(), &text);
    let schema = match compiler.finish() {
        Ok(schema) => schema,
        Err(errors) => {
            for error in &errors {
                eprintln!("{error}\n");
            }
            return Err(format!("{} errors in the MOF", errors.len()).into());
        }
    };
    let tables = builder::build(&schema)?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    std::fs::write(out.join("text.txt"), tables.pools.text())?;
    std::fs::write(out.join("tables.rs"), emit::emit(&tables))?;
    Ok(())
}
