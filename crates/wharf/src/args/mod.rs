//! The command line: what may be typed. Reading it never opens anything; what it means is settled in
//! `config` (server) and `cmd` (client).
//!
//! Every flag has a `WHARF_*` variable of the same name, so a script or a container can set any of
//! them. A flag beats its variable; for switches, an empty value, `0`, `false`, `no` and `off` mean off.
#![expect(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are the help text, where [] means optional"
)]

pub(crate) mod ban;
pub(crate) mod bookmark;
pub(crate) mod client;
pub(crate) mod doctor;
pub(crate) mod doctor_host;
mod examples;
pub(crate) mod firewall;
pub(crate) mod ftp;
pub(crate) mod get;
pub(crate) mod install;
pub(crate) mod ladder;
pub(crate) mod listing;
pub(crate) mod mirror;
pub(crate) mod proxy;
pub(crate) mod proxy_tls;
pub(crate) mod put;
pub(crate) mod queue;
pub(crate) mod secret;
pub(crate) mod serve;
pub(crate) mod serve_acme;
pub(crate) mod serve_system;
pub(crate) mod serve_tls;
pub(crate) mod shell;
pub(crate) mod ssl;
pub(crate) mod tls;
pub(crate) mod transfer;
pub(crate) mod user_certificate;
pub(crate) mod value;
pub(crate) mod via;
pub(crate) mod watch;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

pub(crate) use ban::BanArgs;
pub(crate) use client::{
    CatArgs, ClientArgs, ForgetArgs, MakeDirArgs, ModeArg, MoveArgs, RemoveArgs, StatArgs,
};
pub(crate) use doctor::DoctorArgs;
pub(crate) use firewall::FirewallArgs;
pub(crate) use ftp::FtpArgs;
pub(crate) use get::GetArgs;
pub(crate) use install::{CompletionsArgs, ManArgs};
pub(crate) use ladder::{LadderArgs, LadderFormat};
pub(crate) use listing::{DuArgs, FindArgs, ListArgs};
pub(crate) use mirror::MirrorArgs;
pub(crate) use proxy::ProxyArgs;
pub(crate) use put::PutArgs;
pub(crate) use queue::QueueArgs;
pub(crate) use serve::{CheckArgs, ServeArgs, UserArgs, UserCommand};
pub(crate) use shell::ShellArgs;
pub(crate) use watch::WatchArgs;

/// FTP that simply works: server and client in one program
#[derive(Debug, Parser)]
#[command(
    name = "wharf",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "`wharf COMMAND --help` explains a command, `wharf help TOPIC` more:\n  \
                  modes, urls, login, profiles, proxies, exit-codes, environment, config, errors"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a directory over FTP
    #[command(long_about = serve::SERVE_LONG)]
    Serve(Box<ServeArgs>),
    /// Stand between clients and a server, and translate data modes
    #[command(long_about = proxy::PROXY_LONG)]
    Proxy(Box<ProxyArgs>),
    /// Try out a server configuration without serving
    #[command(long_about = serve::CHECK_LONG)]
    Check(Box<CheckArgs>),
    /// Edit the file of users that `serve --users` reads
    #[command(long_about = serve::USER_LONG)]
    User(UserArgs),
    /// Show and change who is not let in
    #[command(long_about = ban::BAN_LONG)]
    Ban(BanArgs),
    /// Print, load or check the firewall rules that FTP needs
    #[command(long_about = firewall::FIREWALL_LONG)]
    Firewall(Box<FirewallArgs>),
    /// Download files
    #[command(long_about = get::GET_LONG)]
    Get(GetArgs),
    /// Upload files
    #[command(long_about = put::PUT_LONG)]
    Put(PutArgs),
    /// Transfers that are to happen, kept until they have
    #[command(long_about = queue::QUEUE_LONG)]
    Queue(QueueArgs),
    /// List directories
    #[command(long_about = listing::LIST_LONG)]
    Ls(ListArgs),
    /// Find files in a tree on the server
    #[command(long_about = listing::FIND_LONG)]
    Find(FindArgs),
    /// Sum up sizes in a tree on the server
    #[command(long_about = listing::DU_LONG)]
    Du(DuArgs),
    /// Write files to standard output
    Cat(CatArgs),
    /// Delete files on the server
    Rm(RemoveArgs),
    /// Make directories on the server
    Mkdir(MakeDirArgs),
    /// Remove empty directories on the server
    Rmdir(RemoveArgs),
    /// Rename or move a file on the server
    Mv(MoveArgs),
    /// Show what the server tells about a file
    Stat(StatArgs),
    /// Make one tree like another, between this machine and servers
    #[command(long_about = mirror::MIRROR_LONG)]
    Mirror(Box<MirrorArgs>),
    /// Keep a tree on a server like a directory of this machine
    #[command(long_about = watch::WATCH_LONG)]
    Watch(Box<WatchArgs>),
    /// Forget what is remembered about a server
    #[command(long_about = client::FORGET_LONG)]
    Forget(ForgetArgs),
    /// Keep addresses under names, and take over other programs' bookmarks
    #[command(long_about = bookmark::BOOKMARK_LONG)]
    Bookmark(bookmark::BookmarkArgs),
    /// Find out why data connections do not come about, and who must act
    #[command(long_about = doctor::DOCTOR_LONG)]
    Doctor(Box<DoctorArgs>),
    /// Draw a session: hosts, ports, who opened which connection
    #[command(long_about = ladder::LADDER_LONG)]
    Ladder(LadderArgs),
    /// Interactive client; also what `ftp` and `pftp` start when wharf is installed under that name
    #[command(long_about = ftp::FTP_LONG)]
    Ftp(FtpArgs),
    /// The everyday language of lftp: at a prompt, or `wharf -c 'COMMANDS'`
    #[command(long_about = shell::SHELL_LONG)]
    Shell(Box<ShellArgs>),
    /// Print completions for bash, zsh, fish, elvish or powershell
    #[command(long_about = install::COMPLETIONS_LONG)]
    Completions(CompletionsArgs),
    /// Print a manual page
    #[command(long_about = install::MAN_LONG)]
    Man(ManArgs),
    /// Say what an error's code means
    Explain(ExplainArgs),
    /// Explain a command or a topic: modes, urls, login, profiles, proxies, exit-codes, environment, config, errors
    Help(HelpArgs),
}

/// Flags of `wharf explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Codes of errors, as `error[WF-0701]` has them; without one, all are listed
    #[arg(value_name = "CODE")]
    pub(crate) codes: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// A command, or one of: modes, urls, login, profiles, proxies, exit-codes, environment, config, errors
    pub(crate) topic: Vec<String>,
}

/// The parser of `wharf`.
pub(crate) fn wharf() -> clap::Command {
    // `mkdir -p` means what it means everywhere; there, passive has its long name only.
    let command = Cli::command().mut_subcommand("mkdir", |mkdir| {
        mkdir
            .mut_arg("passive", |arg| arg.short(None))
            .mut_arg("parents", |arg| arg.short('p'))
    });
    lenient_switches(examples::with_examples(command))
}

/// The parser of `ftp` and `pftp`, and of `wharf ftp` alone.
pub(crate) fn ftp(name: &'static str) -> clap::Command {
    lenient_switches(examples::of("ftp", FtpArgs::command()))
        .name(name)
        .bin_name(name)
}

/// The parser of `lftp`, and of `wharf shell` alone.
pub(crate) fn lftp() -> clap::Command {
    let command = clap::Command::new("lftp").version(env!("CARGO_PKG_VERSION"));
    lenient_switches(ShellArgs::augment_args(command).long_about(shell::SHELL_LONG))
}

/// Lets `WHARF_QUIET=0` mean "not quiet".
fn lenient_switches(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| {
            // A variable may hold an address with a password: help does not show values.
            let arg = arg.hide_env_values(true);
            if matches!(arg.get_action(), ArgAction::SetTrue) {
                arg.value_parser(FalseyValueParser::new())
            } else {
                arg
            }
        })
        .mut_subcommands(lenient_switches)
}

/// A user's name: printable enough to stand in a log line and in USER.
pub(crate) fn user_name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("a user's name must not be empty".to_owned());
    }
    if text.len() > 128 {
        return Err("a user's name may have at most 128 bytes".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("a user's name must not contain control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// The footer of every client command's long help.
pub(crate) fn client_footer() -> String {
    let mut text = String::from("Exit status:\n");
    for line in crate::exit::table_text().lines() {
        if !line.contains("server commands:") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_argument(command: &clap::Command, seen: &mut Vec<(String, clap::Arg)>) {
        for arg in command.get_arguments() {
            seen.push((command.get_name().to_owned(), arg.clone()));
        }
        for sub in command.get_subcommands() {
            every_argument(sub, seen);
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        wharf().debug_assert();
        ftp("ftp").debug_assert();
    }

    #[test]
    fn every_flag_has_its_variable_and_every_argument_its_help() {
        let mut seen = Vec::new();
        every_argument(&wharf(), &mut seen);
        for (command, arg) in seen {
            let id = arg.get_id().as_str();
            assert!(arg.get_help().is_some(), "{command}: {id} has no help");
            if arg.is_positional() || matches!(id, "help" | "version") {
                continue;
            }
            if matches!((command.as_str(), id), ("forget" | "remove", "all")) {
                continue; // said where it is defined
            }
            if matches!(
                id,
                "network_process" | "storage_worker" | "inherited" | "inherited_implicit"
            ) {
                continue; // between two processes of this program, not for people
            }
            if command == "doctor" && matches!(id, "server" | "ask" | "listen_for") {
                continue; // what is done, not how
            }
            let env = arg
                .get_env()
                .map(|name| name.to_string_lossy().into_owned());
            let long = arg.get_long().expect("every flag has a long form");
            let expected = format!("WHARF_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(env, Some(expected), "{command}: --{long}");
        }
    }
}
