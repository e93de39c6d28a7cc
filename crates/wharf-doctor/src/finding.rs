//! A finding: what is wrong, what shows it, who must act, and what exactly to do.

use std::fmt;

/// The side that can repair it. "Firewall" and "NAT" are whatever stands on that side's way: on the machine itself or on
/// its router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum WhoActs {
    /// Rules on the client's machine or on its router.
    ClientFirewall,
    /// The router that translates the client's addresses, or a carrier's.
    ClientNat,
    /// What the client was told: its flags, its machine.
    ClientConfiguration,
    /// Rules on the server's machine or on its router.
    ServerFirewall,
    /// The router or balancer that forwards ports to the server.
    ServerNat,
    /// The settings of the server program.
    ServerConfiguration,
    /// It is worth knowing, and nothing has to be done.
    Nobody,
}

impl WhoActs {
    /// Every side with the word of the JSON report.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("client-firewall", Self::ClientFirewall),
        ("client-nat", Self::ClientNat),
        ("client-configuration", Self::ClientConfiguration),
        ("server-firewall", Self::ServerFirewall),
        ("server-nat", Self::ServerNat),
        ("server-configuration", Self::ServerConfiguration),
        ("nobody", Self::Nobody),
    ];

    /// The word of the JSON report.
    pub fn word(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(_, side)| *side == self)
            .map_or("", |(word, _)| word)
    }
}

impl fmt::Display for WhoActs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientFirewall => "the client's firewall",
            Self::ClientNat => "the client's NAT",
            Self::ClientConfiguration => "the client's settings",
            Self::ServerFirewall => "the server's firewall",
            Self::ServerNat => "the NAT or balancer in front of the server",
            Self::ServerConfiguration => "the server's configuration",
            Self::Nobody => "nobody",
        })
    }
}

/// What a finding costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Because of this no data connection comes about.
    Fatal,
    /// It works, but something is wrong that other clients, or other moments, stumble over.
    Weak,
    /// Worth knowing; no harm.
    Note,
}

impl Severity {
    /// The word of the JSON report and of the text.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Weak => "weak",
            Self::Note => "note",
        }
    }
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// Who does it.
    pub side: WhoActs,
    /// What it does, in one line without a full stop.
    pub what: String,
    /// What to type or to add, line by line, ready to be copied; empty where there is nothing to copy.
    pub lines: Vec<String>,
}

impl Remedy {
    /// Words alone.
    pub fn say(side: WhoActs, what: impl Into<String>) -> Self {
        Self {
            side,
            what: what.into(),
            lines: Vec::new(),
        }
    }

    /// Words, and what to copy: several lines may stand in one text.
    pub fn copy(side: WhoActs, what: impl Into<String>, text: &str) -> Self {
        Self {
            lines: text.lines().map(str::to_owned).collect(),
            ..Self::say(side, what)
        }
    }
}

/// One thing that was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The word for the cause: lower case with hyphens, the same in every version. Scripts may rely on it.
    pub word: &'static str,
    /// What it costs.
    pub severity: Severity,
    /// The cause, in one line without a full stop.
    pub cause: String,
    /// What was seen that shows it, a line each.
    pub evidence: Vec<String>,
    /// Who must act: the likeliest, where it cannot be told.
    pub side: WhoActs,
    /// Who else it may be, the likelier first; empty where it is certain.
    pub perhaps: Vec<WhoActs>,
    /// What to do. Never empty unless the side is [`WhoActs::Nobody`].
    pub remedy: Vec<Remedy>,
}

impl Finding {
    /// A finding without evidence and remedy yet.
    pub fn new(
        word: &'static str,
        severity: Severity,
        side: WhoActs,
        cause: impl Into<String>,
    ) -> Self {
        Self {
            word,
            severity,
            cause: cause.into(),
            evidence: Vec::new(),
            side,
            perhaps: Vec::new(),
            remedy: Vec::new(),
        }
    }

    /// Adds a line of evidence.
    #[must_use]
    pub fn because(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// Adds lines of evidence.
    #[must_use]
    pub fn because_of(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    /// It may also be this side.
    #[must_use]
    pub fn or(mut self, side: WhoActs) -> Self {
        self.perhaps.push(side);
        self
    }

    /// Takes in the same finding of the other address family: the worse severity, the evidence of both, whoever must act
    /// in either, and what to do that is not said yet.
    pub(crate) fn join(&mut self, other: Self) {
        self.severity = self.severity.min(other.severity);
        self.evidence.extend(other.evidence);
        for side in [other.side].into_iter().chain(other.perhaps) {
            if side != self.side && !self.perhaps.contains(&side) {
                self.perhaps.push(side);
            }
        }
        for remedy in other.remedy {
            if !self.remedy.contains(&remedy) {
                self.remedy.push(remedy);
            }
        }
    }

    /// Adds something to do.
    #[must_use]
    pub fn cure(mut self, remedy: Remedy) -> Self {
        self.remedy.push(remedy);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_finding_in_both_families_keeps_what_each_needs() {
        let rule = |address: &str| {
            Remedy::copy(
                WhoActs::ClientFirewall,
                "let it in",
                &format!("allow {address}"),
            )
        };
        let mut four = Finding::new("w", Severity::Note, WhoActs::ClientFirewall, "c")
            .because("over IPv4")
            .cure(rule("192.0.2.1"));
        let six = Finding::new("w", Severity::Fatal, WhoActs::ServerFirewall, "c")
            .because("over IPv6")
            .or(WhoActs::ClientFirewall)
            .cure(rule("192.0.2.1"))
            .cure(rule("2001:db8::1"));
        four.join(six);
        assert_eq!(four.severity, Severity::Fatal);
        assert_eq!(four.evidence, ["over IPv4", "over IPv6"]);
        assert_eq!(
            (four.side, four.perhaps),
            (WhoActs::ClientFirewall, vec![WhoActs::ServerFirewall])
        );
        assert_eq!(four.remedy, [rule("192.0.2.1"), rule("2001:db8::1")]);
    }

    #[test]
    fn every_side_has_a_word_of_its_own() {
        for (at, (word, side)) in WhoActs::WORDS.iter().enumerate() {
            assert_eq!(side.word(), *word);
            assert!(!side.to_string().is_empty());
            let mut others = WhoActs::WORDS.iter().skip(at + 1);
            assert!(others.all(|(other, _)| other != word));
        }
    }
}
