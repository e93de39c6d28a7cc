//! The whole of CI, cheapest first.

use crate::run::{Outcome, cargo, check, ensure_cargo_tool, ensure_library, note};
use crate::{docs, fuzz, lab, tidy};

const DENY_VERSION: &str = "0.20.2";

pub(crate) fn ci() -> Outcome {
    let started = std::time::Instant::now();
    check(cargo(&["fmt", "--all", "--check"]))?;
    tidy::tidy()?;
    pam()?;
    check(cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))?;
    check(cargo(&["test", "--workspace", "--all-features"]))?;
    let mut doc = cargo(&["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    check(doc)?;
    docs::docs(true)?;
    deny()?;
    fuzz::fuzz(&[])?;
    lab::lab(&["all".to_owned()], true)?;
    note(&format!(
        "\neverything passed in {:.1} minutes",
        started.elapsed().as_secs_f32() / 60.0
    ));
    Ok(())
}

/// What a build with all features is linked with and an ordinary one is not.
pub(crate) fn pam() -> Outcome {
    ensure_library("pam", "libpam0g-dev")
}

/// Licences, duplicates and sources by deny.toml. Advisories need a database from outside
/// and are left to a scheduled job that has a network.
pub(crate) fn deny() -> Outcome {
    ensure_cargo_tool("deny", DENY_VERSION)?;
    check(cargo(&[
        "deny",
        "--all-features",
        "check",
        "licenses",
        "bans",
        "sources",
    ]))
}
