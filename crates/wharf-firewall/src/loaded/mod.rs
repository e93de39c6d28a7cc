//! What the kernel has loaded: reads `nft -j list ruleset` and says what it does with a connection.
//!
//! ```
//! use wharf_firewall::loaded::{Judgement, Probe, Family, Ruleset};
//! let json = r#"{"nftables": [
//!   {"table": {"family": "inet", "name": "t"}},
//!   {"chain": {"family": "inet", "table": "t", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
//!   {"rule": {"family": "inet", "table": "t", "chain": "in", "handle": 3, "expr": [
//!     {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 21}},
//!     {"accept": null}]}}]}"#;
//! let rules = Ruleset::from_nft_json(json)?;
//! assert!(matches!(rules.judge(&Probe::arriving(Family::Ipv4, 21)), Judgement::Admitted { .. }));
//! assert!(matches!(rules.judge(&Probe::arriving(Family::Ipv4, 50000)), Judgement::Dropped { .. }));
//! # Ok::<(), wharf_firewall::loaded::NotUnderstood>(())
//! ```
//!
//! The law here: *what is not understood makes the answer unknown, never a guess*. A rule whose condition cannot be
//! decided may match or not; if the answer is the same either way it is given, otherwise it is
//! [`Judgement::Unknown`] with what stood in the way. Taken for granted of a probe: it is one connection of an ordinary
//! rate (a limit is not exceeded), unicast, and comes in where the route to its source leads out.
//!
//! Not read: the contents of iptables extensions, which `nft -j` does not tell (it says `xt`); bridges; programs that
//! drop packets by other means (BPF, iptables-legacy, a provider's firewall).

mod compared;
mod condition;
mod expression;
mod judge;
mod judgement;
mod model;
mod probe;
mod read;
mod text;
mod walk;

pub use judgement::{Helper, Judgement, RuleAt, Translation};
pub use model::Ruleset;
pub use probe::{Family, Hook, Ports, Probe, Protocol, State};
pub use read::NotUnderstood;
