//! The search for a data connection against simulated networks: which commands are sent, in which order, and how long
//! it takes.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use expect_test::expect;
use proptest::prelude::*;
use wharf_proto::data_connection::Offer;
use wharf_proto::data_connection::path::{
    Address, Asked, DataHost, DataModeChoice, Evidence, Path, PathPolicy, Paths, SEARCH,
};

const ROUND_TRIP: Duration = Duration::from_millis(20);

/// What happens to an attempt in a simulated network.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Works,
    /// The arranging command is answered with this code.
    Command(u16),
    /// The transfer command is answered with this code while nothing is connected.
    Transfer(u16),
    Silent,
    Refused,
    Unreachable,
    NobodyCame,
}
use Fate::{Command, NobodyCame, Refused, Silent, Transfer, Unreachable, Works};

/// The fates of EPSV, PASV at the peer, PASV as replied, PORT, EPRT.
#[derive(Clone, Copy, Debug)]
struct Network {
    epsv: Fate,
    pasv: Fate,
    replied: Fate,
    port: Fate,
    eprt: Fate,
}

const FINE: Network = Network {
    epsv: Works,
    pasv: Works,
    replied: Works,
    port: Works,
    eprt: Works,
};
const PASSIVE_DROPPED: Network = Network {
    epsv: Silent,
    pasv: Silent,
    ..FINE
};
const NOTHING: Network = Network {
    epsv: Silent,
    pasv: Silent,
    replied: Silent,
    port: NobodyCame,
    eprt: NobodyCame,
};

fn fate(network: &Network, path: Path) -> Fate {
    match (path.offer, path.address) {
        (Offer::Epsv, _) => network.epsv,
        (Offer::Pasv, Address::AsReplied) => network.replied,
        (Offer::Pasv, _) => network.pasv,
        (Offer::Port, _) => network.port,
        (Offer::Eprt, _) => network.eprt,
    }
}

const REPLIED: &str = "10.0.0.9:50000";

/// One search; tells the attempts and the time they took.
fn search(paths: &mut Paths, network: &Network, round_trip: Duration) -> (String, Duration) {
    let mut told = String::new();
    let mut total = Duration::ZERO;
    paths.begin();
    for _ in 0..50 {
        let Some(attempt) = paths.next(round_trip) else {
            let _ = write!(told, "nothing left");
            return (told, total);
        };
        let path = attempt.path;
        let replied = "203.0.113.9:50000";
        let target = if path.offer == Offer::Pasv {
            REPLIED
        } else {
            replied
        };
        let target = paths.target(&path, target.parse().unwrap()).ok();
        let at = if path.address == Address::AsReplied {
            "*"
        } else {
            ""
        };
        let _ = write!(
            told,
            "{}{at} {:.2} ",
            path.offer,
            attempt.patience.as_secs_f64()
        );
        let (evidence, took) = match fate(network, path) {
            Works => {
                paths.worked(&path);
                let _ = write!(told, "works");
                return (told, total + round_trip);
            }
            Command(code) => (
                Evidence::from_reply(path.offer, Asked::Offer, code).unwrap(),
                round_trip,
            ),
            Transfer(code) => (
                Evidence::from_reply(path.offer, Asked::Transfer, code).unwrap(),
                round_trip * 2,
            ),
            Silent => (Evidence::Silent, round_trip + attempt.patience),
            Refused => (Evidence::Refused, round_trip * 2),
            Unreachable => (Evidence::Unreachable, round_trip * 2),
            NobodyCame => (Evidence::NobodyCame, round_trip * 2 + attempt.patience),
        };
        paths.learn(&path, target, evidence, took);
        total += took;
        let _ = write!(told, "{evidence}; ");
    }
    panic!("the search does not end: {told}");
}

fn peer() -> IpAddr {
    "203.0.113.9".parse().unwrap()
}

fn auto() -> PathPolicy {
    PathPolicy::auto(peer())
}

#[test]
fn searches_in_the_networks_of_the_field() {
    let trusting = PathPolicy {
        trusted: vec!["10.0.0.0/8".parse().unwrap()],
        ..auto()
    };
    let following = PathPolicy {
        data_host: DataHost::Reply,
        ..auto()
    };
    let only = |choice| PathPolicy { choice, ..auto() };
    let ipv6 = PathPolicy::auto("2001:db8::9".parse().unwrap());
    let table = [
        ("all open", auto(), FINE),
        (
            "EPSV unknown",
            auto(),
            Network {
                epsv: Command(500),
                ..FINE
            },
        ),
        (
            "box that reads only PASV drops EPSV's port",
            auto(),
            Network {
                epsv: Silent,
                ..FINE
            },
        ),
        (
            "the same box rejects",
            auto(),
            Network {
                epsv: Refused,
                ..FINE
            },
        ),
        ("passive ports dropped", auto(), PASSIVE_DROPPED),
        (
            "passive ports rejected with RST",
            auto(),
            Network {
                epsv: Refused,
                pasv: Refused,
                ..FINE
            },
        ),
        (
            "passive ports rejected with ICMP",
            auto(),
            Network {
                epsv: Unreachable,
                pasv: Unreachable,
                ..FINE
            },
        ),
        (
            "data must come from another address: 425",
            auto(),
            Network {
                epsv: Transfer(425),
                pasv: Transfer(425),
                ..FINE
            },
        ),
        (
            "passive commands refused",
            auto(),
            Network {
                epsv: Command(502),
                pasv: Command(502),
                ..FINE
            },
        ),
        (
            "range exhausted for the moment",
            auto(),
            Network {
                epsv: Command(425),
                pasv: Works,
                ..FINE
            },
        ),
        (
            "dropped, and NAT makes PORT illegal (vsftpd)",
            auto(),
            Network {
                port: Command(500),
                eprt: Command(500),
                ..PASSIVE_DROPPED
            },
        ),
        (
            "dropped, and NAT makes PORT illegal (501)",
            auto(),
            Network {
                port: Command(501),
                ..PASSIVE_DROPPED
            },
        ),
        (
            "server knows only EPRT",
            auto(),
            Network {
                port: Command(502),
                ..PASSIVE_DROPPED
            },
        ),
        ("nothing works", auto(), NOTHING),
        ("balancer, trusted network", trusting, PASSIVE_DROPPED),
        ("balancer, reply followed", following, PASSIVE_DROPPED),
        ("IPv6 dropped", ipv6.clone(), PASSIVE_DROPPED),
        (
            "IPv6 through NAT64: EPRT's family refused",
            ipv6,
            Network {
                epsv: Silent,
                eprt: Command(522),
                ..FINE
            },
        ),
        (
            "only epsv",
            only(DataModeChoice::Only(Offer::Epsv)),
            PASSIVE_DROPPED,
        ),
        (
            "only epsv, first port refused",
            only(DataModeChoice::Only(Offer::Epsv)),
            Network {
                epsv: Refused,
                ..FINE
            },
        ),
        ("only pasv", only(DataModeChoice::Only(Offer::Pasv)), FINE),
        ("only eprt", only(DataModeChoice::Only(Offer::Eprt)), FINE),
        ("passive", only(DataModeChoice::Passive), PASSIVE_DROPPED),
        ("active", only(DataModeChoice::Active), NOTHING),
        (
            "fixed patience",
            PathPolicy {
                patience: Some(Duration::from_secs(10)),
                ..auto()
            },
            NOTHING,
        ),
    ];
    let mut told = String::new();
    for (name, policy, network) in table {
        let limited = policy.patience.is_none();
        let (attempts, took) = search(&mut Paths::new(policy), &network, ROUND_TRIP);
        assert!(!limited || took <= SEARCH, "{name}: {took:?}");
        let _ = writeln!(told, "{name}\n    {attempts} ({:.1} s)", took.as_secs_f64());
    }
    expect![[r"
        all open
            EPSV 1.50 works (0.0 s)
        EPSV unknown
            EPSV 1.50 command answered 500; PASV 1.50 works (0.0 s)
        box that reads only PASV drops EPSV's port
            EPSV 1.50 no answer; PASV 0.75 works (1.5 s)
        the same box rejects
            EPSV 1.50 connection refused; PASV 1.50 works (0.1 s)
        passive ports dropped
            EPSV 1.50 no answer; PASV 0.75 no answer; PORT 1.50 works (2.3 s)
        passive ports rejected with RST
            EPSV 1.50 connection refused; PASV 1.50 connection refused; PORT 1.50 works (0.1 s)
        passive ports rejected with ICMP
            EPSV 1.50 unreachable; PASV 1.50 unreachable; PORT 1.50 works (0.1 s)
        data must come from another address: 425
            EPSV 1.50 the server answered 425; PORT 1.50 works (0.1 s)
        passive commands refused
            EPSV 1.50 command answered 502; PASV 1.50 command answered 502; PORT 1.50 works (0.1 s)
        range exhausted for the moment
            EPSV 1.50 command answered 425; PASV 1.50 works (0.0 s)
        dropped, and NAT makes PORT illegal (vsftpd)
            EPSV 1.50 no answer; PASV 0.75 no answer; PORT 1.50 command answered 500; EPRT 1.50 command answered 500; EPSV 3.00 no answer; PASV 1.50 no answer; nothing left (6.9 s)
        dropped, and NAT makes PORT illegal (501)
            EPSV 1.50 no answer; PASV 0.75 no answer; PORT 1.50 our address refused with 501; EPSV 3.00 no answer; PASV 1.50 no answer; nothing left (6.8 s)
        server knows only EPRT
            EPSV 1.50 no answer; PASV 0.75 no answer; PORT 1.50 command answered 502; EPRT 1.50 works (2.3 s)
        nothing works
            EPSV 1.50 no answer; PASV 0.75 no answer; PORT 1.50 the server did not connect; EPSV 3.00 no answer; nothing left (6.8 s)
        balancer, trusted network
            EPSV 1.50 no answer; PASV 0.75 no answer; PASV* 1.50 works (2.3 s)
        balancer, reply followed
            PASV* 1.50 works (0.0 s)
        IPv6 dropped
            EPSV 1.50 no answer; EPRT 1.50 works (1.5 s)
        IPv6 through NAT64: EPRT's family refused
            EPSV 1.50 no answer; EPRT 1.50 protocol family refused with 522; EPSV 3.00 no answer; nothing left (4.6 s)
        only epsv
            EPSV 1.50 no answer; EPSV 3.00 no answer; nothing left (4.5 s)
        only epsv, first port refused
            EPSV 1.50 connection refused; EPSV 1.50 connection refused; nothing left (0.1 s)
        only pasv
            PASV 1.50 works (0.0 s)
        only eprt
            EPRT 1.50 works (0.0 s)
        passive
            EPSV 1.50 no answer; PASV 0.75 no answer; EPSV 3.00 no answer; PASV 1.50 no answer; nothing left (6.8 s)
        active
            PORT 1.50 the server did not connect; PORT 3.00 the server did not connect; nothing left (4.6 s)
        fixed patience
            EPSV 10.00 no answer; PASV 10.00 no answer; PORT 10.00 the server did not connect; nothing left (30.1 s)
    "]].assert_eq(&told);
}

#[test]
fn what_worked_goes_first_until_it_fails() {
    let mut paths = Paths::new(auto());
    let (first, _) = search(
        &mut paths,
        &Network {
            epsv: Silent,
            ..FINE
        },
        ROUND_TRIP,
    );
    let (second, _) = search(
        &mut paths,
        &Network {
            epsv: Silent,
            ..FINE
        },
        ROUND_TRIP,
    );
    let (third, _) = search(
        &mut paths,
        &Network {
            pasv: Refused,
            ..FINE
        },
        ROUND_TRIP,
    );
    let (fourth, _) = search(&mut paths, &FINE, ROUND_TRIP);
    expect![[r"
        EPSV 1.50 no answer; PASV 0.75 works
        PASV 1.50 works
        PASV 1.50 connection refused; EPSV 1.50 works
        EPSV 1.50 works"]]
    .assert_eq(&[first, second, third, fourth].join("\n"));
}

#[test]
fn a_refused_command_is_not_asked_again_in_the_session() {
    let mut paths = Paths::new(auto());
    let refusing = Network {
        epsv: Command(500),
        pasv: Command(500),
        port: Command(501),
        ..FINE
    };
    let (first, _) = search(&mut paths, &refusing, ROUND_TRIP);
    let (second, _) = search(&mut paths, &refusing, ROUND_TRIP);
    assert_eq!(
        first,
        "EPSV 1.50 command answered 500; PASV 1.50 command answered 500; PORT 1.50 our address refused with 501; nothing left"
    );
    assert_eq!(second, "nothing left");
    assert_eq!(
        paths.explain(),
        [
            "passive: not tried, ruled out earlier in this session",
            "active: not tried, ruled out earlier in this session"
        ]
    );
}

#[test]
fn a_configured_address_that_is_refused_leaves_the_other_command() {
    let mut paths = Paths::new(PathPolicy {
        external_address: true,
        choice: DataModeChoice::Active,
        ..auto()
    });
    let (attempts, _) = search(
        &mut paths,
        &Network {
            port: Command(501),
            ..FINE
        },
        ROUND_TRIP,
    );
    assert_eq!(
        attempts,
        "PORT 1.50 our address refused with 501; EPRT 1.50 works"
    );
}

#[test]
fn the_explanation_has_a_line_per_attempt() {
    let mut paths = Paths::new(PathPolicy {
        choice: DataModeChoice::Passive,
        ..auto()
    });
    search(&mut paths, &PASSIVE_DROPPED, ROUND_TRIP);
    expect![[r"
        EPSV 203.0.113.9:50000: no answer, 1.5 s
        PASV 203.0.113.9:50000: no answer, 0.8 s (the reply named 10.0.0.9:50000)
        EPSV 203.0.113.9:50000: no answer, 3.0 s
        PASV 203.0.113.9:50000: no answer, 1.5 s (the reply named 10.0.0.9:50000)
        active: not tried, another data mode was asked for"]]
    .assert_eq(&paths.explain().join("\n"));
}

#[test]
fn pasv_and_port_have_no_way_over_ipv6() {
    for (offer, name) in [
        (Offer::Pasv, "passive: not tried, PASV"),
        (Offer::Port, "active: not tried, PORT"),
    ] {
        let choice = DataModeChoice::Only(offer);
        let mut paths = Paths::new(PathPolicy {
            choice,
            ..PathPolicy::auto("2001:db8::9".parse().unwrap())
        });
        assert_eq!(paths.next(ROUND_TRIP), None);
        assert!(
            paths
                .explain()
                .contains(&format!("{name} cannot name an IPv6 address"))
        );
    }
}

#[test]
fn addresses_in_a_227_are_followed_only_where_allowed() {
    let pasv = |address| Path {
        opener: Offer::Pasv.opener(),
        offer: Offer::Pasv,
        address,
    };
    let following = PathPolicy {
        data_host: DataHost::Reply,
        ..auto()
    };
    let trusting = PathPolicy {
        trusted: vec!["10.0.0.0/8".parse().unwrap()],
        ..auto()
    };
    let table = [
        (
            auto(),
            Address::ControlPeer,
            "203.0.113.9:5000",
            Some("203.0.113.9:5000"),
        ),
        (
            auto(),
            Address::ControlPeer,
            "192.168.77.5:5000",
            Some("203.0.113.9:5000"),
        ),
        (
            auto(),
            Address::ControlPeer,
            "198.51.100.1:5000",
            Some("203.0.113.9:5000"),
        ),
        (
            auto(),
            Address::ControlPeer,
            "127.0.0.1:5000",
            Some("203.0.113.9:5000"),
        ),
        (
            auto(),
            Address::ControlPeer,
            "0.0.0.0:5000",
            Some("203.0.113.9:5000"),
        ),
        (auto(), Address::ControlPeer, "203.0.113.9:0", None),
        (auto(), Address::AsReplied, "198.51.100.1:5000", None),
        (
            following.clone(),
            Address::AsReplied,
            "198.51.100.1:5000",
            Some("198.51.100.1:5000"),
        ),
        (
            following.clone(),
            Address::AsReplied,
            "192.168.77.5:5000",
            Some("192.168.77.5:5000"),
        ),
        (
            following.clone(),
            Address::AsReplied,
            "0.0.0.0:5000",
            Some("203.0.113.9:5000"),
        ),
        (
            following.clone(),
            Address::AsReplied,
            "127.0.0.1:5000",
            None,
        ),
        (
            following.clone(),
            Address::AsReplied,
            "224.0.0.1:5000",
            None,
        ),
        (
            following.clone(),
            Address::AsReplied,
            "255.255.255.255:5000",
            None,
        ),
        (following, Address::AsReplied, "0.1.2.3:5000", None),
        (
            trusting.clone(),
            Address::AsReplied,
            "10.1.2.3:5000",
            Some("10.1.2.3:5000"),
        ),
        (trusting, Address::AsReplied, "198.51.100.1:5000", None),
    ];
    for (policy, address, replied, want) in table {
        let data_host = policy.data_host;
        let got = Paths::new(policy).target(&pasv(address), replied.parse().unwrap());
        assert_eq!(
            got.ok(),
            want.map(|want| want.parse::<SocketAddr>().unwrap()),
            "{data_host:?} {address:?} {replied}"
        );
    }
}

#[test]
fn replies_about_files_and_logins_are_no_evidence() {
    let table = [
        (Offer::Epsv, Asked::Offer, 229, None),
        (
            Offer::Epsv,
            Asked::Offer,
            500,
            Some(Evidence::CommandRefused { code: 500 }),
        ),
        (
            Offer::Epsv,
            Asked::Offer,
            522,
            Some(Evidence::FamilyRefused),
        ),
        (
            Offer::Pasv,
            Asked::Offer,
            425,
            Some(Evidence::CommandRefused { code: 425 }),
        ),
        (Offer::Pasv, Asked::Offer, 421, None),
        (Offer::Pasv, Asked::Offer, 530, None),
        (
            Offer::Port,
            Asked::Offer,
            500,
            Some(Evidence::CommandRefused { code: 500 }),
        ),
        (
            Offer::Port,
            Asked::Offer,
            501,
            Some(Evidence::AddressRefused { code: 501 }),
        ),
        (
            Offer::Port,
            Asked::Offer,
            504,
            Some(Evidence::AddressRefused { code: 504 }),
        ),
        (
            Offer::Eprt,
            Asked::Offer,
            522,
            Some(Evidence::FamilyRefused),
        ),
        (Offer::Epsv, Asked::Transfer, 150, None),
        (
            Offer::Epsv,
            Asked::Transfer,
            425,
            Some(Evidence::NoDataConnection { code: 425 }),
        ),
        (
            Offer::Port,
            Asked::Transfer,
            426,
            Some(Evidence::NoDataConnection { code: 426 }),
        ),
        (Offer::Epsv, Asked::Transfer, 550, None),
        (Offer::Epsv, Asked::Transfer, 553, None),
        (Offer::Epsv, Asked::Transfer, 522, None),
    ];
    for (offer, asked, code, want) in table {
        assert_eq!(
            Evidence::from_reply(offer, asked, code),
            want,
            "{offer} {asked:?} {code}"
        );
    }
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Silent),
        Just(Refused),
        Just(Unreachable),
        Just(NobodyCame),
        prop_oneof![Just(425), Just(500), Just(501), Just(504), Just(522)].prop_map(Command),
        prop_oneof![Just(425), Just(426)].prop_map(Transfer),
    ]
}

proptest! {
    #[test]
    fn every_search_ends_in_time(
        epsv in any_fate(), pasv in any_fate(), replied in any_fate(), port in any_fate(), eprt in any_fate(),
        reply in any::<bool>(), millis in 1_u64..1_000,
    ) {
        let data_host = if reply { DataHost::Reply } else { DataHost::Peer };
        let mut paths = Paths::new(PathPolicy { data_host, ..auto() });
        let network = Network { epsv, pasv, replied, port, eprt };
        let round_trip = Duration::from_millis(millis);
        let (told, took) = search(&mut paths, &network, round_trip);
        let limit = SEARCH.max(round_trip * 43);
        prop_assert!(took <= limit + round_trip * 12, "{told} {took:?} {network:?}");
        prop_assert_eq!(paths.proven(), None);
    }

    #[test]
    fn a_way_that_works_is_found(
        epsv in any_fate(), port in prop_oneof![Just(Works), Just(Command(502))],
    ) {
        let mut paths = Paths::new(auto());
        let (told, took) = search(&mut paths, &Network { epsv, pasv: Silent, port, ..FINE }, ROUND_TRIP);
        prop_assert!(told.ends_with("works"), "{told}");
        prop_assert!(took <= SEARCH);
    }
}
