//! Searches in the networks of the field, one after another, with every step and its time.

#![allow(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes the tables"
)]

use std::fmt::Write as _;

use expect_test::expect;
use wharf_proto::data_connection::Offer;
use wharf_proto::data_connection::path::Path;
use wharf_proto::data_connection::plan::Plan;
use wharf_proto::data_connection::policy::{DataHost, DataModeChoice, PathPolicy};

use super::network::Fate::{Command, NoMapper, Refused, Silent, Transfer, Unreachable, Works};
use super::network::*;

fn told(policy: PathPolicy, network: Network) -> String {
    let (plan, winner, took, told) = Run::new(Plan::new(policy), network, ROUND_TRIP).finish();
    assert!(took <= END, "{told}");
    let news = winner.and(plan.news());
    let told = told.trim_end_matches("; ");
    news.map_or(told.to_owned(), |news| format!("{told}\n    {news}"))
}

#[test]
fn searches_in_the_networks_of_the_field() {
    let ipv6 = PathPolicy::auto(ip("2001:db8::9"), ip("2001:db8::1"));
    let following = PathPolicy {
        data_host: DataHost::Reply,
        ..auto()
    };
    let choice = |choice| PathPolicy { choice, ..auto() };
    let table = [
        ("all open", auto(), FINE),
        (
            "EPSV unknown",
            auto(),
            Network {
                epsv: UNKNOWN,
                ..FINE
            },
        ),
        (
            "a box that reads only PASV drops EPSV's port",
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
        ("passive ports dropped", auto(), DROPPED),
        (
            "passive ports rejected",
            auto(),
            Network {
                epsv: Refused,
                pasv: Refused,
                ..DROPPED
            },
        ),
        (
            "passive ports rejected with ICMP",
            auto(),
            Network {
                epsv: Unreachable,
                pasv: Unreachable,
                ..DROPPED
            },
        ),
        (
            "passive commands refused",
            auto(),
            Network {
                epsv: UNKNOWN,
                pasv: UNKNOWN,
                ..FINE
            },
        ),
        (
            "425 to the transfer",
            auto(),
            Network {
                epsv: Transfer,
                pasv: Transfer,
                ..FINE
            },
        ),
        (
            "dropped, one session only",
            auto(),
            Network {
                scout: false,
                ..DROPPED
            },
        ),
        (
            "dropped, PORT unknown",
            auto(),
            Network {
                own: UNKNOWN,
                eprt: Some(Works),
                ..DROPPED
            },
        ),
        (
            "dropped, NAT, the router maps (vsftpd)",
            inside(),
            BEHIND_NAT,
        ),
        (
            "dropped, NAT, the router maps (Pure-FTPd, one session)",
            inside(),
            Network {
                own: ONLY_TO,
                scout: false,
                told: None,
                ..BEHIND_NAT
            },
        ),
        (
            "dropped, NAT, the router maps (ProFTPD tries the outside address)",
            inside(),
            Network {
                own: Silent,
                ..BEHIND_NAT
            },
        ),
        (
            "dropped, NAT, no router maps, ports are kept",
            inside(),
            Network {
                mapped: NoMapper,
                outside: Works,
                ..BEHIND_NAT
            },
        ),
        (
            "dropped, NAT, nothing helps",
            inside(),
            Network {
                mapped: NoMapper,
                ..BEHIND_NAT
            },
        ),
        (
            "dropped, NAT, nothing helps (ProFTPD)",
            inside(),
            Network {
                own: Silent,
                mapped: NoMapper,
                ..BEHIND_NAT
            },
        ),
        (
            "dropped, NAT with a helper",
            inside(),
            Network {
                own: Works,
                ..BEHIND_NAT
            },
        ),
        (
            "balancer: the server sees another address",
            PathPolicy {
                mapper: true,
                ..auto()
            },
            Network {
                own: ILLEGAL,
                told: Some("10.20.0.1"),
                ..DROPPED
            },
        ),
        ("both sides drop", auto(), NOTHING),
        (
            "both sides drop, one session only",
            auto(),
            Network {
                scout: false,
                ..NOTHING
            },
        ),
        ("IPv6 dropped", ipv6.clone(), DROPPED),
        (
            "IPv6 through NAT64: EPRT's family refused",
            ipv6,
            Network {
                own: Command(522, "use (1)"),
                ..DROPPED
            },
        ),
        (
            "balancer, reply followed",
            following,
            Network {
                replied: Works,
                ..DROPPED
            },
        ),
        ("only epsv", only(Offer::Epsv), DROPPED),
        (
            "only epsv, the first port refused",
            only(Offer::Epsv),
            Network {
                epsv: Refused,
                ..FINE
            },
        ),
        ("passive", choice(DataModeChoice::Passive), DROPPED),
        ("active", choice(DataModeChoice::Active), FINE),
        ("active, silence", choice(DataModeChoice::Active), NOTHING),
        (
            "port behind NAT, the router maps",
            only(Offer::Port),
            Network {
                epsv: Works,
                ..BEHIND_NAT
            },
        ),
        (
            "port behind NAT, no router maps",
            only(Offer::Port),
            Network {
                epsv: Works,
                mapped: NoMapper,
                ..BEHIND_NAT
            },
        ),
        (
            "port behind NAT, 425 (ProFTPD, the NAT rejects)",
            only(Offer::Port),
            Network {
                epsv: Works,
                own: Transfer,
                mapped: NoMapper,
                ..BEHIND_NAT
            },
        ),
        (
            "port behind NAT, silence",
            only(Offer::Port),
            Network {
                epsv: Works,
                own: Silent,
                mapped: NoMapper,
                ..BEHIND_NAT
            },
        ),
        (
            "eprt behind NAT",
            only(Offer::Eprt),
            Network {
                epsv: Works,
                mapped: NoMapper,
                ..BEHIND_NAT
            },
        ),
        (
            "a configured address that is refused leaves the other command",
            PathPolicy {
                external_address: true,
                choice: DataModeChoice::Active,
                ..inside()
            },
            Network {
                eprt: Some(Works),
                ..BEHIND_NAT
            },
        ),
    ];
    let mut all = String::new();
    for (name, policy, network) in table {
        let _ = writeln!(all, "{name}\n    {}", told(policy, network));
    }
    expect![[r#"
        all open
            0.0 EPSV 1.3; 0.1 works
        EPSV unknown
            0.0 EPSV 1.3; 0.0 PASV 1.3; 0.1 works
            the server answers EPSV with 500; PASV works instead
        a box that reads only PASV drops EPSV's port
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.4 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; PASV works instead
        the same box rejects
            0.0 EPSV 1.3; 0.0 PASV 1.3; 0.1 works
            203.0.113.9:50000 refused the connection (EPSV); PASV works instead
        passive ports dropped
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 1.8 stop; 1.8 PORT 2.3; 1.8 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to us instead (PORT)
        passive ports rejected
            0.0 EPSV 1.3; 0.0 PASV 1.3; 0.2 scout asks; 0.2 scout PORT 2.3; 0.3 PORT 2.3; 0.3 works
            203.0.113.9:50000 refused the connection (EPSV); the server connects to us instead (PORT)
        passive ports rejected with ICMP
            0.0 EPSV 1.3; 0.0 PASV 1.3; 0.4 scout asks; 0.4 scout PORT 2.3; 0.5 PORT 2.3; 0.5 works
            203.0.113.9:50000 cannot be reached (EPSV); the server connects to us instead (PORT)
        passive commands refused
            0.0 EPSV 1.3; 0.0 PASV 1.3; 0.1 scout asks; 0.2 scout PORT 2.3; 0.2 PORT 2.3; 0.3 works
            the server answers EPSV with 500; the server connects to us instead (PORT)
        425 to the transfer
            0.0 EPSV 1.3; 0.1 scout asks; 0.2 scout PORT 2.3; 0.2 PORT 2.3; 0.3 works
            EPSV: the server answered 425; the server connects to us instead (PORT)
        dropped, one session only
            0.0 EPSV 1.3; 1.3 PASV 1.3; 2.6 PORT 2.3; 2.7 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to us instead (PORT)
        dropped, PORT unknown
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 1.7 scout EPRT 2.3; 1.8 stop; 1.8 EPRT 2.3; 1.8 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to us instead (EPRT)
        dropped, NAT, the router maps (vsftpd)
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 1.3; 1.7 scout PORT (mapped port) 2.3; 1.8 stop; 1.8 PORT (mapped port) 2.3; 1.8 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to a port that the router forwards (PORT)
        dropped, NAT, the router maps (Pure-FTPd, one session)
            0.0 EPSV 1.3; 1.3 PASV 1.3; 2.6 ask; 2.7 PORT 2.3; 2.7 PORT (mapped port) 2.3; 2.8 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to a port that the router forwards (PORT)
        dropped, NAT, the router maps (ProFTPD tries the outside address)
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 1.3; 3.1 scout PORT (mapped port) 2.3; 3.2 PORT (mapped port) 2.3; 3.2 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to a port that the router forwards (PORT)
        dropped, NAT, no router maps, ports are kept
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 1.3; 1.7 scout PORT (mapped port) 2.3; 3.7 scout PORT (outside address) 2.3; 3.8 PORT (outside address) 2.3; 3.8 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to our outside address (PORT)
        dropped, NAT, nothing helps
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 1.3; 1.7 scout PORT (mapped port) 2.3; 3.7 scout PORT (outside address) 2.3; 6.0 nothing left
        dropped, NAT, nothing helps (ProFTPD)
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 1.3; 3.1 scout PORT (mapped port) 2.3; 5.1 nothing left
        dropped, NAT with a helper
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 1.3; 1.8 stop; 1.8 PORT 2.3; 1.8 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to us instead (PORT)
        balancer: the server sees another address
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 2.6 nothing left
        both sides drop
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 4.0 nothing left
        both sides drop, one session only
            0.0 EPSV 1.3; 1.3 PASV 1.3; 2.6 PORT 2.3; 5.0 nothing left
        IPv6 dropped
            0.0 EPSV 1.3; 1.4 scout asks; 1.4 scout EPRT 1.3; 1.5 EPRT 2.3; 1.6 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to us instead (EPRT)
        IPv6 through NAT64: EPRT's family refused
            0.0 EPSV 1.3; 1.4 scout asks; 1.4 scout EPRT 1.3; 1.5 nothing left
        balancer, reply followed
            0.0 PASV (address in the reply) 1.3; 0.1 works
        only epsv
            0.0 EPSV 1.3; 1.3 nothing left
        only epsv, the first port refused
            0.0 EPSV 1.3; 0.0 EPSV 1.3; 0.1 nothing left
        passive
            0.0 EPSV 1.3; 1.3 PASV 1.3; 2.6 nothing left
        active
            0.0 PORT 2.3; 0.1 works
        active, silence
            0.0 PORT 2.3; 2.3 nothing left
        port behind NAT, the router maps
            0.0 ask; 0.0 PORT 1.3; 0.1 PORT (mapped port) 2.3; 0.1 works
            behind NAT, the server refused 203.0.113.9 (PORT); the server connects to a port that the router forwards (PORT)
        port behind NAT, no router maps
            0.0 ask; 0.0 PORT 1.3; 0.1 PORT (mapped port) 2.3; 2.1 EPSV 1.3; 2.1 works
            behind NAT, the server refused 203.0.113.9 (PORT); we connect to the server instead (EPSV)
        port behind NAT, 425 (ProFTPD, the NAT rejects)
            0.0 ask; 0.0 PORT 1.3; 0.1 PORT (mapped port) 2.3; 2.1 EPSV 1.3; 2.1 works
            PORT: the server answered 425; we connect to the server instead (EPSV)
        port behind NAT, silence
            0.0 ask; 0.0 PORT 1.3; 1.4 PORT (mapped port) 2.3; 3.4 nothing left
        eprt behind NAT
            0.0 ask; 0.0 EPRT 1.3; 0.1 EPRT (mapped port) 2.3; 2.1 EPSV 1.3; 2.1 works
            behind NAT, the server refused 203.0.113.9 (EPRT); we connect to the server instead (EPSV)
        a configured address that is refused leaves the other command
            0.0 PORT 2.3; 0.0 EPRT 2.3; 0.1 works
            behind NAT, the server refused 203.0.113.9 (PORT); the server connects to us instead (EPRT)
    "#]].assert_eq(&all);
}

#[test]
fn what_worked_goes_first_until_it_fails() {
    let mut plan = Plan::new(auto());
    let mut all = String::new();
    for network in [
        Network {
            epsv: Silent,
            ..FINE
        },
        Network {
            epsv: Silent,
            ..FINE
        },
        Network {
            pasv: Refused,
            ..FINE
        },
        FINE,
    ] {
        let (next, _, _, told) = Run::new(plan, network, ROUND_TRIP).finish();
        plan = next;
        let _ = writeln!(all, "{told}");
    }
    expect![[r"
        0.0 EPSV 1.3; 1.3 PASV 1.3; 1.4 works; 
        0.0 PASV 1.3; 0.1 works; 
        0.0 PASV 1.3; 0.0 EPSV 1.3; 0.1 works; 
        0.0 EPSV 1.3; 0.1 works; 
    "]]
    .assert_eq(&all);
}

#[test]
fn what_is_remembered_goes_first_and_needs_no_scout() {
    let mut all = String::new();
    for (winner, losers, network) in [
        (Path::PORT, &[Path::EPSV, Path::PASV][..], DROPPED),
        (
            Path::PORT_MAPPED,
            &[Path::EPSV, Path::PASV, Path::PORT],
            BEHIND_NAT,
        ),
        (Path::PASV, &[Path::EPSV], FINE),
        (
            Path::PASV_AS_REPLIED,
            &[Path::EPSV],
            Network {
                replied: Works,
                ..DROPPED
            },
        ),
        // It has become wrong.
        (Path::PORT, &[], NOTHING),
        (
            Path::PORT,
            &[],
            Network {
                own: Silent,
                ..FINE
            },
        ),
        (Path::PASV, &[Path::EPSV], DROPPED),
    ] {
        let mut plan = Plan::new(inside());
        plan.remember(Some(winner), losers);
        let (_, _, took, told) = Run::new(plan, network, ROUND_TRIP).finish();
        assert!(took <= END, "{told}");
        let _ = writeln!(all, "{winner}: {told}");
    }
    expect![[r#"
        PORT: 0.0 PORT 2.3; 0.1 works; 
        PORT (mapped port): 0.0 PORT (mapped port) 2.3; 0.1 works; 
        PASV: 0.0 PASV 1.3; 0.1 works; 
        PASV (address in the reply): 0.0 PASV (address in the reply) 1.3; 0.1 works; 
        PORT: 0.0 PORT 2.3; 2.3 EPSV 1.3; 2.7 scout asks; 2.7 scout PORT (mapped port) 2.3; 3.7 PASV 1.3; 5.0 nothing left; 
        PORT: 0.0 PORT 2.3; 2.3 EPSV 1.3; 2.4 works; 
        PASV: 0.0 PASV 1.3; 1.4 scout asks; 1.4 scout PORT 1.3; 1.5 PORT 2.3; 1.6 works; 
    "#]]
    .assert_eq(&all);
}

#[test]
fn a_refused_command_is_not_asked_again_in_the_session() {
    let refusing = Network {
        epsv: UNKNOWN,
        pasv: UNKNOWN,
        own: UNKNOWN,
        ..FINE
    };
    let (plan, _, _, first) = Run::new(Plan::new(auto()), refusing, ROUND_TRIP).finish();
    let (plan, _, _, second) = Run::new(plan, refusing, ROUND_TRIP).finish();
    expect!["0.0 EPSV 1.3; 0.0 PASV 1.3; 0.1 scout asks; 0.2 scout PORT 2.3; 0.2 scout EPRT 2.3; 0.2 scout LPRT 2.3; 0.2 nothing left; "].assert_eq(&first);
    assert_eq!(second, "0.0 nothing left; ");
    expect![[r"
        passive: not tried, ruled out earlier in this session
        active: not tried, ruled out earlier in this session"]]
    .assert_eq(&plan.explain().join("\n"));
}

#[test]
fn the_explanation_names_attempts_causes_and_remedies() {
    let mut all = String::new();
    for (policy, network) in [
        (
            PathPolicy {
                choice: DataModeChoice::Passive,
                ..auto()
            },
            DROPPED,
        ),
        (auto(), NOTHING),
        (
            inside(),
            Network {
                mapped: NoMapper,
                ..BEHIND_NAT
            },
        ),
        (
            auto(),
            Network {
                own: ILLEGAL,
                told: Some("10.20.0.1"),
                epsv: Refused,
                pasv: Refused,
                ..DROPPED
            },
        ),
        (
            PathPolicy {
                choice: DataModeChoice::Only(Offer::Pasv),
                ..PathPolicy::auto(ip("2001:db8::9"), ip("2001:db8::1"))
            },
            FINE,
        ),
    ] {
        let (plan, winner, _, _) = Run::new(Plan::new(policy), network, ROUND_TRIP).finish();
        assert_eq!(winner, None);
        let _ = writeln!(all, "{}\n", plan.explain().join("\n"));
    }
    expect![[r#"
        EPSV 203.0.113.9:50000: no answer, 1.3 s
        PASV 203.0.113.9:50000: no answer, 1.3 s
        active: not tried, another data mode was asked for
        likely cause: the server's firewall (or one in front of it, or this network's own) drops connections to its passive ports
        the server's administrator: open a range of ports and tell the server the same range (wharf serve --passive-ports), or let it use its control port alone (--one-port on)
        with nftables: nft insert rule inet filter input tcp dport 50000-50999 ct state new accept
        next: --mode auto tries the other ways, too

        EPSV 203.0.113.9:50000: no answer, 1.3 s
        PASV 203.0.113.9:50000: no answer, 1.3 s
        PORT 203.0.113.9:50000: the server did not connect, 2.3 s
        likely cause: the server's firewall (or one in front of it, or this network's own) drops connections to its passive ports
        the server's administrator: open a range of ports and tell the server the same range (wharf serve --passive-ports), or let it use its control port alone (--one-port on)
        with nftables: nft insert rule inet filter input tcp dport 50000-50999 ct state new accept
        likely cause: a firewall on this side (or the server's, outbound) drops the server's connections to us
        here: let the server's connections in, then try --mode active --port-range 50000-50009
        with nftables: nft insert rule inet filter input ip saddr 203.0.113.9 tcp dport 50000-50009 ct state new accept

        EPSV 203.0.113.9:50000: no answer, 1.3 s
        PORT 203.0.113.9:50000: our address refused with 500, 0.0 s
        PASV 203.0.113.9:50000: no answer, 1.3 s
        PORT (mapped port) 203.0.113.9:50000: no router here forwards ports on request (PCP, NAT-PMP, UPnP), 2.0 s
        PORT (outside address) 203.0.113.9:50000: the server did not connect, 2.3 s
        likely cause: the server's firewall (or one in front of it, or this network's own) drops connections to its passive ports
        the server's administrator: open a range of ports and tell the server the same range (wharf serve --passive-ports), or let it use its control port alone (--one-port on)
        with nftables: nft insert rule inet filter input tcp dport 50000-50999 ct state new accept
        likely cause: this machine is behind NAT: the server sees 198.51.100.1 and cannot connect to us
        here: switch on PCP, NAT-PMP or UPnP in the router, or forward ports and name them: --mode active --active-addr OUTSIDE-ADDRESS --port-range 50000-50009

        EPSV 203.0.113.9:50000: connection refused, 0.0 s
        PASV 203.0.113.9:50000: connection refused, 0.0 s
        PORT 203.0.113.9:50000: our address refused with 500, 0.0 s
        likely cause: only the control port reaches the server: its passive ports are rejected by a firewall or not forwarded by the NAT in front of it
        the server's administrator: open a range of ports and tell the server the same range (wharf serve --passive-ports), or let it use its control port alone (--one-port on)
        with nftables: nft insert rule inet filter input tcp dport 50000-50999 ct state new accept
        likely cause: the server sees us as 10.20.0.1: a balancer or proxy in front of it hides us, so that it cannot connect to us
        the server's administrator: passive mode through the balancer (all ports, or wharf's one-port), or the PROXY protocol

        passive: not tried, PASV cannot name an IPv6 address
        active: not tried, another data mode was asked for
        next: --mode auto tries the other ways, too

    "#]].assert_eq(&all);
}

/// A helper that cannot read inside TLS: CCC is the last resort, and only where it is allowed.
#[test]
fn tls_is_left_when_nothing_else_leads_to_a_data_connection() {
    let helped = Network {
        pasv: Works,
        own: Works,
        ..NOTHING
    };
    let allowed = |choice| PathPolicy {
        ccc: true,
        choice,
        ..auto()
    };
    let any = DataModeChoice::Auto;
    let port = DataModeChoice::Only(Offer::Port);
    let mut told = String::new();
    for (name, policy, blind, network, clear) in [
        ("not allowed", auto(), true, NOTHING, Some(helped)),
        (
            "in clear anyway",
            allowed(any),
            false,
            NOTHING,
            Some(helped),
        ),
        ("not needed", allowed(any), true, DROPPED, Some(helped)),
        ("helper", allowed(any), true, NOTHING, Some(helped)),
        ("helper, PORT", allowed(port), true, NOTHING, Some(helped)),
        (
            "helper that rewrites what is refused",
            allowed(port),
            true,
            Network {
                own: ILLEGAL,
                ..NOTHING
            },
            Some(helped),
        ),
        ("no helper", allowed(port), true, NOTHING, Some(NOTHING)),
        ("the server refuses", allowed(port), true, NOTHING, None),
        (
            "nothing about the network",
            allowed(port),
            true,
            Network {
                own: UNKNOWN,
                ..NOTHING
            },
            Some(helped),
        ),
    ] {
        let mut plan = Plan::new(policy);
        plan.set_blind(blind, false);
        let mut run = Run::new(plan, network, ROUND_TRIP);
        run.clear = clear.map(Box::new);
        let (plan, winner, took, steps) = run.finish();
        assert!(took <= END * 2, "{steps}");
        let hints = plan.explain();
        let hint = hints
            .iter()
            .find(|it| it.contains("CCC") || it.contains("--ccc"));
        let hint = hint.filter(|_| winner.is_none()).map_or("", |it| &it[..20]);
        let _ = writeln!(told, "{name}: {} {hint}", steps.trim_end_matches("; "));
    }
    expect![[r#"
        not allowed: 0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 4.0 nothing left here: if there is on
        in clear anyway: 0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 4.0 nothing left 
        not needed: 0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 1.8 stop; 1.8 PORT 2.3; 1.8 works 
        helper: 0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 4.0 CCC; 4.1 EPSV 1.3; 4.4 scout PORT 2.3; 4.5 stop; 4.5 PORT 2.3; 4.5 works 
        helper, PORT: 0.0 PORT 2.3; 2.3 CCC; 2.4 PORT 2.3; 2.5 works 
        helper that rewrites what is refused: 0.0 PORT 2.3; 0.0 EPSV 1.3; 1.3 PASV 1.3; 2.7 CCC; 2.7 PORT 2.3; 2.8 works 
        no helper: 0.0 PORT 2.3; 2.3 CCC; 2.4 PORT 2.3; 4.7 nothing left 
        the server refuses: 0.0 PORT 2.3; 2.3 CCC; 2.4 nothing left the server's adminis
        nothing about the network: 0.0 PORT 2.3; 0.0 nothing left 
    "#]].assert_eq(&told);
}
