//! Making one tree like another, between any two [`Storage`](wharf_storage::Storage)s.
//!
//! In reading order: [`rules`](Rules) (what is wanted), [`filter`](Filter) (which names), `plan` (pure: from two listings of
//! a directory to what has to be done), `apply` (walks, and carries plans out with several jobs), `job` (what one of them
//! does), `copy` (one file), `part` (its name until it is whole), `account` (what is told and counted).
//!
//! What holds whatever happens, a killed process included: under a final name stands the old file or the whole new one; what
//! is half there has a name that the next run knows, continues or removes; and nothing is deleted when a listing
//! was incomplete.

mod account;
mod apply;
mod copy;
mod filter;
mod job;
mod names;
mod part;
mod plan;
mod rules;

pub use account::{Event, Failed, Observer, Outcome, Totals};
pub use apply::{How, Mirror};
pub use filter::{Filter, PatternError};
pub use plan::{Action, Copy, DirectoryPlan, Enter, Refused, Removal, plan_directory};
pub use rules::{Compare, Delete, Links, Only, Rules, Stores, Why};
