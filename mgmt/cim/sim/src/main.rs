//! `cim-sim`: runs the WBEM server on a TCP port of the host.

use cim_sim::{Host, Options, build};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cim-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let options = Options::parse(std::env::args().skip(1)).map_err(|error| error.to_string())?;
    let host = Host::open(options.port).map_err(|error| error.to_string())?;
    let address = host.address();
    let ready = build(&options, &address.to_string())?;
    println!("CIM ready: http://{address}");
    println!("CIM user: {}", ready.administrator.name);
    println!("CIM password: {}", ready.administrator.password);
    host.run(ready.server, ready.world)
        .map_err(|error| error.to_string())
}
