//! `cargo xtask bridge`: the CIM stream of the virtio-serial port for any TCP client.
//!
//! One client at a time has the port; the others wait in the listener's queue. Each client gets a new connection to
//! the socket, so that the guest sees its port close and open between two clients and starts afresh.

use anyhow::{Context, Result};
use clap::Args;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

/// Gives TCP clients of 127.0.0.1:PORT the CIM stream of a machine's virtio-serial port, one at a time.
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
        UnixStream::connect(&self.serial_socket).with_context(|| {
            format!(
                "no machine at {}: is it running?",
                self.serial_socket.display()
            )
        })?;
        let listener = TcpListener::bind(("127.0.0.1", self.port))
            .with_context(|| format!("port {} of 127.0.0.1 is not free", self.port))?;
        println!("CIM serial bridge: http://{}", listener.local_addr()?);
        serve(&listener, &self.serial_socket)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Relays one client after the other until the machine is gone.
fn serve(listener: &TcpListener, socket: &Path) -> Result<()> {
    for client in listener.incoming() {
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                eprintln!("bridge: a client was lost: {error}");
                continue;
            }
        };
        let machine = UnixStream::connect(socket)
            .with_context(|| format!("the machine at {} has ended", socket.display()))?;
        if let Err(error) = relay(&client, &machine) {
            eprintln!("bridge: connection ended: {error}");
        }
    }
    Ok(())
}

/// Copies both ways until either side ends, then closes both.
///
/// HTTP needs no half-closed connection: the client closes only when it wants no more answers, and the port's end is
/// the machine's.
fn relay(client: &TcpStream, machine: &UnixStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    thread::scope(|scope| {
        let upward = scope.spawn(|| {
            let result = copy(client, machine);
            end(client, machine);
            result
        });
        let downward = copy(machine, client);
        end(client, machine);
        let upward = upward.join().unwrap_or(Ok(()));
        upward.and(downward)
    })
}

fn end(client: &TcpStream, machine: &UnixStream) {
    // Whoever comes second finds the sockets already shut: nothing is lost by that.
    let _ = client.shutdown(Shutdown::Both);
    let _ = machine.shutdown(Shutdown::Both);
}

/// Copies until `from` ends. The other direction shuts the sockets down when it is done, which is no error here.
fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut buffer = [0_u8; 16 * 1024];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        };
        match to.write_all(buffer.get(..count).unwrap_or_default()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::os::unix::net::UnixListener;

    /// A bridge to a machine that answers every connection with its number and an echo.
    fn bridge(name: &str) -> (SocketAddr, PathBuf) {
        let file = format!("bulkhead-bridge-{}-{name}.sock", std::process::id());
        let socket = std::env::temp_dir().join(file);
        let _ = std::fs::remove_file(&socket);
        let machine = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            for (number, port) in machine.incoming().enumerate() {
                let mut port = port.unwrap();
                port.write_all(format!("{number}:").as_bytes()).unwrap();
                let mut buffer = [0; 64];
                while let Ok(count @ 1..) = port.read(&mut buffer) {
                    port.write_all(&buffer[..count]).unwrap();
                }
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let path = socket.clone();
        thread::spawn(move || serve(&listener, &path));
        (address, socket)
    }

    fn talk(address: SocketAddr, text: &str, answer: &str) -> TcpStream {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(text.as_bytes()).unwrap();
        let mut got = vec![0; answer.len()];
        client.read_exact(&mut got).unwrap();
        assert_eq!(String::from_utf8(got).unwrap(), answer);
        client
    }

    #[test]
    fn each_client_gets_a_new_connection_to_the_port() {
        let (address, socket) = bridge("fresh");
        drop(talk(address, "abc", "0:abc"));
        drop(talk(address, "def", "1:def"));
        std::fs::remove_file(socket).unwrap();
    }

    #[test]
    fn a_second_client_waits_for_the_first() {
        let (address, socket) = bridge("queue");
        let first = talk(address, "a", "0:a");
        let second = thread::spawn(move || talk(address, "b", "1:b"));
        thread::sleep(std::time::Duration::from_millis(50));
        assert!(!second.is_finished());
        drop(first);
        second.join().unwrap();
        std::fs::remove_file(socket).unwrap();
    }
}
