//! Control messages of a multiport console (virtio 1.2, 5.3.6.2).

/// What a control message is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Driver: it is ready (1).
    DeviceReady,
    /// Device: a port exists.
    PortAdd,
    /// Device: a port is gone.
    PortRemove,
    /// Driver: it can use the port (1).
    PortReady,
    /// Both: the port's other end is open (1) or closed (0).
    PortOpen,
    /// Device: the port's name follows.
    PortName,
    /// Of no interest here: console port, size.
    Other,
}

impl Event {
    fn from_u16(number: u16) -> Self {
        match number {
            0 => Event::DeviceReady,
            1 => Event::PortAdd,
            2 => Event::PortRemove,
            3 => Event::PortReady,
            6 => Event::PortOpen,
            7 => Event::PortName,
            _ => Event::Other,
        }
    }

    fn number(self) -> u16 {
        match self {
            Event::DeviceReady => 0,
            Event::PortAdd => 1,
            Event::PortRemove => 2,
            Event::PortReady => 3,
            Event::PortOpen => 6,
            Event::PortName => 7,
            Event::Other => u16::MAX,
        }
    }
}

/// A control message; a name may follow it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// The port.
    pub port: u32,
    /// What it is about.
    pub event: Event,
    /// Its argument.
    pub value: u16,
}

impl Message {
    /// Bytes of a message.
    pub const BYTES: usize = 8;

    /// Reads a message; `None` where there are too few bytes.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[p0, p1, p2, p3, e0, e1, v0, v1, ..] = bytes else {
            return None;
        };
        Some(Message {
            port: u32::from_le_bytes([p0, p1, p2, p3]),
            event: Event::from_u16(u16::from_le_bytes([e0, e1])),
            value: u16::from_le_bytes([v0, v1]),
        })
    }

    /// The message's bytes.
    pub fn bytes(self) -> [u8; Self::BYTES] {
        let [p0, p1, p2, p3] = self.port.to_le_bytes();
        let [e0, e1] = self.event.number().to_le_bytes();
        let [v0, v1] = self.value.to_le_bytes();
        [p0, p1, p2, p3, e0, e1, v0, v1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_round_trip_and_short_ones_are_refused() {
        let message = Message {
            port: 0x0102_0304,
            event: Event::PortOpen,
            value: 1,
        };
        assert_eq!(Message::parse(&message.bytes()), Some(message));
        assert_eq!(Message::parse(&message.bytes()[..7]), None);
        assert_eq!(
            Message::parse(&[0, 0, 0, 0, 5, 0, 0, 0]).unwrap().event,
            Event::Other
        );
    }
}
