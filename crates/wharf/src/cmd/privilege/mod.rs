//! Which processes `wharf serve` is, and what each of them may do.
//!
//! Started as root it is two: this one stays as the broker, and starts the same program again as the one that talks to
//! the network. So it is under `--sandbox strict`, whoever started it, since the key of TLS and connections to clients
//! are then nobody's but the broker's. Else it is one process, locked in as far as it can do without a broker.
//!
//! What they may do is in `rights.rs`, how they are started in `processes.rs`, what came of it in `standing.rs`.

mod processes;
mod rights;
mod standing;

use wharf_broker::{Identity, Strictness};

use self::processes::{alone, broker, network};
use super::inherited::Inherited;
use super::{foundation, storage_worker, system_users};
use crate::args::ServeArgs;
use crate::args::value::SandboxLevel;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(super) use processes::this_program;
pub(crate) use rights::{own, sandbox};
pub(crate) use standing::{Standing, sandbox_failure};

/// Serves, as one process or two.
pub(crate) fn run(args: &ServeArgs, output: &Output) -> Result<(), Failure> {
    if args.network_process {
        return network(args, output);
    }
    if args.storage_worker {
        return storage_worker::run(args);
    }
    let inherited = Inherited::take()?;
    let args = &inherited.instead(args);
    let settings = foundation::settings(args)?;
    system_users::possible(&settings)?;
    if is_brokered(&settings) {
        broker(args, &settings, inherited, output)
    } else {
        alone(args, inherited, output)
    }
}

/// Whether there are two processes.
pub(crate) fn is_brokered(settings: &Settings) -> bool {
    match settings.sandbox {
        SandboxLevel::Off => false,
        SandboxLevel::Strict => true,
        SandboxLevel::BestEffort => is_root(),
    }
}

pub(super) fn is_root() -> bool {
    own_uid() == 0
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub(crate) fn strictness(settings: &Settings) -> Strictness {
    match settings.sandbox {
        SandboxLevel::Strict => Strictness::Strict,
        SandboxLevel::BestEffort => Strictness::BestEffort,
        SandboxLevel::Off => Strictness::Off,
    }
}

/// As whom the network is talked to; `None` is whoever started the server.
pub(crate) fn identity(settings: &Settings) -> Result<Option<Identity>, Failure> {
    let no = |error: wharf_broker::sandbox::IdentityError, exit| {
        Failure::new(exit, error.to_string())
            .with_hint("--run-as USER names the user as whom the network is talked to")
    };
    match &settings.run_as {
        Some(name) if is_root() => Identity::named(name)
            .map(Some)
            .map_err(|error| no(error, Exit::NoUser)),
        Some(name) if Identity::named(name).is_ok_and(|it| it.uid == own_uid()) => Ok(None),
        Some(name) => Err(Failure::new(
            Exit::NoPermission,
            format!("only root can become the user {name}"),
        )
        .with_hint("start the server as root, or as that user without --run-as")),
        None if is_root() && settings.sandbox != SandboxLevel::Off => {
            Identity::owner_of(&settings.directory)
                .map(Some)
                .map_err(|error| no(error, Exit::Unavailable))
        }
        None => Ok(None),
    }
}
