//! Finds out why no data connection comes about: walks every path, compares what was sent with what arrived, and says
//! who must act and how.
//!
//! * [`finding`]: a cause, its evidence, the side that must act, what to do
//! * [`report`]: every path in a line, the findings, the verdict; as text and as JSON
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

pub mod finding;
pub mod host;
pub mod report;
