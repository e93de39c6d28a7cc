//! The little of Telnet that the control connection needs (RFC 854, RFC 959 §2.3, RFC 1123 §3.2.1): commands are taken
//! out of the bytes, every option is refused, IP and DM are told. Shared by the line and the reply decoder.

const SE: u8 = 240;
const DM: u8 = 242;
const IP: u8 = 244;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;
pub(crate) const IAC: u8 = 255;

/// Refusals kept until somebody takes them; a flood of offers beyond this is not answered.
const ANSWERS_LIMIT: usize = 192;

/// What one byte from the network turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Part of a Telnet command.
    Nothing,
    /// A byte of the line.
    Byte(u8),
    /// Two bytes of the line: an IAC that no Telnet command follows, sent by peers that do not double it.
    Two(u8, u8),
    /// IAC IP or IAC DM.
    Synch,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Data,
    Iac,
    /// After WILL, WONT, DO, DONT: the option follows.
    Option(u8),
    Subnegotiation,
    SubnegotiationIac,
}

/// Telnet commands taken out of a stream of bytes.
#[derive(Debug, Default)]
pub(crate) struct Telnet {
    state: State,
    answers: Vec<u8>,
}

impl Telnet {
    pub(crate) fn hear(&mut self, byte: u8) -> Heard {
        match self.state {
            State::Data if byte == IAC => self.turn(State::Iac, Heard::Nothing),
            State::Data => Heard::Byte(byte),
            State::Iac => match byte {
                IAC => self.turn(State::Data, Heard::Byte(IAC)),
                WILL | WONT | DO | DONT => self.turn(State::Option(byte), Heard::Nothing),
                SB => self.turn(State::Subnegotiation, Heard::Nothing),
                IP | DM => self.turn(State::Data, Heard::Synch),
                SE..=DONT => self.turn(State::Data, Heard::Nothing),
                _ => self.turn(State::Data, Heard::Two(IAC, byte)),
            },
            State::Option(verb) => {
                self.refuse(verb, byte);
                self.turn(State::Data, Heard::Nothing)
            }
            State::Subnegotiation if byte == IAC => {
                self.turn(State::SubnegotiationIac, Heard::Nothing)
            }
            State::Subnegotiation => Heard::Nothing,
            State::SubnegotiationIac if byte == SE => self.turn(State::Data, Heard::Nothing),
            State::SubnegotiationIac => self.turn(State::Subnegotiation, Heard::Nothing),
        }
    }

    /// Whether a Telnet command has begun and not ended.
    pub(crate) fn is_inside_command(&self) -> bool {
        !matches!(self.state, State::Data)
    }

    /// Gives up a command that has no end.
    pub(crate) fn forget_command(&mut self) {
        self.state = State::Data;
    }

    /// The refusals to send since the last call.
    pub(crate) fn take_answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answers)
    }

    fn refuse(&mut self, verb: u8, option: u8) {
        let answer = match verb {
            WILL => DONT,
            DO => WONT,
            // WONT and DONT confirm what already is.
            _ => return,
        };
        if self.answers.len() < ANSWERS_LIMIT {
            self.answers.extend([IAC, answer, option]);
        }
    }

    fn turn(&mut self, state: State, heard: Heard) -> Heard {
        self.state = state;
        heard
    }
}

/// Appends `bytes` with every IAC doubled.
pub(crate) fn escape_into(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        if *byte == IAC {
            out.push(IAC);
        }
        out.push(*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(bytes: &[u8]) -> (Vec<u8>, usize, Vec<u8>) {
        let mut telnet = Telnet::default();
        let (mut out, mut synchs) = (Vec::new(), 0);
        for byte in bytes {
            match telnet.hear(*byte) {
                Heard::Nothing => {}
                Heard::Byte(byte) => out.push(byte),
                Heard::Two(a, b) => out.extend([a, b]),
                Heard::Synch => synchs += 1,
            }
        }
        (out, synchs, telnet.take_answers())
    }

    #[test]
    fn commands_are_taken_out() {
        type Case = (&'static [u8], &'static [u8], usize, &'static [u8]);
        let cases: [Case; 8] = [
            (b"plain", b"plain", 0, b""),
            (b"a\xff\xffb", b"a\xffb", 0, b""),
            (b"a\xff\xf1b", b"ab", 0, b""),
            (b"\xff\xf4\xff\xf2ABOR", b"ABOR", 2, b""),
            (
                b"\xff\xfb\x01\xff\xfd\x03x",
                b"x",
                0,
                b"\xff\xfe\x01\xff\xfc\x03",
            ),
            (b"\xff\xfc\x01\xff\xfe\x03x", b"x", 0, b""),
            (b"\xff\xfa\x1fab\xff\xffc\xff\xf0x", b"x", 0, b""),
            (b"\xffA", b"\xffA", 0, b""),
        ];
        for (bytes, data, synchs, answers) in cases {
            assert_eq!(
                heard(bytes),
                (data.to_vec(), synchs, answers.to_vec()),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_flood_of_offers_is_answered_up_to_a_bound() {
        let flood: Vec<u8> = [IAC, WILL, 1].repeat(10_000);
        assert!(heard(&flood).2.len() <= ANSWERS_LIMIT);
    }
}
