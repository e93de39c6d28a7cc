//! `wharf help TOPIC`: what does not fit into a flag's description.

mod modes;
mod profiles;
mod proxies;

use std::fmt::Write as _;
use std::io::Write;

use clap::CommandFactory;

use crate::args::{self, Cli};
use crate::catalogue::{self, Cause};
use crate::config;
use crate::exit::{self, Exit, Failure};
use crate::language::Language;

/// One topic: name, and what makes its text.
type Topic = (&'static str, fn(Language) -> String);

const TOPICS: &[Topic] = &[
    ("modes", modes::text),
    ("urls", urls),
    ("login", |_| profiles::login()),
    ("profiles", |_| profiles::text()),
    ("proxies", |_| proxies::text()),
    ("exit-codes", exit_codes),
    ("environment", |_| environment()),
    ("config", |_| config::file::example()),
    ("errors", |_| catalogue::page()),
];

const URLS: &str = "\
Addresses

  ftp://[user[:password]@]host[:port]/path[;type=a|i|d]

user      without it: the login of ~/.netrc for that host, else anonymous
password  better elsewhere (`wharf help login`): arguments are visible to every user of the machine
host      name, IPv4 address, or [IPv6 address]
path      starts in the directory of the login; %2F or a second slash at its beginning makes it absolute:
          ftp://host/%2Fetc/motd. A slash at the end means a directory. Special characters, and any byte,
          are written as %NN: %20 is a space, %23 is #
;type=a   text: line ends are converted; ;type=i bytes as they are (default); ;type=d a directory

  bookmark:NAME[/path]      what `wharf bookmark` keeps under that name (`wharf help profiles`)
";

const CHINESE_URLS: &str = include_str!("../../messages/zh-CN/urls.txt");

fn urls(language: Language) -> String {
    match language {
        Language::English => URLS,
        Language::Chinese => CHINESE_URLS,
    }
    .to_owned()
}

fn exit_codes(language: Language) -> String {
    let mut text = format!("{}\n\n", language.told("Exit status"));
    for (exit, meaning) in exit::TABLE {
        let _ = writeln!(text, "{:>5}  {}", exit.code(), language.told(meaning));
    }
    text
}

fn environment() -> String {
    let mut names = std::collections::BTreeMap::new();
    collect(&Cli::command(), &mut names);
    let mut text = String::from(
        "Environment\n\nEvery flag has a variable; a flag beats it. Switches are off when the value is \
         empty, 0, false, no or off.\nFlags that may be repeated take several values with commas.\n\n",
    );
    for (name, flag) in names {
        let _ = writeln!(text, "  {name:<24} --{flag}");
    }
    text.push_str(
        "\nWithout a flag:\n\n  \
         WHARF_PASSWORD           the password, where --password-file is not given\n  \
         WHARF_LANG               language of messages: en, zh-CN; else LC_ALL, LC_MESSAGES, LANG\n  \
         WHARF_LOG                log level or rules, as --log-level; for client commands, too\n  \
         ftp_proxy, all_proxy     proxy, where --proxy is not given; also in capitals\n  \
         no_proxy                 hosts that are reached without it, where --no-proxy is not given\n  \
         NO_COLOR                 no colours\n  \
         CLICOLOR_FORCE           colours even when stderr is not a terminal\n  \
         NETRC                    file of logins instead of ~/.netrc\n  \
         XDG_CONFIG_HOME          wharf/users.toml there is the default of `wharf user --file`\n  \
         XDG_STATE_HOME           wharf/ways there remembers which ways to a data connection work\n  \
         WHARF_STATE_DIR          directory of the file `ways`, instead of that\n  \
         FTPMODE                  data mode of ftp and pftp: active, auto, passive; gate: through FTPSERVER\n  \
         FTPANONPASS              password of anonymous logins\n  \
         FTPPROMPT, FTPRPROMPT    prompt of ftp and pftp, and the one at the right: %m %M host, %n user, %/ directory\n  \
         FTPSERVER, FTPSERVERPORT gate of ftp and pftp (`gate`)\n  \
         PAGER, SHELL             programs of page, and of ! in ftp and pftp\n",
    );
    text
}

fn collect(command: &clap::Command, names: &mut std::collections::BTreeMap<String, String>) {
    for arg in command.get_arguments() {
        if let (Some(env), Some(long)) = (arg.get_env(), arg.get_long()) {
            names.insert(env.to_string_lossy().into_owned(), long.to_owned());
        }
    }
    for sub in command.get_subcommands() {
        collect(sub, names);
    }
}

/// Prints a topic, or a command's help, to stdout.
pub(crate) fn run(topic: &[String]) -> Result<(), Failure> {
    let text = match topic {
        [] => args::wharf().render_long_help().to_string(),
        [name] if TOPICS.iter().any(|(known, _)| known == name) => TOPICS
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, text)| text(Language::current()))
            .unwrap_or_default(),
        path => command_help(path)?,
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        // `wharf help config | head` is no failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::LocalFile,
            format!("cannot write to stdout: {error}"),
        )),
        _ => Ok(()),
    }
}

fn command_help(path: &[String]) -> Result<String, Failure> {
    let mut command = args::wharf();
    command.build();
    let mut found = &mut command;
    for word in path {
        match found.find_subcommand_mut(word) {
            Some(sub) => found = sub,
            None => {
                let topics: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
                return Err(
                    Failure::of(Cause::NoSuchWord, format!("no help on `{word}`"))
                        .with_hint(format!("a command, or one of: {}", topics.join(", "))),
                );
            }
        }
    }
    Ok(found.render_long_help().to_string())
}
