//! What the search tells people.

use super::{Evidence, Main, Plan, Tried};
use crate::data_connection::Opener;
use crate::data_connection::diagnosis::Diagnosis;
use crate::data_connection::path::{Address, Path};
use crate::data_connection::policy::DataModeChoice;

impl Plan {
    /// One line, if the way in use is not the one that was tried first: what failed, and what is used instead.
    pub fn news(&self) -> Option<String> {
        let refused = |it: &&Tried| {
            matches!(it.evidence, Evidence::AddressRefused { .. })
                && it.path.address == Address::Own
        };
        let tried = &self.search.tried;
        let cause = if self.policy.choice.is_active() {
            tried.iter().find(refused).or(tried.first())?
        } else {
            tried.first()?
        };
        let path = self.proven?;
        let instead = match (path.opener, path.address) {
            (Opener::Server, Address::Mapped) => format!(
                "the server connects to a port that the router forwards ({})",
                path.offer
            ),
            (Opener::Server, Address::Outside) => format!(
                "the server connects to our outside address ({})",
                path.offer
            ),
            (Opener::Server, _) => format!("the server connects to us instead ({})", path.offer),
            (Opener::User, Address::AsReplied) => {
                format!("the address in the reply works ({})", path.offer)
            }
            (Opener::User, _) if cause.path.opener == Opener::Server => {
                format!("we connect to the server instead ({})", path.offer)
            }
            (Opener::User, Address::ControlPeer) if cause.path.address == Address::AsReplied => {
                format!(
                    "the address that we are connected to works ({})",
                    path.offer
                )
            }
            (Opener::User, _) if cause.path == path => format!("{} works", path.offer),
            (Opener::User, _) => format!("{} works instead", path.offer),
        };
        let after = if self.search.blind_tried > 0 {
            " after CCC"
        } else {
            ""
        };
        Some(format!("{}; {instead}{after}", cause.as_cause()))
    }

    /// One line per failed attempt (method, address and port, what was seen, seconds), what was never tried and why, then
    /// the likely cause, who must act, and what to try. For error messages.
    pub fn explain(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.search.tried.iter().map(Tried::to_string).collect();
        for opener in [Opener::User, Opener::Server] {
            if !self.search.tried.iter().any(|it| it.path.opener == opener) {
                lines.push(self.why_not(opener));
            }
        }
        let diagnosis = Diagnosis::of(&self.policy, self.nat, &self.search.tried);
        lines.extend(diagnosis.lines());
        if self.blind && (self.search.network || self.own_refused) {
            lines.extend(self.blinded().map(str::to_owned));
        }
        let untried = [Opener::User, Opener::Server]
            .iter()
            .any(|opener| !self.search.tried.iter().any(|it| it.path.opener == *opener));
        if self.policy.choice != DataModeChoice::Auto && untried {
            lines.push("next: --mode auto tries the other ways, too".to_owned());
        }
        lines
    }

    fn blinded(&self) -> [&'static str; 2] {
        let remedy = if self.stays_blind {
            "the server's administrator: let clients end TLS on the control connection (wharf serve --tls-ccc); this server \
             refuses CCC"
        } else {
            "here: if there is one, --ccc ends TLS on the control connection after the login: commands and names can be read \
             on the way then, the password and the data cannot"
        };
        [
            "also: a firewall or NAT that opens ports by reading along (an FTP helper) cannot read commands inside TLS",
            remedy,
        ]
    }

    fn why_not(&self, opener: Opener) -> String {
        let (name, extended, classic) = match opener {
            Opener::User => ("passive", Path::EPSV.offer, Path::PASV.offer),
            Opener::Server => ("active", Path::EPRT.offer, Path::PORT.offer),
        };
        let choice = self.policy.choice;
        if self.candidates.has(opener) {
            if self.next_open(opener) && self.search.main == Main::Over {
                format!("{name}: not tried, no time was left")
            } else if self.next_open(opener) {
                format!("{name}: not tried, the transfer had begun; the next one tries it")
            } else {
                format!("{name}: not tried, ruled out earlier in this session")
            }
        } else if choice.allows(classic) && !choice.allows(extended) {
            format!("{name}: not tried, {classic} cannot name an IPv6 address")
        } else {
            format!("{name}: not tried, another data mode was asked for")
        }
    }

    fn next_open(&self, opener: Opener) -> bool {
        self.candidates.open(opener, false).next().is_some()
    }
}
