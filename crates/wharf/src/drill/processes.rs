//! Other processes: new ones, and those that there are.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{IoSliceMut, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::process::Command;

use nix::fcntl::AtFlags;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{Pid, Uid};
use rustix::fs::MemfdFlags;
use rustix::process::Signal;

use super::{Outcome, argument, number, said};

const HARMLESS: &str = "/bin/true";

/// `spawn`: fork (or vfork) and exec, as the standard library does it.
pub(super) fn spawn(_: &[&str]) -> Outcome {
    let mut child = Command::new(HARMLESS).spawn().map_err(said)?;
    let status = child.wait().map_err(said)?;
    Ok(format!("a process ran: {status}"))
}

/// `posix-spawn`
pub(super) fn posix_spawn(_: &[&str]) -> Outcome {
    let actions = PosixSpawnFileActions::init().map_err(said)?;
    let attributes = PosixSpawnAttr::init().map_err(said)?;
    let none: [CString; 0] = [];
    let pid = nix::spawn::posix_spawn(HARMLESS, &actions, &attributes, &[c"true"], &none)
        .map_err(said)?;
    Ok(format!("process {pid}"))
}

/// `memfd`: a program that is in no file system, in place of this one.
pub(super) fn memfd(_: &[&str]) -> Outcome {
    let mut file =
        File::from(rustix::fs::memfd_create("drill", MemfdFlags::empty()).map_err(said)?);
    let program = std::fs::read(HARMLESS).map_err(said)?;
    file.write_all(&program).map_err(said)?;
    let none: [&CStr; 0] = [];
    replaced(nix::unistd::execveat(
        file.as_fd(),
        c"",
        &[c"true"],
        &none,
        AtFlags::AT_EMPTY_PATH,
    ))
}

/// `exec`: another program in place of this one.
pub(super) fn exec(_: &[&str]) -> Outcome {
    replaced(nix::unistd::execv(c"/bin/true", &[c"true"]))
}

/// Who has become another program does not come here.
fn replaced(outcome: nix::Result<Infallible>) -> Outcome {
    match outcome {
        Err(error) => Err(said(error)),
    }
}

/// `kill PID`
pub(super) fn kill(arguments: &[&str]) -> Outcome {
    let pid = rustix::process::Pid::from_raw(number(arguments, 0)?).ok_or("no such number")?;
    rustix::process::kill_process(pid, Signal::TERM).map_err(said)?;
    Ok("signalled".to_owned())
}

/// `ptrace PID`
pub(super) fn ptrace(arguments: &[&str]) -> Outcome {
    let pid = Pid::from_raw(number(arguments, 0)?);
    nix::sys::ptrace::seize(pid, nix::sys::ptrace::Options::empty()).map_err(said)?;
    Ok("traced".to_owned())
}

/// `memory-of PID ADDRESS`: by way of /proc.
pub(super) fn memory_of(arguments: &[&str]) -> Outcome {
    let path = format!("/proc/{}/mem", argument(arguments, 0)?);
    let memory = File::open(path).map_err(said)?;
    let mut bytes = [0; 16];
    let count = memory
        .read_at(&mut bytes, address(arguments)?)
        .map_err(said)?;
    Ok(format!("{count} bytes"))
}

/// `read-memory-of PID ADDRESS`: by the call for it.
pub(super) fn read_memory_of(arguments: &[&str]) -> Outcome {
    let mut bytes = [0; 16];
    let remote = RemoteIoVec {
        base: usize::try_from(address(arguments)?).map_err(said)?,
        len: bytes.len(),
    };
    let pid = Pid::from_raw(number(arguments, 0)?);
    let count =
        process_vm_readv(pid, &mut [IoSliceMut::new(&mut bytes)], &[remote]).map_err(said)?;
    Ok(format!("{count} bytes"))
}

fn address(arguments: &[&str]) -> Result<u64, String> {
    u64::from_str_radix(argument(arguments, 1)?, 16).map_err(said)
}

/// `uid`: becomes root.
pub(super) fn uid(_: &[&str]) -> Outcome {
    let root = Uid::from_raw(0);
    nix::unistd::setresuid(root, root, root).map_err(said)?;
    Ok("root".to_owned())
}
