//! PAM: whether a name and a password belong together, and whether the user may log in today. Asked by the broker.
//!
//! What is said to its modules and made of their answers is `talk.rs`, pure; `linked.rs` is the library, in builds with the
//! feature `pam`.

#[cfg(feature = "pam")]
mod linked;
#[cfg(any(feature = "pam", test))]
mod talk;

use std::path::Path;

use crate::config::Settings;
use crate::exit::{Exit, Failure};

#[cfg(feature = "pam")]
pub(super) use linked::ask;

/// The service as which it is asked where the configuration says nothing.
const USUAL_SERVICE: &str = "wharf";

/// Where PAM looks for what a service does. Where it finds nothing it does what `other` says, which nobody has meant for FTP.
const FOLDERS: [&str; 3] = ["/etc/pam.d", "/usr/lib/pam.d", "/lib/pam.d"];

/// No client can send it as a password, for it holds a line end; as sshd says it for those who may not log in.
pub(super) const NOBODYS: &[u8] = b"\x08\n\r\x7FINCORRECT";

/// As which it is asked.
pub(super) fn service(settings: &Settings) -> &str {
    let named = settings.login.pam_service.as_deref();
    named.unwrap_or(USUAL_SERVICE)
}

/// Whether it can be asked at all.
///
/// # Errors
/// Not by this build, or the service is nowhere described.
pub(super) fn possible(settings: &Settings) -> Result<(), Failure> {
    if !cfg!(feature = "pam") {
        return Err(Failure::new(
            Exit::Unavailable,
            "auth = \"pam\": this wharf has been built without PAM",
        )
        .with_hint("cargo build --release --features pam makes one that has it (Debian: package libpam0g-dev); auth = \"system\" checks /etc/shadow without PAM"));
    }
    let service = service(settings);
    let described = |folder: &&str| Path::new(folder).join(service).is_file();
    if FOLDERS.iter().any(described) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Unavailable,
        format!("auth = \"pam\": there is no /etc/pam.d/{service}, and PAM would do what its service `other` says"),
    )
    .with_hint("write that file, on Debian with the lines `@include common-auth` and `@include common-account`, or name another service with --pam-service"))
}

/// Whether modules are asked about that name at all: some use it as the name of a file.
pub(super) fn is_name(name: &str) -> bool {
    let known = |it: char| !it.is_control() && it != '/';
    !name.is_empty() && !name.starts_with(['-', '.']) && name.chars().all(known)
}

/// Not in this build, which does not start with it either.
#[cfg(not(feature = "pam"))]
pub(super) fn ask(
    _service: &str,
    _name: &str,
    _password: &[u8],
    _from: std::net::IpAddr,
) -> Result<(), wharf_broker::Rejected> {
    let why = "this wharf has been built without PAM".to_owned();
    Err(wharf_broker::Rejected::Broken(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_modules_are_asked_about() {
        for name in [
            "anna",
            "anna.b",
            "anna@example.org",
            "DOMAIN\\anna",
            "_x",
            "jörg",
        ] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "../x", "a/b", ".", "-x", "a\0b", "a\nb"] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn what_is_nobodys_password_no_client_sends() {
        assert!(wharf_proto::Text::new(NOBODYS).is_err());
    }
}
