//! Speaks raw Ethernet to the management partition: asks for its address and sends it echo requests.
//!
//! Used by a probe of the table. QEMU's socket network puts each frame into a UDP datagram, so that no network interface of
//! the host and no rights are needed.

use crate::frame::{self, ArpKind, BROADCAST, Echo, Frame, Station};
use crate::machine::FramePorts;
use anyhow::{Context, Result, bail, ensure};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

/// How long all answers may take together; emulation is slow, and CI machines are busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long to wait before a request is repeated: networks may lose frames.
const REPEAT: Duration = Duration::from_secs(1);

/// A station on the machine's network.
pub struct Network {
    socket: UdpSocket,
    us: Station,
    deadline: Instant,
}

impl Network {
    /// The station `us` on the network behind `ports`.
    ///
    /// # Errors
    /// The runner's port is taken.
    pub fn join(ports: FramePorts, us: Station) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, ports.runner))
            .with_context(|| format!("UDP port {} is taken", ports.runner))?;
        socket.connect((Ipv4Addr::LOCALHOST, ports.machine))?;
        socket.set_read_timeout(Some(REPEAT))?;
        Ok(Self {
            socket,
            us,
            deadline: Instant::now() + PATIENCE,
        })
    }

    /// Who has the address `ip`.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn find(&self, ip: Ipv4Addr) -> Result<Station> {
        let everybody = Station { mac: BROADCAST, ip };
        let request = frame::arp(ArpKind::Request, self.us, everybody);
        self.ask(&request, |seen| match seen {
            Frame::Arp {
                kind: ArpKind::Reply,
                sender,
                target,
            } => (sender.ip == ip && *target == self.us.ip).then_some(Ok(*sender)),
            _ => None,
        })
        .with_context(|| format!("asking who has {ip}"))
    }

    /// Sends an echo request and checks that exactly it comes back.
    ///
    /// # Errors
    /// Nothing comes back, or something else.
    pub fn echo(&self, them: Station, echo: &Echo) -> Result<()> {
        let request = frame::echo_request(self.us, them, echo)?;
        self.ask(&request, |seen| match seen {
            // The reply to an earlier request that was repeated too soon.
            Frame::EchoReply { echo: other, .. } if other.sequence < echo.sequence => None,
            Frame::EchoReply {
                sender,
                target,
                echo: back,
            } => Some(if (*sender, *target, back) == (them, self.us.ip, echo) {
                Ok(())
            } else {
                Err(anyhow::anyhow!("another echo came back"))
            }),
            _ => None,
        })
        .with_context(|| format!("echo of {} bytes", echo.payload.len()))
    }

    /// Sends `request`, and again, until `answer` finds what it looks for. Answers ARP meanwhile, as every station does.
    fn ask<T>(&self, request: &[u8], answer: impl Fn(&Frame) -> Option<Result<T>>) -> Result<T> {
        let mut buffer = [0; 4096];
        loop {
            self.socket.send(request).context("QEMU takes no frame")?;
            let repeat = Instant::now() + REPEAT;
            while Instant::now() < repeat {
                ensure!(Instant::now() < self.deadline, "no answer");
                let bytes = match self.socket.recv(&mut buffer) {
                    Ok(bytes) => bytes,
                    Err(error) if is_silence(error.kind()) => break,
                    Err(error) => bail!("no frame can be received: {error}"),
                };
                let seen = frame::read(buffer.get(..bytes).unwrap_or_default())?;
                if let Some(found) = answer(&seen) {
                    return found;
                }
                self.answer_arp(&seen)?;
            }
        }
    }

    fn answer_arp(&self, seen: &Frame) -> Result<()> {
        if let Frame::Arp {
            kind: ArpKind::Request,
            sender,
            target,
        } = seen
            && *target == self.us.ip
        {
            let reply = frame::arp(ArpKind::Reply, self.us, *sender);
            self.socket.send(&reply).context("QEMU takes no frame")?;
        }
        Ok(())
    }
}

fn is_silence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
