//! No control connection, or no login: there is no data connection to examine, and still somebody must act. What was seen
//! is judged here without I/O; the ports beside the control port tell a host that is away from one whose port is closed.

use std::net::SocketAddr;
use std::time::Duration;

use wharf_client::{Endpoint, ErrorKind};
use wharf_net::Touch;

use crate::finding::{Finding, Remedy, Severity, WhoActs};
use crate::remedy::Wording;
use crate::report::{Report, Verdict};

/// The words of the findings, stable for scripts.
pub const WORDS: &[&str] = &[
    "name-unknown",
    "server-refuses",
    "server-silent",
    "server-unreachable",
    "no-greeting",
    "not-ftp",
    "server-busy",
    "login-refused",
    "no-session",
];

/// What was seen instead of a session.
#[derive(Debug, Clone)]
pub struct NoSession {
    /// The server as it was named.
    pub endpoint: Endpoint,
    /// What kind of failure it was.
    pub kind: ErrorKind,
    /// The failure in words.
    pub said: String,
    /// One address of the server, and how its control port answers a connection that is given up at once.
    pub control: Option<(SocketAddr, Touch)>,
    /// How other ports of that address answer.
    pub others: Vec<(u16, Touch)>,
}

impl NoSession {
    /// What it means. Never more certain than what was seen.
    pub fn finding(&self, wording: &Wording) -> Finding {
        let touch = self.control.map(|(_, touch)| touch);
        let finding = match (self.kind, touch) {
            (ErrorKind::Resolve, _) => self.name_unknown(),
            (ErrorKind::Login, _) => login_refused(),
            (ErrorKind::Busy, _) => busy(),
            (ErrorKind::Protocol, _) => self.not_ftp(),
            (ErrorKind::Timeout | ErrorKind::Closed, Some(Touch::Open)) => self.no_greeting(),
            (_, Some(Touch::Refused)) => self.refuses(*wording),
            (_, Some(Touch::Silent)) => self.silent(*wording),
            (_, Some(Touch::Unreachable)) => self.unreachable(),
            _ => other(),
        };
        finding.because(self.said.clone())
    }

    /// The report that holds this finding alone.
    pub fn report(&self, wording: &Wording, subject: String, took: Duration) -> Report {
        let finding = self.finding(wording);
        let likely = if finding.perhaps.is_empty() {
            ""
        } else {
            "likely "
        };
        Report {
            verdict: Verdict {
                works: false,
                line: format!(
                    "no session, so no data connection was tried: {}; {likely}{} must act",
                    finding.cause, finding.side
                ),
                uses: None,
            },
            subject,
            facts: self
                .control
                .iter()
                .map(|(at, _)| format!("server: {at}"))
                .collect(),
            paths: Vec::new(),
            findings: vec![finding],
            unfinished: Vec::new(),
            took,
        }
    }

    fn name_unknown(&self) -> Finding {
        fatal(
            "name-unknown",
            WhoActs::ClientConfiguration,
            format!("this machine finds no address for {}", self.endpoint.host),
        )
        .cure(Remedy::copy(
            WhoActs::ClientConfiguration,
            "check how the name is spelt and whether this machine's name servers answer",
            &format!("getent ahosts {}", self.endpoint.host),
        ))
    }

    fn not_ftp(&self) -> Finding {
        fatal(
            "not-ftp",
            WhoActs::ClientConfiguration,
            format!(
                "what answers at port {} does not speak FTP",
                self.endpoint.port
            ),
        )
        .or(WhoActs::ServerConfiguration)
        .cure(Remedy::copy(
            WhoActs::ClientConfiguration,
            "name the FTP server's control port, 21 as a rule; SFTP (port 22) is another protocol",
            &format!("wharf doctor ftp://{}/", bare(&self.endpoint.host)),
        ))
    }

    fn no_greeting(&self) -> Finding {
        fatal(
            "no-greeting",
            WhoActs::ServerConfiguration,
            format!(
                "port {} accepts the connection, and then the dialogue stops before the login is done",
                self.endpoint.port
            ),
        )
        .or(WhoActs::ServerNat)
        .cure(Remedy::say(
            WhoActs::ServerConfiguration,
            "look into the server's log: a look-up of our name or an identd query that waits, a list of admitted addresses, a server that is stuck; TLS at port 990, and HTTP, wait for the client and never greet",
        ))
        .cure(Remedy::say(
            WhoActs::ServerNat,
            "a balancer or forwarding accepts also where no server stands behind it: check where it leads",
        ))
    }

    fn refuses(&self, wording: Wording) -> Finding {
        fatal(
            "server-refuses",
            WhoActs::ServerConfiguration,
            format!(
                "port {} refuses connections: no server listens there, or a firewall rejects",
                self.endpoint.port
            ),
        )
        .because_of(self.neighbours())
        .or(WhoActs::ServerFirewall)
        .cure(Remedy::copy(
            WhoActs::ServerConfiguration,
            "on the server: does it run, and at this port?",
            &format!("ss -ltn 'sport = :{}'", self.endpoint.port),
        ))
        .cure(wording.open_control(self.endpoint.port))
    }

    fn silent(&self, wording: Wording) -> Finding {
        let up = self
            .others
            .iter()
            .any(|(_, touch)| matches!(touch, Touch::Open | Touch::Refused));
        let cause = if up {
            format!(
                "the host answers, and a firewall drops connections to port {}",
                self.endpoint.port
            )
        } else {
            "nothing answers at this address: the host is away, or a firewall drops everything"
                .to_owned()
        };
        let finding = fatal("server-silent", WhoActs::ServerFirewall, cause)
            .because_of(self.neighbours())
            .or(WhoActs::ClientFirewall)
            .cure(wording.open_control(self.endpoint.port));
        match self.control {
            Some((at, _)) => finding.cure(wording.let_control_out(at)),
            None => finding,
        }
    }

    fn unreachable(&self) -> Finding {
        let finding = fatal(
            "server-unreachable",
            WhoActs::ClientConfiguration,
            "this machine or a router on the way says that no way leads there",
        )
        .or(WhoActs::ServerFirewall);
        match self.control {
            Some((at, _)) => finding.cure(Remedy::copy(
                WhoActs::ClientConfiguration,
                "check this machine's route; if it has one, a router on the way or a firewall that rejects said so",
                &format!("ip route get {}", at.ip()),
            )),
            None => finding,
        }
    }

    /// What the ports beside the control port say.
    fn neighbours(&self) -> Option<String> {
        let (first, _) = self.others.split_first()?;
        let ports: Vec<String> = self.others.iter().map(|(at, _)| at.to_string()).collect();
        let ports = ports.join(", ");
        let all_alike = self.others.iter().all(|(_, touch)| *touch == first.1);
        Some(match first.1 {
            Touch::Refused if all_alike => {
                format!("other ports of the host refuse as well, so it is up: {ports}")
            }
            Touch::Silent if all_alike => format!("other ports of the host are silent: {ports}"),
            _ => {
                let each = self.others.iter().map(|(port, touch)| {
                    let word = match touch {
                        Touch::Open => "open",
                        Touch::Refused => "refused",
                        Touch::Silent => "silent",
                        Touch::Unreachable => "unreachable",
                        Touch::Unknown => "unknown",
                    };
                    format!("{port} {word}")
                });
                format!(
                    "other ports of the host: {}",
                    each.collect::<Vec<_>>().join(", ")
                )
            }
        })
    }
}

fn login_refused() -> Finding {
    fatal(
            "login-refused",
            WhoActs::ClientConfiguration,
            "the server is reached, and refuses this user and password",
        )
        .or(WhoActs::ServerConfiguration)
        .cure(Remedy::say(
            WhoActs::ClientConfiguration,
            "give a login that the server knows: ftp://USER@HOST/ with --password-file FILE",
        ))
        .cure(Remedy::say(
            WhoActs::ServerConfiguration,
            "or look into the server's log for why it refuses: unknown user, locked account, shell that is not in /etc/shells, anonymous not offered, TLS demanded",
        ))
}

fn busy() -> Finding {
    fatal(
            "server-busy",
            WhoActs::ServerConfiguration,
            "the server is reached, and takes no further session now",
        )
        .cure(Remedy::say(
            WhoActs::ServerConfiguration,
            "try again later; if it stays so: raise its limit of sessions, in all or for one address or user",
        ))
}

fn other() -> Finding {
    fatal(
        "no-session",
        WhoActs::ServerConfiguration,
        "no session came about, and nothing that was seen says why",
    )
    .or(WhoActs::ServerFirewall)
    .or(WhoActs::ClientFirewall)
    .cure(Remedy::copy(
        WhoActs::ServerConfiguration,
        "to find out more, on the server",
        "wharf doctor --server",
    ))
}

fn fatal(word: &'static str, side: WhoActs, cause: impl Into<String>) -> Finding {
    Finding::new(word, Severity::Fatal, side, cause)
}

/// The host as an address in a URL has it.
fn bare(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_have_no_session_names_a_side_and_a_remedy() {
        use Touch::{Open, Refused, Silent, Unreachable};
        let wording = Wording::new("nftables").unwrap();
        let at: SocketAddr = "203.0.113.130:21".parse().unwrap();
        let mut words = Vec::new();
        for (kind, touch, others, expected) in [
            (
                ErrorKind::Resolve,
                None,
                None,
                "name-unknown@client-configuration",
            ),
            (
                ErrorKind::Connect,
                Some(Refused),
                Some(Refused),
                "server-refuses@server-configuration/server-firewall",
            ),
            (
                ErrorKind::Connect,
                Some(Refused),
                Some(Silent),
                "server-refuses@server-configuration/server-firewall",
            ),
            (
                ErrorKind::Connect,
                Some(Silent),
                Some(Silent),
                "server-silent@server-firewall/client-firewall",
            ),
            (
                ErrorKind::Connect,
                Some(Silent),
                Some(Refused),
                "server-silent@server-firewall/client-firewall",
            ),
            (
                ErrorKind::Connect,
                Some(Unreachable),
                None,
                "server-unreachable@client-configuration/server-firewall",
            ),
            (
                ErrorKind::Timeout,
                Some(Open),
                None,
                "no-greeting@server-configuration/server-nat",
            ),
            (
                ErrorKind::Closed,
                Some(Open),
                None,
                "no-greeting@server-configuration/server-nat",
            ),
            (
                ErrorKind::Protocol,
                Some(Open),
                None,
                "not-ftp@client-configuration/server-configuration",
            ),
            (
                ErrorKind::Busy,
                Some(Open),
                None,
                "server-busy@server-configuration",
            ),
            (
                ErrorKind::Login,
                Some(Open),
                None,
                "login-refused@client-configuration/server-configuration",
            ),
            // It listens now, and did not a moment ago.
            (
                ErrorKind::Connect,
                Some(Open),
                None,
                "no-session@server-configuration/server-firewall/client-firewall",
            ),
        ] {
            let seen = NoSession {
                endpoint: Endpoint {
                    host: "ftp.example".to_owned(),
                    port: 21,
                },
                kind,
                said: "what the client says".to_owned(),
                control: touch.map(|touch| (at, touch)),
                others: others
                    .map(|it| vec![(20, it), (64_999, it)])
                    .unwrap_or_default(),
            };
            let finding = seen.finding(&wording);
            let mut text = format!("{}@{}", finding.word, finding.side.word());
            for side in &finding.perhaps {
                text = format!("{text}/{}", side.word());
            }
            assert_eq!(text, expected, "{kind:?} {touch:?} {others:?}");
            assert!(!finding.remedy.is_empty(), "{text}");
            assert!(
                finding
                    .evidence
                    .iter()
                    .any(|it| it == "what the client says")
            );
            words.push(finding.word);
            let report = seen.report(&wording, "ftp://ftp.example/".to_owned(), Duration::ZERO);
            assert!(!report.verdict.works);
            assert_eq!(
                report.verdict.line.contains("likely"),
                !finding.perhaps.is_empty()
            );
        }
        for word in WORDS {
            assert!(words.contains(word), "no case for {word}");
        }
    }

    #[test]
    fn what_refuses_everywhere_is_up() {
        let seen = |others: &[Touch]| NoSession {
            endpoint: Endpoint {
                host: "ftp.example".to_owned(),
                port: 21,
            },
            kind: ErrorKind::Connect,
            said: String::new(),
            control: None,
            others: [20, 64_999]
                .into_iter()
                .zip(others.iter().copied())
                .collect(),
        };
        for (others, expected) in [
            (
                &[Touch::Refused, Touch::Refused][..],
                "other ports of the host refuse as well, so it is up: 20, 64999",
            ),
            (
                &[Touch::Silent, Touch::Silent],
                "other ports of the host are silent: 20, 64999",
            ),
            (
                &[Touch::Refused, Touch::Silent],
                "other ports of the host: 20 refused, 64999 silent",
            ),
        ] {
            assert_eq!(seen(others).neighbours().as_deref(), Some(expected));
        }
        assert_eq!(seen(&[]).neighbours(), None);
    }
}
