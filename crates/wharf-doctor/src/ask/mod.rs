//! Two wharfs prove together which ports clients reach: `wharf doctor --server --ask HOST TOKEN` on the server, `wharf
//! doctor --listen` elsewhere.
//!
//! * [`token`]: the secret that both have, and what proves that one has it
//! * [`line`](mod@line): the lines of their conversation
//! * [`rules`]: where the listening one connects to, and what it tells
//! * [`listen`]: the one that waits elsewhere
//! * [`asker`]: the one on the server
//! * [`conclusion`]: what the answers mean
//!
//! The protocol, version 1. Lines of ASCII of at most 256 bytes. The listening wharf speaks first:
//!
//! ```text
//! L  WHARF-LISTEN 1 <challenge>            32 hexadecimal digits, new for each connection
//! A  HELLO 1 <challenge> <proof>           proof: keyed BLAKE2s, the token as the key, of a word and both challenges
//! L  WELCOME <proof> <address:port>        where A is seen; or NO <text>, and the end
//! A  KNOCK <id> <address:port>             L connects there and reads one line
//! L  SAW <id> <what> [text]                matched refused silent unreachable mute other unproven called
//! A  AWAIT <id>                            A will call L, from its own port for active data connections
//! A  CALL <id> <proof>                     on that other connection, as the first line
//! L  SAW <id> called <address:port>        where the call came from; or SAW <id> silent
//! A  BYE
//! ```
//!
//! Whoever listens for A on a knocked port says `WHARF-KNOCK <proof>` and closes. Deliberately absent: encryption. Addresses
//! and ports go in clear; the token never does.

pub mod asker;
pub mod conclusion;
pub mod line;
pub mod listen;
pub mod rules;
pub mod token;

/// Where `wharf doctor --listen` listens when nothing was said.
pub const USUAL_PORT: u16 = 2120;

#[cfg(test)]
mod tests;
