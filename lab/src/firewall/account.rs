//! What was tried in a row, and whether it is what the row says.

use super::packet::{Kind, Packet};
use super::probes::{Ends, Probe};
use super::rows::{Rules, Way};
use super::witness;
use crate::Result;
use crate::namespace::Namespace;

/// What was tried, and what was wrong.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Transfers.
    pub(super) transfers: usize,
    /// Single packets.
    pub(super) probes: usize,
    /// Those that were let pass.
    pub(super) passed: usize,
    /// Things that could have been wrong.
    pub(super) checks: usize,
    /// What was.
    pub(super) wrong: Vec<String>,
}

impl Account {
    /// What must be wrong of rules with holes: probes in both directions and both families, and nothing else.
    pub(super) fn with_holes(mut self) -> Self {
        let way = |word: &str| self.wrong.iter().filter(|it| it.starts_with(word)).count();
        if (way("ToServer"), way("ToClient"), self.wrong.len()) == (2, 2, 4) {
            self.wrong.clear();
        } else {
            self.wrong
                .push("these rules have holes, and the probes do not say so".to_owned());
        }
        self
    }

    /// Sends probes and compares what passed with what may.
    pub(super) fn judge(
        &mut self,
        ends: &Ends,
        way: Way,
        probes: &[Probe],
        from: &Namespace,
        (filter, rules): (&Namespace, Rules),
    ) -> Result<()> {
        let packets: Vec<Packet> = probes.iter().map(|it| it.packet).collect();
        let seen = witness::pass(from, filter, &packets)?;
        self.probes += probes.len();
        self.checks += 1;
        let mut wrong = Vec::new();
        for probe in probes {
            let passed = seen.contains(&ends.behind(&probe.packet));
            self.passed += usize::from(passed);
            // Whether a segment without a connection passes where a connection may be opened anyway is no matter,
            // nor where rules close no more than the opening of connections.
            let opens = matches!(probe.packet.kind, Kind::Syn | Kind::Udp);
            let matters = opens || !probe.passes && rules == Rules::Complete;
            if passed != probe.passes && matters {
                let Packet { kind, from, to } = probe.packet;
                let word = if passed { "passed" } else { "did not pass" };
                wrong.push(format!("{kind:?} {from} to {to} {word}"));
            }
        }
        if let Some(first) = wrong.first() {
            let count = wrong.len();
            self.wrong
                .push(format!("{way:?}: {count} probes, the first: {first}"));
        }
        Ok(())
    }
}
