//! From the events of a session to its picture. Pure: opens nothing.
//!
//! [`source::read`] gives the events of a trace or of a capture, [`Ladder::from_events`] makes of them the values of a
//! picture, and [`render`] draws these as text, SVG or Mermaid. [`Drawing`] does the same while a session runs.
//!
//! *Deliberately absent:* files, sockets, clocks, the terminal. What comes in may be anybody's: nothing here panics on
//! it or grows beyond a small multiple of it.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

mod drawing;
pub mod figures;
mod folding;
pub mod ladder;
mod naming;
pub mod render;
mod secured;
mod shown;
pub mod source;

pub use drawing::Drawing;
pub use ladder::{Ladder, Options, Session};
pub use secured::tls_told;
