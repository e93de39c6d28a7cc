//! From facts to findings, as a table: each word of each check has a row, and whoever must act hears how.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::IpAddr;
use std::time::Duration;

use wharf_client::examine::{Obstacle, Probed};
use wharf_doctor::checks::{CHECKS, findings, report};
use wharf_doctor::facts::{Facts, Seen};
use wharf_doctor::finding::WhoActs;
use wharf_doctor::remedy::Wording;
use wharf_doctor::software::Software;
use wharf_net::Touch;
use wharf_proto::Reply;
use wharf_proto::data_connection::Opener;
use wharf_proto::data_connection::evidence::{Evidence, NoListener};
use wharf_proto::data_connection::path::Path;

const SERVER: &str = "203.0.113.130:21";
const OWN: &str = "198.51.100.130";

/// What was seen, in shorthand.
struct Story(Facts);

fn of(own: &str, told: Option<&str>, greeting: &str) -> Story {
    let software = Software::recognise([greeting]);
    let own = own.parse::<IpAddr>().unwrap();
    let peer = if own.is_ipv6() {
        "[2001:db8:5::2]:21"
    } else {
        SERVER
    };
    let mut seen = Seen::new(peer.parse().unwrap(), own, software);
    seen.told = told.map(|it| it.parse().unwrap());
    Story(Facts {
        families: vec![seen],
        absent: Vec::new(),
    })
}

/// A client with a public address that the server sees.
fn plain() -> Story {
    of(OWN, Some(OWN), "(vsFTPd 3.0.3)")
}

fn behind_nat() -> Story {
    of("192.168.10.2", Some("198.51.100.1"), "(vsFTPd 3.0.3)")
}

impl Story {
    fn with(mut self, change: impl FnOnce(&mut Seen)) -> Self {
        change(&mut self.0.families[0]);
        self
    }

    fn tried(
        self,
        path: Path,
        port: u16,
        result: Result<(), Obstacle>,
        listed: Option<Reply>,
    ) -> Self {
        self.with(|seen| {
            let target = match path.opener {
                Opener::User => (seen.peer.ip(), port).into(),
                Opener::Server => (seen.own, port).into(),
            };
            let stood = matches!(
                result,
                Ok(())
                    | Err(Obstacle::Path(
                        Evidence::Dropped | Evidence::NoDataConnection { .. }
                    ))
            );
            let server_end = match path.opener {
                Opener::User => target,
                Opener::Server => (seen.peer.ip(), 20).into(),
            };
            seen.probes.push(Probed {
                path,
                target: Some(target),
                replied: (path.opener == Opener::User).then_some(target),
                arrived: None,
                peer: stood.then_some(server_end),
                arranged: None,
                listed,
                resumed: None,
                result,
                took: Duration::from_millis(1300),
            });
        })
    }

    fn works(self, path: Path) -> Self {
        self.tried(path, 50_100, Ok(()), None)
    }

    fn fails(self, path: Path, evidence: Evidence) -> Self {
        self.tried(path, 50_101, Err(Obstacle::Path(evidence)), None)
    }

    fn said(self, path: Path, evidence: Evidence, code: u16, text: &str) -> Self {
        let reply = Reply::new(code, text);
        self.tried(path, 50_102, Err(Obstacle::Path(evidence)), Some(reply))
    }

    /// The 227 names this address.
    fn told(self, address: &str) -> Self {
        self.works(Path::EPSV).works(Path::PASV).with(|seen| {
            let probed = seen.probes.last_mut().unwrap();
            probed.replied = Some(address.parse().unwrap());
        })
    }

    fn near(self, near: &[Touch], far: &[Touch]) -> Self {
        self.with(|seen| {
            seen.near = (1..).zip(near.iter().copied()).collect();
            seen.far = (1..).zip(far.iter().copied()).collect();
        })
    }

    fn punched(self, packet: Touch, result: Result<(), Obstacle>) -> Self {
        self.with(|seen| {
            let mut probed = seen.probes.last().unwrap().clone();
            probed.result = result;
            seen.punched = Some((packet, probed));
        })
    }

    /// `word@side/perhaps`, separated by blanks.
    fn found(&self) -> String {
        let wording = Wording::new("nftables").unwrap();
        let told: Vec<String> = findings(&self.0, &wording)
            .iter()
            .map(|finding| {
                let mut text = format!("{}@{}", finding.word, finding.side.word());
                for side in &finding.perhaps {
                    text.push('/');
                    text.push_str(side.word());
                }
                text
            })
            .collect();
        told.join(" ")
    }
}

fn silent(path: Path) -> Story {
    plain().fails(path, Evidence::Silent)
}

/// What was seen, and what it means.
fn table() -> Vec<(&'static str, Story, &'static str)> {
    use Evidence::{
        AddressRefused, AddressUnusable, CannotListen, CommandRefused, Dropped, FamilyRefused,
        MappedElsewhere, NoDataConnection, NobodyCame, Refused, Silent,
    };
    use Touch::{Open as O, Refused as R, Silent as S, Unreachable as U};
    let refused = |code| CommandRefused { code };
    let no_data = NoDataConnection { code: 425 };
    vec![
        (
            "all is well",
            plain().works(Path::EPSV).works(Path::PORT),
            "",
        ),
        (
            "silent, and nothing else is known",
            silent(Path::EPSV),
            "passive-dropped@server-firewall/client-firewall",
        ),
        (
            "silent, and active works",
            silent(Path::EPSV).works(Path::PORT),
            "passive-dropped@server-firewall",
        ),
        (
            "silent, and other ports answer",
            silent(Path::EPSV).with(|seen| seen.touched = vec![(20, R), (64_999, S)]),
            "passive-dropped@server-firewall",
        ),
        (
            "silent behind the first router of ours",
            silent(Path::EPSV).near(&[U, U, O], &[U, S, S]),
            "passive-dropped@client-firewall",
        ),
        (
            "silent at the server",
            silent(Path::EPSV).near(&[U, U, O], &[U, U, S]),
            "passive-dropped@server-firewall",
        ),
        (
            "refused, and nothing else is known",
            plain().fails(Path::EPSV, Refused),
            "passive-refused@server-firewall/server-nat",
        ),
        (
            "refused in front of the server",
            plain()
                .fails(Path::EPSV, Refused)
                .near(&[U, U, O], &[U, R, R]),
            "passive-refused@server-nat",
        ),
        (
            "the server takes us for a stranger, and says so",
            plain().said(Path::EPSV, no_data, 425, "Security: Bad IP connecting."),
            "passive-not-accepted@client-nat",
        ),
        (
            "the server drops us without a word",
            plain().fails(Path::EPSV, Dropped),
            "passive-not-accepted@client-nat/server-nat",
        ),
        (
            "one port of three is closed",
            plain().works(Path::EPSV).fails(Path::EPSV, Silent),
            "range-partly-closed@server-firewall/server-nat",
        ),
        (
            "wharf makes up for its closed range with the control port",
            plain()
                .fails(Path::EPSV, Silent)
                .tried(Path::EPSV, 21, Ok(()), None),
            "range-closed@server-firewall/server-nat",
        ),
        (
            "no port is left",
            plain().said(
                Path::EPSV,
                refused(425),
                425,
                "Every passive port of 50000-50009 is in use; try again later",
            ),
            "range-exhausted@server-configuration",
        ),
        (
            "vsftpd has no port left",
            plain().said(Path::PASV, refused(500), 500, "OOPS: vsf_sysutil_bind"),
            "range-exhausted@server-configuration",
        ),
        (
            "a private address leaks",
            plain().told("10.20.0.2:50100"),
            "address-private@server-configuration",
        ),
        (
            "an old address is told",
            plain()
                .told("203.0.113.99:50100")
                .fails(Path::PASV_AS_REPLIED, Silent),
            "address-wrong@server-configuration",
        ),
        (
            "an address that is none is told",
            plain().told("0.0.0.0:50100").fails(
                Path::PASV_AS_REPLIED,
                AddressUnusable {
                    named: "0.0.0.0:50100".parse().unwrap(),
                },
            ),
            "address-wrong@server-configuration",
        ),
        (
            "another address that leads there",
            plain()
                .told("203.0.113.140:50100")
                .works(Path::PASV_AS_REPLIED),
            "address-other@nobody",
        ),
        (
            "a server from before RFC 2428",
            plain().works(Path::PASV).fails(Path::EPSV, refused(500)),
            "epsv-unknown@nobody",
        ),
        (
            "a box that reads PASV alone",
            plain().works(Path::PASV).fails(Path::EPSV, Silent),
            "epsv-blocked@server-firewall/client-firewall",
        ),
        (
            "a box that reads EPSV alone",
            plain().works(Path::EPSV).fails(Path::PASV, Silent),
            "pasv-blocked@server-firewall/server-nat",
        ),
        (
            "a NAT of ours",
            behind_nat().works(Path::EPSV).fails(
                Path::PORT,
                AddressRefused {
                    code: 500,
                    outside: None,
                },
            ),
            "client-nat@client-nat",
        ),
        (
            "a NAT that only shows in a refusal",
            of("198.51.100.130", None, "?").works(Path::EPSV).fails(
                Path::PORT,
                AddressRefused {
                    code: 500,
                    outside: None,
                },
            ),
            "client-nat@client-nat",
        ),
        (
            "a router that changes the address in PORT",
            plain().works(Path::EPSV).with(|seen| {
                let refused = Err(Obstacle::Path(AddressRefused {
                    code: 500,
                    outside: None,
                }));
                let text = "I won't open a connection to 10.9.9.9 (only to 198.51.100.130)";
                let told = (seen.own, 40_000).into();
                seen.probes.push(Probed {
                    path: Path::PORT,
                    target: Some(told),
                    replied: None,
                    arrived: None,
                    peer: None,
                    arranged: Some(Reply::new(500, text)),
                    listed: None,
                    resumed: None,
                    result: refused,
                    took: Duration::ZERO,
                });
            }),
            "port-rewritten@client-nat/server-nat",
        ),
        (
            "a helper in front of the server rewrites the 227",
            plain().works(Path::EPSV).works(Path::PASV).with(|seen| {
                seen.probes.last_mut().unwrap().arrived = Some("10.20.0.2:50100".parse().unwrap());
            }),
            "reply-rewritten@nobody",
        ),
        (
            "a 227 that is rewritten to where nothing is",
            plain()
                .works(Path::EPSV)
                .fails(Path::PASV, Silent)
                .with(|seen| {
                    seen.probes.last_mut().unwrap().arrived =
                        Some("10.20.0.2:50100".parse().unwrap());
                }),
            "pasv-blocked@server-firewall/server-nat reply-rewritten@server-nat/client-nat",
        ),
        (
            "what arrived is what was sent",
            plain().works(Path::EPSV).works(Path::PASV).with(|seen| {
                let probed = seen.probes.last_mut().unwrap();
                probed.arrived = probed.replied;
            }),
            "",
        ),
        (
            "an accepted PORT that the server read otherwise",
            plain()
                .works(Path::EPSV)
                .fails(Path::PORT, NobodyCame)
                .with(|seen| {
                    seen.probes.last_mut().unwrap().arrived =
                        Some("10.9.9.9:50101".parse().unwrap());
                }),
            "port-rewritten@client-nat/server-nat active-dropped@client-firewall/server-firewall",
        ),
        (
            "two NATs",
            behind_nat().works(Path::EPSV).fails(
                Path::PORT_MAPPED,
                MappedElsewhere {
                    mapped: "100.64.0.10".parse().unwrap(),
                },
            ),
            "carrier-nat@client-nat",
        ),
        (
            "a NAT that forwards a port",
            behind_nat()
                .works(Path::EPSV)
                .fails(
                    Path::PORT,
                    AddressRefused {
                        code: 500,
                        outside: None,
                    },
                )
                .works(Path::PORT_MAPPED),
            "mapped-port@nobody",
        ),
        (
            "a helper rewrites PORT",
            behind_nat().works(Path::EPSV).works(Path::PORT),
            "helper-at-work@nobody",
        ),
        (
            "a balancer hides us",
            of(OWN, Some("10.20.0.1"), "(vsFTPd 3.0.3)").works(Path::EPSV),
            "client-hidden@server-nat",
        ),
        (
            "both behind one router",
            of("10.20.0.3", Some("10.20.0.1"), "(vsFTPd 3.0.3)").works(Path::EPSV),
            "hairpin@server-nat",
        ),
        (
            "NAT64",
            of("2001:db8:c::2", Some("198.51.100.1"), "?")
                .works(Path::EPSV)
                .fails(Path::EPRT, FamilyRefused),
            "nat64@nobody",
        ),
        (
            "nobody comes, and nothing else is known",
            plain().works(Path::EPSV).fails(Path::PORT, NobodyCame),
            "active-dropped@client-firewall/server-firewall",
        ),
        (
            "a hole lets the server in",
            plain()
                .works(Path::EPSV)
                .fails(Path::PORT, NobodyCame)
                .punched(U, Ok(())),
            "active-dropped@client-firewall",
        ),
        (
            "not even a hole lets the server in",
            plain()
                .works(Path::EPSV)
                .fails(Path::PORT, NobodyCame)
                .punched(U, Err(Obstacle::Path(NobodyCame))),
            "active-dropped@server-firewall/client-firewall",
        ),
        (
            "a hole that was never opened",
            plain()
                .works(Path::EPSV)
                .fails(Path::PORT, NobodyCame)
                .punched(S, Err(Obstacle::Path(NobodyCame))),
            "active-dropped@client-firewall/server-firewall",
        ),
        (
            "the server's connection is rejected",
            plain().works(Path::EPSV).fails(Path::PORT, no_data),
            "active-refused@client-firewall/server-firewall",
        ),
        (
            "the server's own system does not let it out",
            plain().works(Path::EPSV).said(
                Path::PORT,
                no_data,
                425,
                "Unable to build data connection: Operation not permitted",
            ),
            "active-refused@server-firewall",
        ),
        (
            "the listing went out, and came from an address of nobody's",
            plain()
                .works(Path::EPSV)
                .said(Path::PORT, NobodyCame, 226, "Directory send OK."),
            "active-from-elsewhere@server-nat/server-configuration",
        ),
        (
            "no passive",
            plain()
                .fails(Path::EPSV, refused(550))
                .fails(Path::PASV, refused(550))
                .works(Path::PORT),
            "passive-not-offered@server-configuration",
        ),
        (
            "no active",
            plain()
                .works(Path::EPSV)
                .fails(Path::PORT, refused(550))
                .fails(Path::EPRT, refused(550)),
            "active-not-offered@server-configuration",
        ),
        (
            "no port here",
            plain()
                .works(Path::EPSV)
                .fails(Path::PORT, CannotListen(NoListener::InUse(None))),
            "cannot-listen@client-configuration",
        ),
        (
            "a TLS session that is not resumed",
            {
                let reply = Reply::new(522, "SSL connection failed; session reuse required");
                let refused = Err(Obstacle::Refused(reply.clone()));
                plain().tried(Path::EPSV, 50_103, refused, Some(reply))
            },
            "tls-session-not-resumed@server-configuration",
        ),
        (
            "active from another port",
            plain()
                .works(Path::EPSV)
                .works(Path::PORT)
                .with(|seen| seen.probes[1].peer = Some("203.0.113.130:43210".parse().unwrap())),
            "source-port-not-20@nobody",
        ),
        (
            "one session and no more",
            plain()
                .works(Path::EPSV)
                .with(|seen| seen.refused_session = Some("421 too many".to_owned())),
            "few-sessions@nobody",
        ),
        (
            "a control connection that is forgotten",
            plain().works(Path::EPSV).with(|seen| {
                seen.idle = Some((Duration::from_mins(6), Err("no reply".to_owned())));
            }),
            "idle-forgotten@client-nat/server-nat/server-configuration",
        ),
        (
            "IPv6 leads nowhere",
            {
                let mut story = plain().works(Path::EPSV);
                story.0.absent.push((true, "no route".to_owned()));
                story
            },
            "family-unreachable@nobody",
        ),
    ]
}

#[test]
fn facts_lead_to_causes_and_sides() {
    let mut wrong = Vec::new();
    for (name, story, expected) in table() {
        let found = story.found();
        if found != expected {
            wrong.push(format!("{name}: {found}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_word_of_every_check_has_a_row_and_a_remedy() {
    let wording = Wording::new("nftables").unwrap();
    let all: Vec<_> = table()
        .into_iter()
        .flat_map(|(_, story, _)| findings(&story.0, &wording))
        .collect();
    let page = include_str!("../../../docs/doctor.md");
    for word in wharf_doctor::no_session::WORDS {
        let explained = page.contains(&format!("| `{word}` |"));
        assert!(explained, "{word} has no row in docs/doctor.md");
    }
    for word in CHECKS.iter().flat_map(|check| check.words) {
        let explained = page.contains(&format!("| `{word}` |"));
        assert!(explained, "{word} has no row in docs/doctor.md");
        let mut rows = all
            .iter()
            .filter(|finding| finding.word == *word)
            .peekable();
        assert!(rows.peek().is_some(), "{word} has no row in the table");
        for finding in rows {
            assert!(!finding.evidence.is_empty(), "{word} shows no evidence");
            assert!(
                finding.side == WhoActs::Nobody || !finding.remedy.is_empty(),
                "{word} has no remedy"
            );
            let cause = &finding.cause;
            assert!(!cause.ends_with('.') && !cause.contains('\n'), "{cause}");
        }
    }
    let known: Vec<&str> = CHECKS
        .iter()
        .flat_map(|check| check.words)
        .copied()
        .collect();
    for finding in &all {
        assert!(
            known.contains(&finding.word),
            "{} is in no row",
            finding.word
        );
    }
}

#[test]
fn what_only_one_of_two_families_has_says_which_one() {
    let wording = Wording::new("nftables").unwrap();
    let both = |mut one: Story, other: Story| {
        one.0.families.extend(other.0.families);
        findings(&one.0, &wording)
            .into_iter()
            .map(|finding| finding.cause)
            .collect::<Vec<_>>()
    };
    let ipv6 = || of("2001:db8:c::2", Some("2001:db8:c::2"), "(vsFTPd 3.0.3)");
    let cause = "a firewall drops connections to the server's passive ports";
    assert_eq!(
        both(
            plain().works(Path::EPSV),
            ipv6().fails(Path::EPSV, Evidence::Silent)
        ),
        [format!("over IPv6, {cause}")]
    );
    assert_eq!(
        both(
            plain().fails(Path::EPSV, Evidence::Silent),
            ipv6().fails(Path::EPSV, Evidence::Silent)
        ),
        [cause]
    );
}

#[test]
fn the_verdict_says_what_works_and_else_who_must_act() {
    let wording = Wording::new("nftables").unwrap();
    let verdict = |story: &Story| {
        let report = report(
            &story.0,
            &wording,
            "ftp://203.0.113.130/".to_owned(),
            Duration::ZERO,
        );
        (
            report.verdict.works,
            report.verdict.line,
            report.verdict.uses,
        )
    };
    let (works, line, uses) = verdict(&plain().works(Path::EPSV).works(Path::PORT));
    assert!(works);
    assert_eq!(line, "passive (EPSV) works; nothing to do");
    assert_eq!(uses.as_deref(), Some("wharf get uses EPSV"));
    // A note changes nothing.
    let (_, line, _) = verdict(&behind_nat().works(Path::EPSV));
    assert_eq!(line, "passive (EPSV) works; nothing to do");
    let (works, line, _) = verdict(&silent(Path::EPSV).works(Path::PORT));
    assert!(works);
    assert!(line.starts_with("active (PORT) works; but "), "{line}");
    assert!(line.ends_with("; the server's firewall must act"), "{line}");
    let (works, line, uses) = verdict(&silent(Path::EPSV));
    assert!(!works && uses.is_none());
    assert!(
        line.starts_with("no data connection comes about: "),
        "{line}"
    );
}
