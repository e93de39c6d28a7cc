//! Moves a file through a data connection: representation type -> socket and back.
//!
//! One stage a file. Structures, transfer modes and protection will be stages here as well; how fast it may go is the data connection's
//! (`rate.rs`).

mod conversion;
mod copy;
mod doubt;
mod farewell;
mod progress;

pub use conversion::Conversion;
pub use copy::{Moved, PumpError, receive, send};
pub use doubt::doubt;
pub use farewell::end_upload;
pub use progress::Progress;
