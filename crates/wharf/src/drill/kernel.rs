//! Orders to the kernel that a file server never gives.

use std::fs::File;

use nix::kmod::ModuleInitFlags;
use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;

use super::{Outcome, argument, said};

/// `module`
pub(super) fn module(_: &[&str]) -> Outcome {
    nix::kmod::init_module(b"drill", c"").map_err(said)?;
    let file = File::open("/dev/null").map_err(said)?;
    nix::kmod::finit_module(&file, c"", ModuleInitFlags::empty()).map_err(said)?;
    Ok("loaded".to_owned())
}

/// `mount PATH`: there, and away again.
pub(super) fn mount(arguments: &[&str]) -> Outcome {
    let path = argument(arguments, 0)?;
    let none: Option<&str> = None;
    nix::mount::mount(Some("drill"), path, Some("tmpfs"), MsFlags::empty(), none).map_err(said)?;
    nix::mount::umount2(path, MntFlags::MNT_DETACH).map_err(said)?;
    Ok("mounted".to_owned())
}

/// `unshare`: a network of its own.
pub(super) fn unshare(_: &[&str]) -> Outcome {
    nix::sched::unshare(CloneFlags::CLONE_NEWNET).map_err(said)?;
    Ok("apart".to_owned())
}

/// `setns PID`: the network of that process.
pub(super) fn setns(arguments: &[&str]) -> Outcome {
    let path = format!("/proc/{}/ns/net", argument(arguments, 0)?);
    let space = File::open(path).map_err(said)?;
    nix::sched::setns(&space, CloneFlags::CLONE_NEWNET).map_err(said)?;
    Ok("elsewhere".to_owned())
}

/// `chroot`: to where the root is already, so that nothing changes when it works.
pub(super) fn chroot(_: &[&str]) -> Outcome {
    rustix::process::chroot("/").map_err(said)?;
    Ok("changed".to_owned())
}

/// `io-uring`
pub(super) fn io_uring(_: &[&str]) -> Outcome {
    io_uring::IoUring::new(8).map_err(said)?;
    Ok("a ring".to_owned())
}
