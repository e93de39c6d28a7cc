//! The kernel's tools that load rules.

use std::path::Path;

use super::rows::Rules;
use crate::Result;
use crate::namespace::Namespace;
use crate::process::must;

/// What the rules are loaded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loader {
    /// nft.
    Nft,
    /// The iptables of today, which makes nftables of it.
    Iptables,
    /// The kernel's own.
    IptablesLegacy,
}

/// All of them.
pub(super) const LOADERS: [Loader; 3] = [Loader::Nft, Loader::Iptables, Loader::IptablesLegacy];

impl Loader {
    /// The dialect that it reads.
    pub(super) fn dialect(self) -> &'static str {
        match self {
            Self::Nft => "nftables",
            Self::Iptables | Self::IptablesLegacy => "iptables",
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::Iptables => "iptables-nft",
            Self::IptablesLegacy => "iptables-legacy",
        }
    }

    /// Lets the kernel's tools check the text, then loads it.
    pub(super) fn load(self, namespace: &Namespace, text: &Path, rules: Rules) -> Result<()> {
        let steps: &[&[&str]] = match self {
            Self::Nft => &[&["nft", "-c", "-f"], &["nft", "-f"]],
            Self::Iptables => &[
                &["iptables-nft-restore", "--test"],
                &["ip6tables-nft-restore", "--test"],
                &["iptables-nft-restore"],
                &["ip6tables-nft-restore"],
            ],
            Self::IptablesLegacy => &[
                &["iptables-legacy-restore", "--test"],
                &["ip6tables-legacy-restore", "--test"],
                &["iptables-legacy-restore"],
                &["ip6tables-legacy-restore"],
            ],
        };
        for step in steps {
            let mut command = namespace.command(step[0]);
            command.args(&step[1..]);
            if rules == Rules::Beside && self != Self::Nft {
                command.arg("--noflush");
            }
            command.arg(text);
            must(command, b"")?;
        }
        Ok(())
    }
}
