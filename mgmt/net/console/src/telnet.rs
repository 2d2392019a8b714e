//! As much of Telnet (RFC 854, 857, 858) as makes its clients send characters and not echo passwords.
//!
//! A client is taken for a Telnet client when it sends a command; before that, its bytes are plain. We ask once, before the
//! password, to do the echo: a Telnet client answers, a plain one shows three strange bytes.

use alloc::vec::Vec;

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;

/// We offer to echo, which is: do not echo yourself.
pub(crate) const OFFER_ECHO: [u8; 3] = [IAC, WILL, ECHO];
/// After the password: characters one by one, both ways.
pub(crate) const CHARACTER_MODE: [u8; 6] =
    [IAC, WILL, SUPPRESS_GO_AHEAD, IAC, DO, SUPPRESS_GO_AHEAD];

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Data,
    /// After CR: a NUL or LF behind it belongs to it.
    Return,
    Command,
    /// After WILL, WONT, DO or DONT.
    Option(u8),
    Sub,
    SubCommand,
}

/// Tells data from commands.
#[derive(Default)]
pub(crate) struct Telnet {
    state: State,
    is_telnet: bool,
}

impl Telnet {
    /// Whether the client speaks Telnet.
    pub(crate) fn is_telnet(&self) -> bool {
        self.is_telnet
    }

    /// Takes a byte from the client: what of it is data, if anything. What has to be answered goes to `reply`.
    ///
    /// `commands` says whether a client that has not spoken Telnet so far may begin to: afterwards its bytes are its own.
    pub(crate) fn decode(
        &mut self,
        byte: u8,
        commands: Commands,
        reply: &mut Vec<u8>,
    ) -> Option<u8> {
        let may = self.is_telnet || commands == Commands::Expected;
        match self.state {
            State::Return if byte == b'\n' || byte == 0 => {
                self.state = State::Data;
                None
            }
            State::Data | State::Return => {
                self.state = match byte {
                    IAC if may => State::Command,
                    b'\r' if may => State::Return,
                    _ => State::Data,
                };
                (self.state != State::Command).then_some(byte)
            }
            State::Command => {
                self.state = match byte {
                    WILL | WONT | DO | DONT => State::Option(byte),
                    SB => State::Sub,
                    _ => State::Data,
                };
                self.is_telnet |= byte != IAC;
                (byte == IAC).then_some(byte)
            }
            State::Option(verb) => {
                self.state = State::Data;
                refuse(verb, byte, reply);
                None
            }
            State::Sub => {
                if byte == IAC {
                    self.state = State::SubCommand;
                }
                None
            }
            State::SubCommand => {
                self.state = if byte == SE { State::Data } else { State::Sub };
                None
            }
        }
    }

    /// Makes a client's bytes of ours.
    pub(crate) fn encode(&self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            out.push(byte);
            if byte == IAC && self.is_telnet {
                out.push(IAC);
            }
        }
    }
}

/// Whether a plain client may turn out to speak Telnet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Commands {
    /// It may.
    Expected,
    /// It would have done so.
    TooLate,
}

/// What we neither offered nor asked for is refused; answers to what we did are not answered.
fn refuse(verb: u8, option: u8, reply: &mut Vec<u8>) {
    match (verb, option) {
        (DO, ECHO | SUPPRESS_GO_AHEAD) | (WILL, SUPPRESS_GO_AHEAD) => {}
        (DO, option) => reply.extend([IAC, WONT, option]),
        (WILL, option) => reply.extend([IAC, DONT, option]),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(telnet: &mut Telnet, bytes: &[u8], commands: Commands) -> (Vec<u8>, Vec<u8>) {
        let mut reply = Vec::new();
        let data = bytes
            .iter()
            .filter_map(|byte| telnet.decode(*byte, commands, &mut reply))
            .collect();
        (data, reply)
    }

    #[test]
    fn commands_are_taken_out_and_answered() {
        let mut telnet = Telnet::default();
        // DO ECHO (ours), WILL NAWS with its size, an escaped 255, Enter in both forms.
        let bytes = [
            IAC, DO, ECHO, IAC, WILL, 31, IAC, SB, 31, 0, IAC, IAC, 80, IAC, SE, b'a', IAC, IAC,
            b'\r', 0, b'b', b'\r', b'\n', b'\n',
        ];
        let (data, reply) = decode(&mut telnet, &bytes, Commands::Expected);
        assert_eq!(data, [b'a', 255, b'\r', b'b', b'\r', b'\n']);
        assert_eq!(reply, [IAC, DONT, 31]);
        assert!(telnet.is_telnet());
        let mut out = Vec::new();
        telnet.encode(&[1, 255], &mut out);
        assert_eq!(out, [1, 255, 255]);
        let (data, _) = decode(&mut telnet, &[IAC, DO, 6, b'c'], Commands::TooLate);
        assert_eq!(data, b"c");
    }

    #[test]
    fn a_plain_clients_bytes_are_its_own_after_the_log_in() {
        let mut telnet = Telnet::default();
        let (data, _) = decode(&mut telnet, b"me\r\n", Commands::Expected);
        assert_eq!(data, b"me\r");
        let bytes = [IAC, DO, b'\r', b'\n', b'x'];
        let (data, _) = decode(&mut telnet, &bytes, Commands::TooLate);
        assert_eq!(data, bytes);
        let mut out = Vec::new();
        telnet.encode(&[255], &mut out);
        assert_eq!(out, [255]);
    }
}
