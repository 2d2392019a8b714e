//! `cargo xtask bridge`: the CIM stream of the virtio-serial port for any number of TCP clients.
//!
//! The port carries one stream, on which HTTP answers one request after the other. The bridge keeps that stream to
//! itself: it takes complete requests from its clients, passes them on one at a time, and reads each answer to its end. So
//! a client that goes in the middle of something, or does not read, harms nobody.

mod client;
mod machine;

use anyhow::{Context, Result};
use clap::Args;
use client::Client;
use machine::{Failure, Machine};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// Gives TCP clients of 127.0.0.1:PORT the CIM stream of a machine's virtio-serial port.
#[derive(Args)]
pub struct Bridge {
    /// The machine's socket: what `cargo xtask run` prints as "CIM serial", or was given as --serial-socket
    #[arg(long, value_name = "PATH")]
    serial_socket: PathBuf,
    /// TCP port to listen on [default: a free one]
    #[arg(long, value_name = "P", default_value_t = 0, hide_default_value = true)]
    port: u16,
}

impl Bridge {
    /// Runs the verb; ends only by a signal or an error.
    pub fn run(self) -> Result<ExitCode> {
        let machine = Machine::connect(&self.serial_socket).with_context(|| {
            format!(
                "no machine at {}: is it running?",
                self.serial_socket.display()
            )
        })?;
        let listener = TcpListener::bind(("127.0.0.1", self.port))
            .with_context(|| format!("port {} of 127.0.0.1 is not free", self.port))?;
        println!("CIM serial bridge: http://{}", listener.local_addr()?);
        Err(serve(listener, machine)).with_context(|| ended(&self.serial_socket))
    }
}

fn ended(socket: &Path) -> String {
    format!("the machine at {} has ended", socket.display())
}

/// Serves clients until the machine is gone, which is the result.
fn serve(listener: TcpListener, machine: Machine) -> io::Error {
    let machine = Arc::new(Mutex::new(machine));
    let (sender, gone) = channel();
    // The thread ends with the process.
    thread::spawn(move || accept(&listener, &machine, &sender));
    gone.recv().unwrap_or_else(io::Error::other)
}

fn accept(listener: &TcpListener, machine: &Arc<Mutex<Machine>>, gone: &Sender<io::Error>) {
    for client in listener.incoming() {
        let stream = match client {
            Ok(stream) => stream,
            Err(error) => {
                eprintln!("bridge: a client was lost: {error}");
                continue;
            }
        };
        let (machine, gone) = (Arc::clone(machine), gone.clone());
        thread::spawn(move || match Client::new(stream).serve(&machine) {
            Ok(()) => {}
            // Nobody listens any more where another client has found out as well.
            Err(Failure::Gone(error)) => drop(gone.send(error)),
            Err(Failure::Broken(reason)) => eprintln!("bridge: an answer was lost: {reason}"),
        });
    }
}

#[cfg(test)]
mod tests;
