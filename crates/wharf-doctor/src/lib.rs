//! Finds out why no data connection comes about: walks every path, compares what was sent with what arrived, and says
//! who must act and how.
//!
//! * [`finding`]: a cause, its evidence, the side that must act, what to do
//! * [`report`]: every path in a line, the findings, the verdict; as text and as JSON
//! * [`facts`]: what was seen, as plain values
//! * [`checks`]: the judgement on the facts, a table of pure functions, one file each
//! * [`software`], [`remedy`]: which server program it is; what to do, in its words and in a firewall's
//! * [`no_session`]: the same where there is not even a session
//! * [`doctor`]: gathers the facts, on as many sessions at once as the server allows, and stops in time
//!
//! Gathering and judging are apart: what is found out on the network becomes plain values, and the judgement on them is
//! a table of pure functions.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

pub mod ask;
pub mod finding;
pub mod host;
pub mod report;

pub mod checks;
mod distance;
pub mod facts;
pub mod no_session;
pub mod remedy;
pub mod software;

pub mod doctor;
mod errand;
mod round;
pub use doctor::Doctor;
