//! A running machine as its surroundings see it: QEMU's monitor, and the devices of the management partition.
//!
//! Given to the probes of machine tests; `cargo xtask run` asks the server the same way.

use crate::machine::{FramePorts, ManagementDevices, Network};
use crate::monitor::Monitor;
use anyhow::{Context, Result, bail};
use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a server may take for one answer; emulation is slow, and so may the machine under it be.
const ANSWER: Duration = Duration::from_secs(60);

/// What can be reached from outside.
#[derive(Debug)]
pub struct View {
    monitor: PathBuf,
    devices: Option<ManagementDevices>,
}

impl View {
    /// A machine whose monitor listens at `monitor`.
    pub fn new(monitor: PathBuf, devices: Option<ManagementDevices>) -> Self {
        Self { monitor, devices }
    }

    /// Where the monitor listens.
    pub fn monitor_socket(&self) -> &Path {
        &self.monitor
    }

    /// A new connection to the monitor.
    ///
    /// # Errors
    /// The machine has ended.
    pub fn monitor(&self) -> Result<Monitor> {
        Monitor::connect(&self.monitor)
    }

    /// The devices of the management partition, when the machine has them.
    pub fn devices(&self) -> Option<&ManagementDevices> {
        self.devices.as_ref()
    }

    /// The address that leads to the CIM server.
    ///
    /// # Errors
    /// The machine has no devices for management.
    pub fn cim_server(&self) -> Result<SocketAddr> {
        match self.network()? {
            Network::Forwarded(forwards) => {
                Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, forwards.cim)))
            }
            Network::Frames(_) => bail!("the runner's network has no TCP"),
        }
    }

    /// The ports for Ethernet frames.
    ///
    /// # Errors
    /// The machine has no network that takes frames.
    pub fn frame_ports(&self) -> Result<FramePorts> {
        match self.network()? {
            Network::Frames(ports) => Ok(ports),
            Network::Forwarded(_) => bail!("QEMU's own network takes no frames"),
        }
    }

    fn network(&self) -> Result<Network> {
        let devices = self.devices().context("this machine has no network")?;
        Ok(devices.network)
    }
}

/// A TCP port of 127.0.0.1 that nobody uses now.
///
/// # Errors
/// All are in use.
pub fn free_port() -> Result<u16> {
    free_ports(1, 0)
}

/// The first of `count` TCP ports of 127.0.0.1 in a row that nobody uses now and that `taken`, which somebody will use, is not in.
///
/// # Errors
/// There is no such row.
pub fn free_ports(count: u16, taken: u16) -> Result<u16> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    for _ in 0..64 {
        let first = listening_port(count)?;
        let Some(end) = end_of_row(first, count, taken) else {
            continue;
        };
        // All at once, so that the same row is not found free piece by piece while somebody else takes it.
        let row: io::Result<Vec<_>> = (first..end).map(bind).collect();
        if row.is_ok() {
            return Ok(first);
        }
    }
    bail!("there are no {count} free TCP ports in a row")
}

/// The first of a row of ports, each time another one, below those that the kernel gives to connections: one of these could take
/// what was found free a moment later, be it only for the end of a connection that nobody remembers.
fn listening_port(row: u16) -> Result<u16> {
    const FIRST: u16 = 10_000;
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let end = first_of_connections(&range).unwrap_or(32_768);
    let width = end
        .checked_sub(FIRST)
        .and_then(|width| width.checked_sub(row));
    let Some(width) = width.filter(|width| *width > 1000) else {
        // The machine gives nearly all ports to connections.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free TCP port")?;
        return Ok(listener.local_addr()?.port());
    };
    // The standard library's only random numbers.
    let random = RandomState::new().build_hasher().finish();
    let offset = random.checked_rem(u64::from(width)).unwrap_or_default();
    Ok(FIRST.saturating_add(u16::try_from(offset).unwrap_or_default()))
}

/// Linux, Documentation/networking/ip-sysctl: two numbers, the first and the last port for connections.
fn first_of_connections(range: &str) -> Option<u16> {
    range.split_ascii_whitespace().next()?.parse().ok()
}

/// The port behind a row of `count` from `first` on; `None` where there are not so many, or where `taken` is one of them.
fn end_of_row(first: u16, count: u16, taken: u16) -> Option<u16> {
    let end = first.checked_add(count)?;
    (!(first..end).contains(&taken)).then_some(end)
}

/// Two UDP ports of 127.0.0.1 that nobody uses now.
///
/// # Errors
/// All are in use.
pub fn free_frame_ports() -> Result<FramePorts> {
    let [machine, runner] = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)));
    let port = |socket: io::Result<UdpSocket>| -> Result<u16> {
        Ok(socket.context("no free UDP port")?.local_addr()?.port())
    };
    Ok(FramePorts {
        machine: port(machine)?,
        runner: port(runner)?,
    })
}

/// Whether an HTTP server answers at `server`, be it with an error status.
///
/// QEMU accepts connections before anybody listens behind it, so a connection proves nothing.
pub fn answers_http(server: SocketAddr) -> bool {
    let connected = TcpStream::connect_timeout(&server, ANSWER);
    connected.is_ok_and(|stream| {
        stream.set_read_timeout(Some(ANSWER)).is_ok() && asks_well(stream).unwrap_or(false)
    })
}

/// Whether an HTTP server answers at the other end of the virtio-serial port behind `socket`.
pub fn answers_http_on_serial(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok_and(|stream| {
        stream.set_read_timeout(Some(ANSWER)).is_ok() && asks_well(stream).unwrap_or(false)
    })
}

fn asks_well(mut stream: impl Read + Write) -> io::Result<bool> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut start = [0; 7];
    stream.read_exact(&mut start)?;
    Ok(start == *b"HTTP/1.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn ports_to_listen_at_are_none_that_connections_get() {
        assert_eq!(first_of_connections("32768\t60999\n"), Some(32768));
        assert_eq!(first_of_connections(""), None);
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
        let end = first_of_connections(&range).unwrap();
        for _ in 0..20 {
            let first = free_ports(33, 0).unwrap();
            assert!(
                end <= 11_100 || (10_000..=end - 33).contains(&first),
                "{first}"
            );
        }
    }

    #[test]
    fn the_cim_port_is_not_one_of_the_consoles() {
        // QEMU refused to forward one port twice.
        assert_eq!(end_of_row(40703, 32, 40711), None);
        assert_eq!(end_of_row(40703, 32, 40735), Some(40735));
        assert_eq!(end_of_row(40703, 32, 40702), Some(40735));
        assert_eq!(end_of_row(65530, 32, 80), None);
    }

    /// A server that says `answer` to its first client.
    fn server(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let _ = client.read(&mut [0; 512]);
            let _ = client.write_all(answer.as_bytes());
        });
        address
    }

    #[test]
    fn an_error_status_is_an_answer() {
        assert!(answers_http(server("HTTP/1.1 401 Unauthorized\r\n\r\n")));
    }

    #[test]
    fn a_port_that_only_accepts_does_not_answer() {
        assert!(!answers_http(server("")));
        assert!(!answers_http(server("SSH-2.0-x\r\n")));
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().unwrap()));
        assert!(!answers_http(nobody));
    }

    #[test]
    fn a_serial_port_is_asked_the_same_way() {
        let folder = crate::socket_folder::SocketFolder::new("serial").unwrap();
        let path = folder.path().join("port");
        assert!(!answers_http_on_serial(&path));
        let port = std::os::unix::net::UnixListener::bind(&path).unwrap();
        thread::spawn(move || {
            let (mut client, _) = port.accept().unwrap();
            let _ = client.read(&mut [0; 512]);
            let _ = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        });
        assert!(answers_http_on_serial(&path));
    }

    #[test]
    fn a_machine_without_devices_has_no_server() {
        assert!(View::new("m".into(), None).cim_server().is_err());
    }
}
