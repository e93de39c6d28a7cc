//! Who may log in, and which storage that returns.
//!
//! Logging in returns the storage: homes and permissions are wrappers around it, and no command of the server asks
//! who the user is.
//!
//! In reading order:
//! * [`authenticator`]: the trait [`Authenticator`], [`Credentials`] in, [`Granted`] or [`Denied`] out;
//! * [`anonymous`], [`single`]: everybody, and one user of the command line;
//! * [`certificate`]: certificates that clients have shown, and whose they are;
//! * [`users_file`]: users in a TOML file, read again when it changes, and the editor for it;
//! * [`hashing`]: argon2id in a bounded pool;
//! * [`system`]: the users of this system, by their password in the shadow file;
//! * [`chain`]: several sources in order;
//! * [`bans`]: who is not even asked.

pub mod anonymous;
pub mod authenticator;
pub mod bans;
pub mod certificate;
pub mod chain;
pub mod hashing;
pub mod single;
pub mod system;
pub mod users_file;

pub use anonymous::Anonymous;
pub use authenticator::{Authenticator, Credentials, Denied, Granted, UserLimits};
pub use bans::{Ban, BanPolicy, Bans, BansError, Offence, Subject};
pub use certificate::{Besides, Certificate, CertificateRule};
pub use chain::Chain;
pub use hashing::{HashError, HashPool, PasswordHash};
pub use single::Single;
pub use system::{SystemFiles, SystemRules, SystemUser};
pub use users_file::{NameError, Problem, User, UserList, UsersError, UsersFile, check_name};
