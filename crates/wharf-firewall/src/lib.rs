//! From who stands where, and what data modes are offered, to the connections that must pass, and from those to
//! firewall rules in many dialects. Pure: opens nothing, asks nobody.
//!
//! In reading order:
//! * [`deployment`]: who stands where, what is offered;
//! * [`flow`]: the connections that must pass, each with the step of a data mode that needs it;
//! * [`rule`] and [`rule_set`]: rules in no dialect, each with its reasons;
//! * [`explain`]: the reasons as sentences, the article's four rules corrected;
//! * [`comparison`]: what is needed, compared with what is loaded;
//! * [`dialect`]: the rules as text, one file and one row a dialect;
//! * [`loaded`]: the way back, from what `nft -j list ruleset` prints to what becomes of a connection.
//!
//! ```
//! use wharf_firewall::{Deployment, RuleSet, Scope, Style, dialect};
//!
//! let rules = RuleSet::new(&Deployment::server(), Scope::Beside).unwrap();
//! let nftables = dialect::find("nftables").unwrap();
//! let text = (nftables.write)(&rules, Style::default()).unwrap();
//! assert!(text.contains("tcp dport 21 ct state new accept"));
//! ```

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

pub mod comparison;
pub mod deployment;
pub mod dialect;
pub mod explain;
pub mod flow;
pub mod loaded;
pub mod note;
pub mod rule;
pub mod rule_set;

pub use deployment::{Active, Contradiction, Deployment, Family, Passive, ServerAt, Side};
pub use dialect::{DIALECTS, Dialect, Style, Unsupported};
pub use flow::{Direction, Flow, Ports, Step};
pub use note::Note;
pub use rule::{Action, Addresses, Chain, Match, Protocol, Reason, Rule, State};
pub use rule_set::{RuleSet, Scope};
