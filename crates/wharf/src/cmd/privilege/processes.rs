//! The processes themselves: the broker, the one that talks to the network, and the one that is alone.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use wharf_broker::{Broker, BrokeredNet, End, Link, Own, Reloaded, SandboxError, Strictness};
use wharf_net::{InheritedNet, Net};

use super::rights::{grant, own};
use super::standing::{lock_in, sandbox_failure};
use super::{identity, strictness};
use crate::args::ServeArgs;
use crate::cmd::custody::Custody;
use crate::cmd::inherited::Inherited;
use crate::cmd::orders::Signals;
use crate::cmd::{foundation, kept, notify, serve, system_users};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::password;

/// The argument that makes the second process.
pub(super) const NETWORK_PROCESS: &str = "--network-process";

fn stops_within(settings: &Settings) -> Duration {
    settings.limits.stop_timeout.unwrap_or(serve::STOP_TIMEOUT)
}

/// By its name, which is what process lists show; an upgrade may have removed it.
pub(in crate::cmd) fn this_program() -> Command {
    let program = std::env::current_exe().ok().filter(|path| path.is_file());
    let mut command = Command::new(program.unwrap_or_else(|| "/proc/self/exe".into()));
    let word = std::env::args_os().next();
    command.arg0(word.unwrap_or_else(|| OsString::from("wharf")));
    command
}

/// The first process: keeps the rights and answers the second.
pub(super) fn broker(
    args: &ServeArgs,
    settings: &Settings,
    inherited: Inherited,
    output: &Output,
) -> Result<(), Failure> {
    serve::start_log(args, settings)?;
    // Before there is a second process to be told so.
    identity(settings)?;
    let mut command = this_program();
    let words = std::env::args_os().skip(1);
    let mut before = true;
    for word in words {
        let verb = before && word == "serve";
        command.arg(word);
        if verb {
            command.arg(NETWORK_PROCESS).args(inherited.words());
            before = false;
        }
    }
    let login = &settings.login;
    if let Some(user) = &login.user
        && login.password_file.is_none()
        && password::from_env()?.is_none()
        && password::can_prompt()
    {
        // The other process has no terminal to ask on.
        use std::os::unix::ffi::OsStrExt;
        let typed = password::prompt(&format!("Password for {user}: "), Exit::ServerUsage)?;
        command.env(
            "WHARF_PASSWORD",
            std::ffi::OsStr::from_bytes(typed.expose()),
        );
    }
    let fault = |error: std::io::Error| {
        Failure::new(
            Exit::Software,
            format!("cannot start the process that talks to the network: {error}"),
        )
        .with_hint("--sandbox off serves with one process")
    };
    let custody = Custody::take(settings)?;
    let mut broker = Broker::start(command, grant(settings), custody.keys()).map_err(fault)?;
    broker.stops_within(stops_within(settings));
    broker.inherits(inherited.sockets);
    notify::begin();
    broker.tells(notify::tell);
    let gate = settings.login.auth.is_of_system().then(|| {
        let (logins, gate) = system_users::logins(args, settings);
        broker.lets_in(logins);
        gate
    });
    let own = own(settings);
    give_up(&broker, &own, settings, output)?;
    let watchman = custody.watch(broker.teller())?;
    let ended = broker.run(|| {
        let reloaded = foundation::settings(args).and_then(|settings| {
            if let Some(what) = own.lacks(&self::own(&settings)) {
                return Err(Failure::new(
                    Exit::NoPermission,
                    format!("{what}: the broker has given that right away, and nothing brings it back but a restart"),
                ));
            }
            system_users::possible(&settings)?;
            watchman.reload(&settings)?;
            if let Some(gate) = &gate {
                gate.reload(&settings);
            }
            Ok(Reloaded {
                grant: grant(&settings),
                stops_within: stops_within(&settings),
            })
        });
        reloaded.inspect_err(serve::not_reloaded).ok()
    });
    let end = ended.map_err(|error| {
        Failure::new(Exit::Software, format!("the broker cannot go on: {error}"))
    })?;
    match (&end, end.code()) {
        (_, Some(0)) => Ok(()),
        // It has said why.
        (End::Ended(status), Some(code)) if status.code().is_some() => {
            Err(Failure::told(Exit::Software).with_code(code))
        }
        (End::Ended(status), code) => {
            output.warning(&format!(
                "the process that talks to the network has ended: {status}"
            ));
            Err(Failure::told(Exit::Software).with_code(code.unwrap_or(Exit::Software.code())))
        }
        (End::Stuck, _) => Err(Failure::new(
            Exit::Software,
            "the process that talks to the network did not stop in its time, and was killed",
        )),
        (End::Killed(why), _) => Err(Failure::new(
            Exit::Software,
            format!(
                "the process that talks to the network asked for what no honest one asks for ({why}), and was killed"
            ),
        )
        .with_hint("it may have been taken over; look at what clients sent before: --trace FILE")),
    }
}

/// The broker's share of the sandbox.
fn give_up(
    broker: &Broker,
    own: &Own,
    settings: &Settings,
    output: &Output,
) -> Result<(), Failure> {
    let Some(missing) = broker.gives_up(own).missing() else {
        return Ok(());
    };
    if strictness(settings) == Strictness::Strict {
        return Err(sandbox_failure(&SandboxError::Missing(missing)));
    }
    output.warning(&format!("the sandbox is not complete: {missing}"));
    Ok(())
}

/// The second process: talks to the network.
pub(super) fn network(args: &ServeArgs, output: &Output) -> Result<(), Failure> {
    let (link, orders) = Link::from_stdin().map_err(|error| {
        Failure::new(
            Exit::ServerUsage,
            format!("{NETWORK_PROCESS} is not for people: {error}"),
        )
    })?;
    kept::ask(link.clone());
    let opened = serve::open(args)?;
    let standing = lock_in(&opened, true, output)?;
    in_runtime(async {
        let signals = Signals::new(Some(orders))?;
        let net: Arc<dyn Net> = Arc::new(BrokeredNet::new(link));
        serve::run(args, opened, net, signals, &standing, output).await
    })
}

/// The only process.
pub(super) fn alone(
    args: &ServeArgs,
    inherited: Inherited,
    output: &Output,
) -> Result<(), Failure> {
    let opened = serve::open(args)?;
    notify::begin();
    let standing = lock_in(&opened, false, output)?;
    let net: Arc<dyn Net> = Arc::new(InheritedNet::new(inherited.sockets));
    in_runtime(async {
        let signals = Signals::new(None)?;
        serve::run(args, opened, net, signals, &standing, output).await
    })
}

fn in_runtime(serving: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Software, format!("cannot start: {error}")))?;
    let result = runtime.block_on(serving);
    // A thread that still waits for a disk must not hold the end up.
    runtime.shutdown_background();
    result
}
