//! Who may log in, and which storage that returns.
//!
//! Logging in returns the storage: homes and permissions are wrappers around it, and no command of the server asks
//! who the user is.
//!
//! In reading order:
//! * [`authenticator`]: the trait [`Authenticator`], [`Credentials`] in, [`Granted`] or [`Denied`] out.

pub mod authenticator;

pub use authenticator::{Authenticator, Credentials, Denied, Granted, UserLimits};
