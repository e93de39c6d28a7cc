//! The queue of `wharf queue`: transfers that are to happen, kept in a file until they have.
//!
//! `item.rs` is what the file says, and what may become of an item: pure. `store.rs` is the file, changed under a lock and
//! replaced whole. `runner.rs` carries out what waits.

mod item;
mod runner;
mod store;

pub(crate) use item::{Item, Standing};
pub(crate) use runner::{run, unusable};
pub(crate) use store::Store;
