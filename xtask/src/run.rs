//! Starting other programs and telling about it.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a step comes to: nothing, or a sentence that says why it failed.
pub(crate) type Outcome = Result<(), String>;

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Prints to stdout; a closed pipe is not our trouble.
pub(crate) fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints a line to stderr.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A cargo that inherits the terminal, started in the root.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args).current_dir(root());
    command
}

/// Runs to the end; anything but success is an error that names the command.
pub(crate) fn check(mut command: Command) -> Outcome {
    let shown = format!("{command:?}").replace('"', "");
    note(&format!("\n$ {shown}"));
    let started = std::time::Instant::now();
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|e| format!("cannot start {shown}: {e}"))?;
    note(&format!("  ({:.0} s)", started.elapsed().as_secs_f32()));
    if status.success() {
        Ok(())
    } else {
        Err(format!("{shown}: {status}"))
    }
}

/// Is the program there? If not, installs the Debian package that has it (root).
pub(crate) fn ensure_program(program: &str, package: &str) -> Outcome {
    let present = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if present { Ok(()) } else { install(package) }
}

/// Can programs be linked with the library? If not, installs the Debian package that has it (root).
///
/// Errors: it is not there and we are not root, or there is no such package.
pub(crate) fn ensure_library(library: &str, package: &str) -> Outcome {
    let file = format!("lib{library}.so");
    let found = || {
        // The linker's own search; a name that it does not find comes back as it was.
        let asked = Command::new("cc")
            .arg(format!("-print-file-name={file}"))
            .output();
        asked.is_ok_and(|it| String::from_utf8_lossy(&it.stdout).trim().contains('/'))
    };
    if found() {
        return Ok(());
    }
    let missing = format!(
        "{file} is not there, which the feature `pam` is linked with: install the package {package} (apt-get install {package})"
    );
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0);
    if !is_root {
        return Err(missing);
    }
    install(package)?;
    if found() { Ok(()) } else { Err(missing) }
}

fn install(package: &str) -> Outcome {
    for args in [
        &["update", "-q"][..],
        &["install", "-q", "-y", "--no-install-recommends", package],
    ] {
        let mut apt = Command::new("apt-get");
        apt.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        check(apt)?;
    }
    Ok(())
}

/// Is `cargo NAME` there? If not, installs that version from the registry.
pub(crate) fn ensure_cargo_tool(name: &str, version: &str) -> Outcome {
    let present = cargo(&[name, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if present {
        return Ok(());
    }
    check(cargo(&[
        "install",
        "--locked",
        "--version",
        version,
        &format!("cargo-{name}"),
    ]))
}
