//! `cim-sim`: runs the WBEM server on a TCP port of the host.

use cim_domain::HostEnd;
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
    let mut options =
        Options::parse(std::env::args().skip(1)).map_err(|error| error.to_string())?;
    let mut host = Host::open(options.port).map_err(|error| error.to_string())?;
    let address = host.address();
    loop {
        let ready = build(&options, &address.to_string())?;
        println!("CIM ready: http://{address}");
        println!("CIM user: {}", ready.administrator.name);
        println!("CIM password: {}", ready.administrator.password);
        match host.run(ready.server, ready.world) {
            HostEnd::PowerOff => {
                println!("The simulated machine has powered off.");
                return Ok(());
            }
            HostEnd::Restart => println!("The simulated machine starts again."),
        }
        // No guest has survived that, and whoever knows the password still does.
        options.adopt = false;
        options.password = Some(ready.administrator.password);
    }
}
