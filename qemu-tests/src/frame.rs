//! Ethernet frames of a station that asks who has an address and sends echo requests: ARP, IPv4 and ICMP.
//!
//! Used by [`crate::ping`]. Pure. What is read is checked to the last byte: the machine under test made it.

use anyhow::{Context, Result, ensure};
use std::net::Ipv4Addr;

/// Everybody on the network.
pub const BROADCAST: [u8; 6] = [0xff; 6];
/// The shortest frame, without its check sequence.
const SHORTEST: usize = 60;
const ETHERNET_BYTES: usize = 14;
const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const IPV4_BYTES: usize = 20;
const ARP_BYTES: usize = 28;
const ECHO_BYTES: usize = 8;
const ICMP: u8 = 1;
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
/// Ethernet addresses for IPv4 addresses (RFC 826).
const ARP_KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// Somebody on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Station {
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Its IPv4 address.
    pub ip: Ipv4Addr,
}

/// What an ARP packet does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArpKind {
    /// It asks for the Ethernet address of its target.
    Request,
    /// It tells its sender's Ethernet address to its target.
    Reply,
}

/// An echo request, or the reply to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Echo {
    /// Which series it belongs to.
    pub id: u16,
    /// Its number in the series.
    pub sequence: u16,
    /// What is to come back.
    pub payload: Vec<u8>,
}

/// What a received frame is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// An ARP packet.
    Arp {
        /// What it does.
        kind: ArpKind,
        /// Who sent it.
        sender: Station,
        /// The address it is about or for.
        target: Ipv4Addr,
    },
    /// The reply to an echo request.
    EchoReply {
        /// Who sent it.
        sender: Station,
        /// To whom.
        target: Ipv4Addr,
        /// What came back.
        echo: Echo,
    },
    /// Something else.
    Other,
}

/// An ARP packet to the Ethernet address `to.mac`.
pub fn arp(kind: ArpKind, from: Station, to: Station) -> Vec<u8> {
    let (operation, asked) = match kind {
        ArpKind::Request => (1, [0; 6]),
        ArpKind::Reply => (2, to.mac),
    };
    let mut frame = ethernet(from.mac, to.mac, ARP);
    frame.extend(ARP_KIND);
    frame.extend([0, operation]);
    frame.extend(from.mac);
    frame.extend(from.ip.octets());
    frame.extend(asked);
    frame.extend(to.ip.octets());
    padded(frame)
}

/// An echo request.
pub fn echo_request(from: Station, to: Station, echo: &Echo) -> Result<Vec<u8>> {
    echo_message(ECHO_REQUEST, from, to, echo)
}

fn echo_message(kind: u8, from: Station, to: Station, echo: &Echo) -> Result<Vec<u8>> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(echo.id.to_be_bytes());
    message.extend(echo.sequence.to_be_bytes());
    message.extend(&echo.payload);
    seal(&mut message, 2);
    let total = u16::try_from(IPV4_BYTES + message.len()).context("the echo is too long")?;
    // Version 4, five words; may not be cut into fragments; 64 hops.
    let mut header = vec![0x45, 0];
    header.extend(total.to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, ICMP, 0, 0]);
    header.extend(from.ip.octets());
    header.extend(to.ip.octets());
    seal(&mut header, 10);
    let mut frame = ethernet(from.mac, to.mac, IPV4);
    frame.extend(header);
    frame.extend(message);
    Ok(padded(frame))
}

/// What a received frame is.
///
/// # Errors
/// It is cut short, or a checksum in it is wrong.
pub fn read(frame: &[u8]) -> Result<Frame> {
    let (header, rest) = frame
        .split_at_checked(ETHERNET_BYTES)
        .context("a frame without header")?;
    match (header.get(12), header.get(13)) {
        (Some(8), Some(6)) => read_arp(rest),
        (Some(8), Some(0)) => read_ipv4(array(header, 6)?, rest),
        _ => Ok(Frame::Other),
    }
}

fn read_arp(packet: &[u8]) -> Result<Frame> {
    let packet = packet.get(..ARP_BYTES).context("a short ARP packet")?;
    let kind = match array(packet, 6)? {
        [0, 1] => ArpKind::Request,
        [0, 2] => ArpKind::Reply,
        _ => return Ok(Frame::Other),
    };
    if array::<6>(packet, 0)? != ARP_KIND {
        return Ok(Frame::Other);
    }
    Ok(Frame::Arp {
        kind,
        sender: Station {
            mac: array(packet, 8)?,
            ip: array::<4>(packet, 14)?.into(),
        },
        target: array::<4>(packet, 24)?.into(),
    })
}

fn read_ipv4(mac: [u8; 6], packet: &[u8]) -> Result<Frame> {
    let (header, _) = packet
        .split_at_checked(IPV4_BYTES)
        .context("a short IPv4 header")?;
    let [version, _] = array(header, 0)?;
    if version != 0x45 {
        return Ok(Frame::Other);
    }
    ensure!(
        checksum(header) == 0,
        "the checksum of an IPv4 header is wrong"
    );
    let total = usize::from(u16::from_be_bytes(array(header, 2)?));
    let message = packet
        .get(IPV4_BYTES..total)
        .context("an IPv4 packet that is shorter than it says")?;
    let [_, protocol] = array(header, 8)?;
    if protocol != ICMP || message.first() != Some(&ECHO_REPLY) {
        return Ok(Frame::Other);
    }
    ensure!(
        checksum(message) == 0,
        "the checksum of an ICMP message is wrong"
    );
    let payload = message.get(ECHO_BYTES..).context("a short echo reply")?;
    Ok(Frame::EchoReply {
        sender: Station {
            mac,
            ip: array::<4>(header, 12)?.into(),
        },
        target: array::<4>(header, 16)?.into(),
        echo: Echo {
            id: u16::from_be_bytes(array(message, 4)?),
            sequence: u16::from_be_bytes(array(message, 6)?),
            payload: payload.to_vec(),
        },
    })
}

fn ethernet(from: [u8; 6], to: [u8; 6], kind: u16) -> Vec<u8> {
    let mut frame = to.to_vec();
    frame.extend(from);
    frame.extend(kind.to_be_bytes());
    frame
}

fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(SHORTEST), 0);
    frame
}

/// Puts the checksum of `bytes` at offset `at`, which is zero yet.
fn seal(bytes: &mut [u8], at: usize) {
    let sum = checksum(bytes).to_be_bytes();
    for (place, byte) in bytes.iter_mut().skip(at).zip(sum) {
        *place = byte;
    }
}

/// The Internet checksum (RFC 1071); 0 over what contains its own.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| {
        let high = pair.first().copied().unwrap_or(0);
        u64::from(u16::from_be_bytes([
            high,
            pair.get(1).copied().unwrap_or(0),
        ]))
    });
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let part = bytes.get(at..at + N).context("a packet is cut short")?;
    Ok(part.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Station = Station {
        mac: [2, 0, 0, 0, 0, 1],
        ip: Ipv4Addr::new(192, 168, 77, 1),
    };
    const THEM: Station = Station {
        mac: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
        ip: Ipv4Addr::new(192, 168, 77, 2),
    };

    fn echo(bytes: usize) -> Echo {
        Echo {
            id: 0xbeef,
            sequence: 7,
            payload: (0..bytes).map(|index| index as u8).collect(),
        }
    }

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        // The example of its section 3.
        let sum = checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum, !0xddf2);
        assert_eq!(checksum(&[0xff]), !0xff00);
    }

    #[test]
    fn an_arp_request_is_the_one_of_rfc_826() {
        let everybody = Station {
            mac: BROADCAST,
            ..THEM
        };
        let frame = arp(ArpKind::Request, US, everybody);
        let start = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2,
            0, 0, 0, 0, 1, 192, 168, 77, 1, 0, 0, 0, 0, 0, 0, 192, 168, 77, 2,
        ];
        assert_eq!(frame[..start.len()], start);
        assert_eq!(frame.len(), 60);
        let seen = Frame::Arp {
            kind: ArpKind::Request,
            sender: US,
            target: THEM.ip,
        };
        assert_eq!(read(&frame).unwrap(), seen);
        let reply = read(&arp(ArpKind::Reply, THEM, US)).unwrap();
        assert!(
            matches!(reply, Frame::Arp { kind: ArpKind::Reply, sender, target } if sender == THEM && target == US.ip)
        );
    }

    #[test]
    fn an_echo_request_is_the_one_of_rfc_792() {
        let frame = echo_request(US, THEM, &echo(3)).unwrap();
        assert_eq!(frame[..6], THEM.mac);
        assert_eq!(frame[12..18], [8, 0, 0x45, 0, 0, 31]);
        assert_eq!(checksum(&frame[14..34]), 0);
        assert_eq!(frame[34..36], [8, 0]);
        assert_eq!(frame[38..45], [0xbe, 0xef, 0, 7, 0, 1, 2]);
        assert_eq!(checksum(&frame[34..45]), 0);
        assert!(frame[45..].iter().all(|byte| *byte == 0));
        assert_eq!(read(&frame).unwrap(), Frame::Other);
        assert!(echo_request(US, THEM, &echo(70_000)).is_err());
    }

    #[test]
    fn a_reply_comes_back_without_its_padding() {
        for bytes in [0, 1, 56, 1472] {
            let frame = echo_message(ECHO_REPLY, THEM, US, &echo(bytes)).unwrap();
            let expected = Frame::EchoReply {
                sender: THEM,
                target: US.ip,
                echo: echo(bytes),
            };
            assert_eq!(read(&frame).unwrap(), expected);
        }
    }

    #[test]
    fn every_changed_byte_of_a_reply_is_noticed() {
        let good = echo_message(ECHO_REPLY, THEM, US, &echo(40)).unwrap();
        let expected = read(&good).unwrap();
        for index in 6..good.len() {
            let mut frame = good.clone();
            frame[index] ^= 0x10;
            let noticed = read(&frame).map_or(true, |seen| seen != expected);
            assert!(noticed, "byte {index}");
        }
    }

    #[test]
    fn a_frame_cut_short_is_an_error_or_something_else() {
        for frame in [
            arp(ArpKind::Reply, THEM, US)[..42].to_vec(),
            echo_message(ECHO_REPLY, THEM, US, &echo(40)).unwrap(),
        ] {
            for length in 0..frame.len() {
                assert!(read(&frame[..length]).is_err(), "{length}");
            }
        }
    }
}
