//! The face of wharf: arguments, configuration, terminal, exit status. Everything that is FTP lives in
//! the libraries below.
//!
//! In reading order:
//! * [`args`]: what may be typed; [`config`]: what the server's settings file may say;
//! * [`cmd`]: one file a command; [`shell`]: the interactive client, a table of commands;
//! * [`script`]: the language of lftp; [`editor`]: lines that a person types, with history and completion;
//! * [`session`], [`login`], [`profile`], [`via`], [`client_error`], [`listing`], [`progress`]: what client commands share;
//! * [`catalogue`], [`language`]: what errors mean, and the user's language;
//! * [`event`]: the same for programs (`--json`);
//! * [`output`], [`screen`], [`live_ladder`], [`terminal`], [`logging`], [`trace_file`], [`exit`], [`help`]: what is said, and the status at the end.
//!
//! Under the name `ftp` or `pftp` (a symbolic link is enough) the program is the interactive client.

mod args;
mod attempts;
mod catalogue;
mod client_error;
mod client_tls;
mod cmd;
mod config;
#[cfg(feature = "drill")]
mod drill;
mod editor;
mod event;
mod exit;
mod help;
mod interrupt;
mod language;
mod listing;
mod live_ladder;
mod logging;
mod login;
mod output;
mod password;
mod profile;
mod progress;
mod queue;
mod rate_signals;
mod screen;
mod script;
mod secret_program;
mod session;
mod shell;
mod sums;
mod terminal;
mod trace_file;
mod via;
mod walk;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::ErrorKind;

use crate::args::{Cli, Command, FtpArgs, ShellArgs};
use crate::catalogue::Cause;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::{Output, color_wanted};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let called = words
        .first()
        .and_then(|path| Path::new(path).file_name())
        .and_then(|name| name.to_str())
        .unwrap_or("wharf");
    let code = match called {
        "ftp" => ftp("ftp", &words),
        "pftp" => ftp("pftp", &words),
        "gate-ftp" => ftp("gate-ftp", &words),
        "lftp" => lftp(&words),
        // `wharf -c 'COMMANDS'`, as with a shell.
        _ if words
            .get(1)
            .is_some_and(|word| word == "-c" || word == "-e" || word == "-f") =>
        {
            let mut whole = words.clone();
            whole.insert(1, "shell".into());
            wharf(&whole)
        }
        _ => wharf(&words),
    };
    code.into()
}

fn wharf(words: &[OsString]) -> u8 {
    let parsed = args::wharf()
        .try_get_matches_from(words)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => run(cli.command),
        Err(error) => {
            let word = words.iter().skip(1).find_map(|word| word.to_str());
            let server_side = matches!(word, Some("serve" | "check" | "user" | "ban" | "proxy"));
            usage(
                &error,
                if server_side {
                    Exit::ServerUsage
                } else {
                    Exit::Usage
                },
            )
        }
    }
}

fn ftp(name: &'static str, words: &[OsString]) -> u8 {
    let parsed = args::ftp(name)
        .try_get_matches_from(words)
        .and_then(|matches| FtpArgs::from_arg_matches(&matches));
    match parsed {
        Ok(mut args) => {
            if name == "pftp" && !args.active {
                args.passive = true;
            }
            args.gate |= name == "gate-ftp";
            run(Command::Ftp(args))
        }
        Err(error) => usage(&error, Exit::Usage),
    }
}

/// Under the name of lftp: its flags, and its status at the end.
fn lftp(words: &[OsString]) -> u8 {
    let parsed = args::lftp()
        .try_get_matches_from(words)
        .and_then(|matches| ShellArgs::from_arg_matches(&matches));
    match parsed {
        Ok(mut args) => {
            args.classic_exit = true;
            run(Command::Shell(Box::new(args)))
        }
        Err(error) => usage(&error, Exit::Usage),
    }
}

/// Help and version go to stdout and are no error; everything else is wrong usage.
fn usage(error: &clap::Error, exit: Exit) -> u8 {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if asked {
        // A closed pipe (`wharf --help | head`) is no reason to complain.
        let _ = error.print();
        return Exit::Done.code();
    }
    let text = error.render();
    let text = if color_wanted(std::io::stderr().is_terminal()) {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    // Wrong usage has its code, too; `wharf` alone prints the help, which begins otherwise.
    let code = Cause::of(exit, "").code();
    let text = text.replacen("error:", &format!("error[{code}]:"), 1);
    let _ = std::io::stderr().write_all(text.as_bytes());
    exit.code()
}

fn run(command: Command) -> u8 {
    let output = output_of(&command);
    let code = match execute(command, &output) {
        Ok(()) => Exit::Done.code(),
        Err(failure) => {
            output.failure(&failure);
            let _ = std::io::stderr().flush();
            failure.code()
        }
    };
    output.ended(code);
    code
}

fn output_of(command: &Command) -> Output {
    let (quiet, verbose) = match command {
        Command::Serve(args) => (args.quiet, args.verbose),
        Command::Proxy(args) => (args.quiet, args.verbose),
        Command::Check(args) => (args.serve.quiet, args.serve.verbose),
        // Of client commands: whether stdout carries something else than events.
        Command::Get(args) => return args.client.output(args.to_stdout()),
        Command::Put(args) => return args.client.output(false),
        Command::Ls(args) => return args.client.output(true),
        Command::Find(args) => return args.client.output(true),
        Command::Du(args) => return args.client.output(true),
        Command::Cat(args) => return args.client.output(true),
        Command::Rm(args) | Command::Rmdir(args) => return args.client.output(false),
        Command::Mkdir(args) => return args.client.output(false),
        Command::Mv(args) => return args.client.output(false),
        Command::Stat(args) => return args.client.output(true),
        Command::Mirror(args) => return args.client.output(false),
        Command::Watch(args) => return args.client.output(false),
        Command::Doctor(args) => return args.client.output(true),
        Command::Forget(args) => (args.quiet, 0),
        Command::Queue(args) => (args.quiet, 0),
        Command::Firewall(args) => (args.quiet, 0),
        Command::Ftp(args) => (args.quiet, 0),
        Command::Shell(args) => (args.quiet, args.verbose),
        Command::User(_)
        | Command::Ban(_)
        | Command::Help(_)
        | Command::Ladder(_)
        | Command::Bookmark(_)
        | Command::Explain(_)
        | Command::Completions(_)
        | Command::Man(_) => (false, 0),
    };
    Output::new(quiet, verbose)
}

fn execute(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Help(args) => return help::run(&args.topic),
        Command::Explain(args) => return cmd::explain::run(&args),
        Command::Completions(args) => return cmd::install::completions(&args),
        Command::Man(args) => return cmd::install::man(&args),
        Command::User(args) => return cmd::user::run(&args.command, output),
        Command::Ban(args) => return cmd::ban::run(&args.command, output),
        Command::Bookmark(args) => return cmd::bookmark::run(&args, output),
        Command::Forget(args) => return cmd::forget::run(&args, output),
        Command::Ladder(args) => return cmd::ladder::run(&args, output),
        Command::Firewall(args) => return cmd::firewall::run(&args, output),
        // Threads come after the sandbox.
        Command::Serve(args) => return cmd::privilege::run(&args, output),
        _ => {}
    }
    let serving = matches!(command, Command::Check(_) | Command::Proxy(_));
    let mut builder = if serving {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Software, format!("cannot start: {error}")))?;
    let result = runtime.block_on(dispatch(command, output));
    // A thread that still waits for standard input must not hold the end up.
    runtime.shutdown_background();
    result
}

async fn dispatch(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Proxy(args) => return cmd::proxy::run(&args, output).await,
        Command::Check(args) => return cmd::check::run(&args, output).await,
        Command::Ftp(args) => return Box::pin(shell::run(args, output)).await,
        Command::Shell(args) => return script::run(*args, output).await,
        Command::Watch(args) => return Box::pin(cmd::watch::run(*args, output)).await,
        _ => {}
    }
    let mut interrupt = Interrupt::new()?;
    // Dropping the command is what aborts it: the data connection is reset, the partial file stays.
    tokio::select! {
        result = client_command(command, output) => result,
        exit = interrupt.wait() => {
            let _ = output.bars().clear();
            Err(Failure::told(exit))
        }
    }
}

async fn client_command(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Get(args) => Box::pin(cmd::get::run(args, output)).await,
        Command::Put(args) => cmd::put::run(args, output).await,
        Command::Ls(args) => cmd::ls::run(args, output).await,
        Command::Find(args) => cmd::find::run(args, output).await,
        Command::Du(args) => cmd::du::run(args, output).await,
        Command::Cat(args) => cmd::cat::run(args, output).await,
        Command::Rm(args) => cmd::remove::files(args, output).await,
        Command::Rmdir(args) => cmd::remove::directories(args, output).await,
        Command::Mkdir(args) => cmd::mkdir::run(args, output).await,
        Command::Mv(args) => cmd::mv::run(args, output).await,
        Command::Stat(args) => cmd::stat::run(args, output).await,
        Command::Mirror(args) => Box::pin(cmd::mirror::run(*args, output)).await,
        Command::Doctor(args) => Box::pin(cmd::doctor::run(*args, output)).await,
        Command::Queue(args) => cmd::queue::run(args, output).await,
        // Dispatched before.
        Command::Serve(_)
        | Command::Proxy(_)
        | Command::Check(_)
        | Command::User(_)
        | Command::Ban(_)
        | Command::Bookmark(_)
        | Command::Forget(_)
        | Command::Firewall(_)
        | Command::Ftp(_)
        | Command::Shell(_)
        | Command::Watch(_)
        | Command::Ladder(_)
        | Command::Help(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Explain(_) => Ok(()),
    }
}
