//! Sessions made of packets by hand, for what the recorded ones do not have: IPv6, refusals, TLS, a capture that begins
//! or ends in the middle, one port with several connections.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use etherparse::PacketBuilder;
use expect_test::{Expect, expect};
use wharf_ladder::source::capture::read;
use wharf_proto::trace;

/// Packets of raw IP, a millisecond apart.
#[derive(Default)]
struct Wire {
    file: Vec<u8>,
    millis: u32,
}

/// A TCP connection: both ends and what each has sent.
struct Connection {
    ends: [SocketAddr; 2],
    sent: [u32; 2],
}

const OPENER: usize = 0;
const OTHER: usize = 1;

#[derive(Clone, Copy, Default)]
struct Flags {
    syn: bool,
    fin: bool,
    rst: bool,
    ack: bool,
}

impl Wire {
    fn new() -> Self {
        let mut wire = Self::default();
        wire.file.extend(0xa1b2_c3d4_u32.to_le_bytes());
        wire.file.extend([2, 0, 4, 0]);
        for word in [0, 0, 65_535, 101_u32] {
            wire.file.extend(word.to_le_bytes());
        }
        wire
    }

    fn frame(&mut self, packet: &[u8]) {
        let length = u32::try_from(packet.len()).expect("short");
        let micros = self.millis % 1000 * 1000;
        for word in [1_000_000 + self.millis / 1000, micros, length, length] {
            self.file.extend(word.to_le_bytes());
        }
        self.file.extend(packet);
        self.millis += 1;
    }

    fn pause(&mut self, millis: u32) {
        self.millis += millis;
    }

    fn segment(&mut self, connection: &mut Connection, by: usize, flags: Flags, text: &[u8]) {
        let (from, to) = (connection.ends[by], connection.ends[1 - by]);
        let packet = tcp(
            from,
            to,
            connection.sent[by],
            connection.sent[1 - by],
            flags,
            text,
        );
        let moved = text.len() + usize::from(flags.syn) + usize::from(flags.fin);
        connection.sent[by] += u32::try_from(moved).expect("short");
        self.frame(&packet);
    }

    fn syn(&mut self, from: &str, to: &str) -> Connection {
        let mut connection = Connection {
            ends: [from.parse().unwrap(), to.parse().unwrap()],
            sent: [1000, 9000],
        };
        let syn = Flags {
            syn: true,
            ..Flags::default()
        };
        self.segment(&mut connection, OPENER, syn, b"");
        connection
    }

    fn open(&mut self, from: &str, to: &str) -> Connection {
        let mut connection = self.syn(from, to);
        let (syn, ack) = (true, true);
        self.segment(
            &mut connection,
            OTHER,
            Flags {
                syn,
                ack,
                ..Flags::default()
            },
            b"",
        );
        self.segment(
            &mut connection,
            OPENER,
            Flags {
                ack,
                ..Flags::default()
            },
            b"",
        );
        connection
    }

    fn says(&mut self, connection: &mut Connection, by: usize, text: &str) {
        let ack = Flags {
            ack: true,
            ..Flags::default()
        };
        self.segment(connection, by, ack, text.as_bytes());
    }

    /// Command and reply in turn; lines end with CRLF.
    fn talk(&mut self, connection: &mut Connection, lines: &[(usize, &str)]) {
        for (by, line) in lines {
            self.says(connection, *by, &format!("{line}\r\n"));
        }
    }

    fn fin(&mut self, connection: &mut Connection, by: usize) {
        let (fin, ack) = (true, true);
        self.segment(
            connection,
            by,
            Flags {
                fin,
                ack,
                ..Flags::default()
            },
            b"",
        );
        let ack = Flags {
            ack,
            ..Flags::default()
        };
        self.segment(connection, 1 - by, ack, b"");
    }

    fn rst(&mut self, connection: &mut Connection, by: usize) {
        let (rst, ack) = (true, true);
        self.segment(
            connection,
            by,
            Flags {
                rst,
                ack,
                ..Flags::default()
            },
            b"",
        );
    }

    /// The greeting and a login.
    fn login(&mut self, from: &str, to: &str) -> Connection {
        let mut control = self.open(from, to);
        self.talk(
            &mut control,
            &[
                (OTHER, "220 ready"),
                (OPENER, "USER ann"),
                (OTHER, "331 password"),
                (OPENER, "PASS hunter2"),
                (OTHER, "230 welcome"),
            ],
        );
        control
    }

    #[track_caller]
    fn tells(&self, expected: Expect) {
        let text = match read(&self.file) {
            Ok(events) => {
                let mut text = String::new();
                for event in events {
                    writeln!(text, "{event}").expect("a String");
                }
                assert_eq!(trace::read(text.as_bytes()).unread, []);
                text
            }
            Err(error) => error.to_string(),
        };
        assert!(!text.contains("hunter2"));
        expected.assert_eq(&text);
    }
}

fn tcp(from: SocketAddr, to: SocketAddr, seq: u32, ack: u32, flags: Flags, text: &[u8]) -> Vec<u8> {
    let ip = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), 64),
        _ => panic!("two families"),
    };
    let mut segment = ip.tcp(from.port(), to.port(), seq, 1000);
    if flags.syn {
        segment = segment.syn();
    }
    if flags.fin {
        segment = segment.fin();
    }
    if flags.rst {
        segment = segment.rst();
    }
    if flags.ack {
        segment = segment.ack(ack);
    }
    let mut packet = Vec::new();
    segment.write(&mut packet, text).expect("it fits");
    packet
}

const USER: &str = "192.0.2.7:40000";
const SERVER: &str = "203.0.113.9:21";

#[test]
fn ipv6_with_extension_headers_and_an_upload_that_the_user_breaks_off() {
    let mut wire = Wire::new();
    let mut control = wire.login("[2001:db8::7]:40000", "[2001:db8::9]:21");
    wire.talk(
        &mut control,
        &[(OPENER, "EPSV"), (OTHER, "229 ok (|||50001|)")],
    );
    let mut data = wire.open("[2001:db8::7]:40001", "[2001:db8::9]:50001");
    wire.talk(&mut control, &[(OPENER, "STOR a"), (OTHER, "150 go")]);
    // The same bytes behind a hop-by-hop header with padding
    let ack = Flags {
        ack: true,
        ..Flags::default()
    };
    let mut packet = tcp(
        data.ends[0],
        data.ends[1],
        data.sent[0],
        data.sent[1],
        ack,
        b"12345",
    );
    data.sent[0] += 5;
    let next = packet[6];
    packet[6] = 0;
    packet[5] += 8;
    packet.splice(40..40, [next, 0, 1, 4, 0, 0, 0, 0]);
    wire.frame(&packet);
    wire.rst(&mut data, OPENER);
    wire.talk(&mut control, &[(OTHER, "426 broken off")]);
    wire.rst(&mut control, OPENER);
    wire.tells(expect![[r"
        @0.000 s1 + user [2001:db8::7]:40000 [2001:db8::9]:21
        @0.002 s1 < 220 ready
        @0.003 s1 > USER ann
        @0.004 s1 < 331 password
        @0.005 s1 > PASS ****
        @0.006 s1 < 230 welcome
        @0.007 s1 > EPSV
        @0.008 s1 < 229 ok (|||50001|)
        @0.010 s1 ! opened user [2001:db8::7]:40001 [2001:db8::9]:50001
        @0.012 s1 > STOR a
        @0.013 s1 < 150 go
        @0.015 s1 ! closed 5 aborted
        @0.016 s1 < 426 broken off
        @0.017 s1 - reset
    "]]);
}

#[test]
fn refused_by_reset_and_by_icmp() {
    let mut wire = Wire::new();
    let mut control = wire.login(USER, SERVER);
    wire.talk(
        &mut control,
        &[(OPENER, "PASV"), (OTHER, "227 ok (203,0,113,9,195,81)")],
    );
    let mut data = wire.syn("192.0.2.7:40001", "203.0.113.9:50001");
    wire.rst(&mut data, OTHER);
    wire.talk(
        &mut control,
        &[(OPENER, "EPSV"), (OTHER, "229 ok (|||50002|)")],
    );
    let data = wire.syn("192.0.2.7:40002", "203.0.113.9:50002");
    let about = tcp(data.ends[0], data.ends[1], 1000, 0, Flags::default(), b"");
    let mut icmp = Vec::new();
    PacketBuilder::ipv4([203, 0, 113, 1], [192, 0, 2, 7], 64)
        .icmpv4_raw(3, 13, [0; 4])
        .write(&mut icmp, &about[..28])
        .expect("it fits");
    wire.frame(&icmp);
    wire.talk(&mut control, &[(OPENER, "QUIT"), (OTHER, "221 bye")]);
    wire.fin(&mut control, OTHER);
    wire.tells(expect![[r"
        @0.000 s1 + user 192.0.2.7:40000 203.0.113.9:21
        @0.002 s1 < 220 ready
        @0.003 s1 > USER ann
        @0.004 s1 < 331 password
        @0.005 s1 > PASS ****
        @0.006 s1 < 230 welcome
        @0.007 s1 > PASV
        @0.008 s1 < 227 ok (203,0,113,9,195,81)
        @0.010 s1 ! failed user 203.0.113.9:50001 203.0.113.9:50001 refused the connection
        @0.011 s1 > EPSV
        @0.012 s1 < 229 ok (|||50002|)
        @0.014 s1 ! failed user 203.0.113.9:50002 a firewall prohibits 203.0.113.9:50002 (ICMP)
        @0.015 s1 > QUIT
        @0.016 s1 < 221 bye
        @0.017 s1 - closed
    "]]);
}

#[test]
fn active_and_nobody_seen_to_come() {
    let mut wire = Wire::new();
    let mut control = wire.login(USER, SERVER);
    wire.talk(
        &mut control,
        &[
            (OPENER, "EPRT |1|192.0.2.7|40007|"),
            (OTHER, "200 ok"),
            (OPENER, "LIST"),
        ],
    );
    wire.pause(60_000);
    wire.talk(&mut control, &[(OTHER, "425 no connection")]);
    wire.fin(&mut control, OPENER);
    wire.tells(expect![[r"
        @0.000 s1 + user 192.0.2.7:40000 203.0.113.9:21
        @0.002 s1 < 220 ready
        @0.003 s1 > USER ann
        @0.004 s1 < 331 password
        @0.005 s1 > PASS ****
        @0.006 s1 < 230 welcome
        @0.007 s1 > EPRT |1|192.0.2.7|40007|
        @0.008 s1 < 200 ok
        @0.009 s1 > LIST
        @0.009 s1 ! awaited server 192.0.2.7:40007
        @60.010 s1 ! failed server 192.0.2.7:40007 no SYN was seen here
        @60.010 s1 < 425 no connection
        @60.011 s1 - closed
    "]]);
}

#[test]
fn tls_hides_what_is_said_but_not_who_connects() {
    let mut wire = Wire::new();
    let mut control = wire.open(USER, SERVER);
    wire.talk(
        &mut control,
        &[
            (OTHER, "220 ready"),
            (OPENER, "AUTH TLS"),
            (OTHER, "234 go on"),
        ],
    );
    wire.says(&mut control, OPENER, "\u{16}\u{3}\u{1}PASS hunter2\r\n");
    let mut data = wire.open("192.0.2.7:40001", "203.0.113.9:50001");
    wire.says(&mut data, OTHER, "abc");
    wire.fin(&mut data, OTHER);
    wire.open("192.0.2.7:40002", "203.0.113.9:443");
    wire.fin(&mut control, OPENER);
    wire.tells(expect![[r"
        @0.000 s1 + user 192.0.2.7:40000 203.0.113.9:21
        @0.002 s1 < 220 ready
        @0.003 s1 > AUTH TLS
        @0.004 s1 < 234 go on
        @0.004 s1 # TLS from here: what is said cannot be read, and data connections are known by their ends alone
        @0.007 s1 ! opened user 192.0.2.7:40001 203.0.113.9:50001
        @0.010 s1 ! closed 3 end
        @0.015 s1 - closed
    "]]);
}

#[test]
fn the_capture_begins_and_ends_in_the_middle() {
    let mut wire = Wire::new();
    let mut control = Connection {
        ends: [USER.parse().unwrap(), "203.0.113.9:2121".parse().unwrap()],
        sent: [1_000_000, 2_000_000],
    };
    wire.talk(
        &mut control,
        &[
            (OPENER, "TYPE I"),
            (OTHER, "200 ok"),
            (OPENER, "EPSV"),
            (OTHER, "229 ok (|||50001|)"),
        ],
    );
    let mut data = wire.open("192.0.2.7:40001", "203.0.113.9:50001");
    wire.talk(&mut control, &[(OPENER, "RETR a"), (OTHER, "150 here")]);
    wire.says(&mut data, OTHER, "0123456789");
    wire.tells(expect![[r"
        @0.000 s1 + user 192.0.2.7:40000 203.0.113.9:2121
        @0.000 s1 # the capture begins in the middle of this session
        @0.000 s1 > TYPE I
        @0.001 s1 < 200 ok
        @0.002 s1 > EPSV
        @0.003 s1 < 229 ok (|||50001|)
        @0.005 s1 ! opened user 192.0.2.7:40001 203.0.113.9:50001
        @0.007 s1 > RETR a
        @0.008 s1 < 150 here
        @0.009 s1 # the end of this data connection is not in the capture, 10 bytes are
        @0.009 s1 # the capture ends here
    "]]);
}

#[test]
fn one_port_with_two_sessions_of_one_host() {
    let mut wire = Wire::new();
    let mut one = wire.login(USER, SERVER);
    wire.talk(&mut one, &[(OPENER, "EPSV"), (OTHER, "229 ok (|||21|)")]);
    // The other session begins while the first waits; what it sends is no file.
    let mut two = wire.login("192.0.2.7:40002", SERVER);
    let mut data = wire.open("192.0.2.7:40001", SERVER);
    wire.talk(&mut one, &[(OPENER, "STOR a"), (OTHER, "150 go")]);
    wire.says(&mut data, OPENER, "USER is a word in a file\r\n");
    wire.fin(&mut data, OPENER);
    wire.talk(&mut one, &[(OTHER, "226 done")]);
    wire.talk(&mut two, &[(OPENER, "EPSV"), (OTHER, "229 ok (|||21|)")]);
    let mut data = wire.open("192.0.2.7:40003", SERVER);
    wire.talk(&mut two, &[(OPENER, "RETR b"), (OTHER, "150 go")]);
    wire.says(
        &mut data,
        OTHER,
        "220 a file that looks like a greeting\r\n",
    );
    wire.fin(&mut data, OTHER);
    wire.talk(&mut two, &[(OTHER, "226 done")]);
    wire.fin(&mut one, OPENER);
    wire.fin(&mut two, OPENER);
    wire.tells(expect![[r"
        @0.000 s1 + user 192.0.2.7:40000 203.0.113.9:21
        @0.002 s1 < 220 ready
        @0.003 s1 > USER ann
        @0.004 s1 < 331 password
        @0.005 s1 > PASS ****
        @0.006 s1 < 230 welcome
        @0.007 s1 > EPSV
        @0.008 s1 < 229 ok (|||21|)
        @0.010 s2 + user 192.0.2.7:40002 203.0.113.9:21
        @0.012 s2 < 220 ready
        @0.013 s2 > USER ann
        @0.014 s2 < 331 password
        @0.015 s2 > PASS ****
        @0.016 s2 < 230 welcome
        @0.018 s1 ! opened user 192.0.2.7:40001 203.0.113.9:21
        @0.020 s1 > STOR a
        @0.021 s1 < 150 go
        @0.023 s1 ! closed 26 end
        @0.025 s1 < 226 done
        @0.026 s2 > EPSV
        @0.027 s2 < 229 ok (|||21|)
        @0.029 s2 ! opened user 192.0.2.7:40003 203.0.113.9:21
        @0.031 s2 > RETR b
        @0.032 s2 < 150 go
        @0.034 s2 ! closed 39 end
        @0.036 s2 < 226 done
        @0.037 s1 - closed
        @0.039 s2 - closed
    "]]);
}

#[test]
fn the_user_closes_the_window() {
    let mut wire = Wire::new();
    let mut control = wire.login(USER, SERVER);
    wire.talk(
        &mut control,
        &[
            (OPENER, "PORT 192,0,2,7,156,71"),
            (OTHER, "200 ok"),
            (OPENER, "RETR a"),
        ],
    );
    wire.syn("203.0.113.9:20", "192.0.2.7:40007");
    wire.pause(2_900);
    wire.fin(&mut control, OPENER);
    wire.tells(expect![[r"
        @0.000 s1 + user 192.0.2.7:40000 203.0.113.9:21
        @0.002 s1 < 220 ready
        @0.003 s1 > USER ann
        @0.004 s1 < 331 password
        @0.005 s1 > PASS ****
        @0.006 s1 < 230 welcome
        @0.007 s1 > PORT 192,0,2,7,156,71
        @0.008 s1 < 200 ok
        @0.009 s1 > RETR a
        @0.009 s1 ! awaited server 192.0.2.7:40007
        @2.911 s1 ! failed server 192.0.2.7:40007 no answer from 192.0.2.7:40007 within 3 s
        @2.911 s1 - closed
    "]]);
}

#[test]
fn a_stranger_comes_first() {
    let mut wire = Wire::new();
    let mut control = wire.login(USER, SERVER);
    wire.talk(
        &mut control,
        &[(OPENER, "EPSV"), (OTHER, "229 ok (|||50001|)")],
    );
    let mut stranger = wire.open("198.51.100.66:666", "203.0.113.9:50001");
    wire.rst(&mut stranger, OTHER);
    let mut data = wire.open("192.0.2.7:40001", "203.0.113.9:50001");
    wire.talk(&mut control, &[(OPENER, "NLST"), (OTHER, "150 here")]);
    wire.fin(&mut data, OTHER);
    wire.talk(&mut control, &[(OTHER, "226 done")]);
    // Later it is nobody's business.
    wire.talk(
        &mut control,
        &[(OPENER, "EPSV"), (OTHER, "229 ok (|||50002|)")],
    );
    wire.syn("198.51.100.66:667", "203.0.113.9:50001");
    wire.fin(&mut control, OPENER);
    wire.tells(expect![[r"
        @0.000 s1 + user 192.0.2.7:40000 203.0.113.9:21
        @0.002 s1 < 220 ready
        @0.003 s1 > USER ann
        @0.004 s1 < 331 password
        @0.005 s1 > PASS ****
        @0.006 s1 < 230 welcome
        @0.007 s1 > EPSV
        @0.008 s1 < 229 ok (|||50001|)
        @0.009 s1 ! stranger 198.51.100.66:666
        @0.014 s1 ! opened user 192.0.2.7:40001 203.0.113.9:50001
        @0.016 s1 > NLST
        @0.017 s1 < 150 here
        @0.018 s1 ! closed 0 end
        @0.020 s1 < 226 done
        @0.021 s1 > EPSV
        @0.022 s1 < 229 ok (|||50002|)
        @0.024 s1 - closed
    "]]);
}

#[test]
fn no_control_connection() {
    let mut wire = Wire::new();
    let mut control = wire.syn(USER, SERVER);
    wire.rst(&mut control, OTHER);
    wire.syn("192.0.2.7:40001", SERVER);
    wire.tells(expect![[r"
        @0.000 s1 # no control connection: 203.0.113.9:21 refused the connection
        @0.001 s2 # no control connection: no answer from 203.0.113.9:21
    "]]);
}

#[test]
fn mail_is_no_ftp() {
    let mut wire = Wire::new();
    let mut mail = wire.open(USER, "203.0.113.9:25");
    wire.talk(
        &mut mail,
        &[
            (OTHER, "220 ready"),
            (OPENER, "EHLO a"),
            (OTHER, "250 b"),
            (OPENER, "QUIT"),
        ],
    );
    wire.tells(expect!["no FTP control connection among the 1 TCP connections of the capture; capture from before the login on, the control port and everything else of the two hosts"]);
}
