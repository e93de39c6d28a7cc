//! Every line that people read, as they read it.

use super::*;

const LONGEST: usize = 200;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "as the field has it")]
fn told(text: &str, with_address: bool) -> Option<Told> {
    Some(Told {
        at: at(text),
        with_address,
    })
}

fn usual() -> Circumstances {
    Circumstances {
        peer: "198.51.100.7".parse().unwrap(),
        control_port: 21,
        told: told("203.0.113.5:50017", true),
        range: "50000-50099".parse().unwrap(),
        active: true,
        control_port_next: false,
        moved: 12_345,
    }
}

fn nobody(strangers: &[&str]) -> OpenError {
    OpenError::NobodyCame {
        at: at("10.20.0.2:50017"),
        waited: Duration::from_millis(10_004),
        strangers: strangers.iter().map(|it| at(it)).collect(),
    }
}

#[test]
fn a_passive_client_that_did_not_come_is_told_where_and_why() {
    let passive_only = Circumstances {
        active: false,
        ..usual()
    };
    let table = [
        (
            usual(),
            nobody(&[]),
            "No connection came to 203.0.113.5:50017 in 10 s; is 50000-50099/tcp open? Active mode (PORT) is also offered",
        ),
        (
            passive_only,
            nobody(&[]),
            "No connection came to 203.0.113.5:50017 in 10 s; is 50000-50099/tcp open?",
        ),
        (
            Circumstances {
                control_port_next: true,
                ..usual()
            },
            nobody(&[]),
            "No connection came to 203.0.113.5:50017 in 10 s; is 50000-50099/tcp open? Ask again: the next passive attempt uses this control port. Active mode (PORT) is also offered",
        ),
        (
            Circumstances {
                told: told("203.0.113.5:50017", false),
                ..usual()
            },
            nobody(&[]),
            "No connection came to port 50017 in 10 s; is 50000-50099/tcp open? Active mode (PORT) is also offered",
        ),
        (
            Circumstances {
                told: told("10.20.0.2:50017", true),
                ..usual()
            },
            nobody(&[]),
            "No connection came to 10.20.0.2:50017 in 10 s; that address is private: this server does not know its outer one. Active mode (PORT) is also offered",
        ),
        (
            // On one side of the NAT a private address is right.
            Circumstances {
                told: told("10.20.0.2:50017", true),
                peer: "10.20.0.7".parse().unwrap(),
                ..passive_only
            },
            nobody(&[]),
            "No connection came to 10.20.0.2:50017 in 10 s; is 50000-50099/tcp open?",
        ),
        (
            Circumstances {
                told: told("203.0.113.5:21", true),
                ..passive_only
            },
            nobody(&[]),
            "No connection came to 203.0.113.5:21 in 10 s, the port of this control connection",
        ),
        (
            Circumstances {
                told: told("203.0.113.5:2020", true),
                ..passive_only
            },
            nobody(&[]),
            "No connection came to 203.0.113.5:2020 in 10 s; is 2020/tcp open?",
        ),
        (
            passive_only,
            nobody(&["198.51.100.66:1"]),
            "No connection came from 198.51.100.7 to 203.0.113.5:50017 in 10 s, but a stranger's from 198.51.100.66",
        ),
        (
            passive_only,
            nobody(&["198.51.100.66:1", "198.51.100.67:1", "198.51.100.66:2"]),
            "No connection came from 198.51.100.7 to 203.0.113.5:50017 in 10 s, but a stranger's from 198.51.100.66 and 2 more",
        ),
        (
            Circumstances {
                peer: "2001:db8::7".parse().unwrap(),
                told: told("[2001:db8::5]:50017", false),
                ..usual()
            },
            nobody(&[]),
            "No connection came to port 50017 in 10 s; is 50000-50099/tcp open? Active mode (EPRT) is also offered",
        ),
    ];
    for (circumstances, error, want) in table {
        let got = circumstances.unopened(&error);
        assert_eq!(got, want);
        assert!(got.len() < LONGEST, "{} {got}", got.len());
    }
}

#[test]
fn a_client_that_active_mode_does_not_reach_is_told_so() {
    let to = at("198.51.100.7:45000");
    let io = || io::Error::other("secret details");
    let table = [
        (
            OpenError::Silent {
                to,
                waited: Duration::from_millis(1_540),
            },
            "198.51.100.7:45000 did not answer in 1.5 s: a firewall or NAT in front of the client drops it? Passive mode (EPSV, PASV) is also offered",
        ),
        (
            OpenError::Refused { to },
            "198.51.100.7:45000 refused the connection: nothing listens there, or a firewall in front of it rejects. Passive mode (EPSV, PASV) is also offered",
        ),
        (
            OpenError::Unreachable { to, source: io() },
            "No way leads from this server to 198.51.100.7:45000. Passive mode (EPSV, PASV) is also offered",
        ),
        (
            OpenError::Connect { to, source: io() },
            "198.51.100.7:45000 cannot be connected to from this server. Passive mode (EPSV, PASV) is also offered",
        ),
    ];
    for (error, want) in table {
        assert_eq!(usual().unopened(&error), want);
    }
    let listener = OpenError::Listener {
        at: to,
        source: io(),
    };
    assert_eq!(
        usual().unopened(&listener),
        "The server cannot accept a data connection now. Active mode (PORT) is also offered"
    );
}

#[test]
fn no_line_is_long() {
    let v6 = "2001:db8:1111:2222:3333:4444:5555:6666";
    let far = at(&format!("[{v6}]:65535"));
    let waited = Duration::from_millis(3_599_900);
    let strangers = vec![far; 16];
    let longest = Circumstances {
        peer: v6.parse().unwrap(),
        told: told(&format!("[{v6}]:65535"), false),
        control_port_next: true,
        moved: u64::MAX,
        ..usual()
    };
    for error in [
        OpenError::NobodyCame {
            at: far,
            waited,
            strangers: Vec::new(),
        },
        OpenError::Silent { to: far, waited },
        OpenError::Refused { to: far },
    ] {
        let text = longest.unopened(&error);
        assert!(text.len() < LONGEST, "{} {text}", text.len());
    }
    let strange = OpenError::NobodyCame {
        at: far,
        waited,
        strangers,
    };
    let passive_only = Circumstances {
        active: false,
        control_port_next: false,
        ..longest
    };
    let text = passive_only.unopened(&strange);
    assert!(text.len() < LONGEST, "{} {text}", text.len());
    let retr = Verb::find(b"RETR").unwrap();
    let text = longest.stalled(waited, retr);
    assert!(text.len() < LONGEST, "{} {text}", text.len());
}

#[test]
fn a_transfer_that_broke_is_told_how_far_it_came() {
    let verb = |word: &str| Verb::find(word.as_bytes()).unwrap();
    let table = [
        (
            io::ErrorKind::ConnectionReset,
            "RETR",
            "The data connection was reset, by the client or something between, after 12345 bytes sent; transfer incomplete",
        ),
        (
            io::ErrorKind::BrokenPipe,
            "LIST",
            "The data connection was closed by the client after 12345 bytes sent; transfer incomplete",
        ),
        (
            io::ErrorKind::ConnectionReset,
            "STOR",
            "The data connection was reset, by the client or something between, after 12345 bytes received; transfer incomplete",
        ),
        (
            io::ErrorKind::TimedOut,
            "APPE",
            "The data connection is dead: nothing answers any more after 12345 bytes received; transfer incomplete",
        ),
        (
            io::ErrorKind::Other,
            "STOU",
            "The data connection broke after 12345 bytes received; transfer incomplete",
        ),
    ];
    for (kind, word, want) in table {
        assert_eq!(usual().broken(&kind.into(), verb(word)), want);
    }
    let stall = Duration::from_mins(2);
    assert_eq!(
        usual().stalled(stall, verb("RETR")),
        "Nothing moved for 120 s after 12345 bytes sent: the client does not read, or the path is gone; transfer incomplete"
    );
    assert_eq!(
        usual().stalled(stall, verb("STOR")),
        "Nothing moved for 120 s after 12345 bytes received: the client does not send, or the path is gone; transfer incomplete"
    );
}
