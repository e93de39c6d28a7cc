//! The commands: one row each. The table drives look-up, `help` and completion.

/// What a row does; `super::run` has one arm for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Alias,
    Cache,
    Cat,
    Cd,
    Chmod,
    Close,
    Cls,
    Command,
    Debug,
    Du,
    Echo,
    Edit,
    Eval,
    Exit,
    Fg,
    Find,
    Get,
    Glob,
    Help,
    History,
    Jobs,
    Kill,
    Lcd,
    Link,
    Local,
    LocalPwd,
    Ls,
    Mget,
    Mirror,
    Mkdir,
    Mmv,
    More,
    Mput,
    Mrm,
    Mv,
    Nlist,
    Open,
    Pget,
    Put,
    Pwd,
    Queue,
    Quote,
    /// Known from lftp and not done here, for this reason.
    Refused(&'static str),
    Repeat,
    Rm,
    Rmdir,
    Set,
    Site,
    Source,
    User,
    Version,
    Wait,
}

/// What the words behind a command are, for completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    Nothing,
    Remote,
    RemoteDirectories,
    Local,
    LocalDirectories,
    Commands,
    Settings,
    /// The first is remote, the second local, as mirror has it.
    RemoteThenLocal,
}

/// One command.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) action: Action,
    /// Names on the server may be others afterwards.
    pub(super) changes: bool,
    pub(super) words: Words,
    /// How it is written, without the name.
    pub(super) syntax: &'static str,
    pub(super) help: &'static str,
}

const fn row(
    name: &'static str,
    action: Action,
    words: Words,
    syntax: &'static str,
    help: &'static str,
) -> Row {
    Row {
        name,
        action,
        changes: false,
        words,
        syntax,
        help,
    }
}

const fn changes(
    name: &'static str,
    action: Action,
    words: Words,
    syntax: &'static str,
    help: &'static str,
) -> Row {
    Row {
        changes: true,
        ..row(name, action, words, syntax, help)
    }
}

/// Every command, sorted by name.
#[rustfmt::skip]
pub(super) const COMMANDS: &[Row] = &[
    row("!", Action::Local, Words::Nothing, "[command]", "run a command of the system, or its shell"),
    row("?", Action::Help, Words::Commands, "[command]", "list the commands, or explain one"),
    row("alias", Action::Alias, Words::Commands, "[name [value]]", "a name for commands; without a value the name is forgotten"),
    row("anon", Action::User, Words::Nothing, "", "be nobody: the anonymous user"),
    row("at", Action::Refused("the system's at(1) runs `wharf -c …` at a time"), Words::Nothing, "", "not offered"),
    row("attach", Action::Refused("nothing runs detached; `wharf queue` outlives the program"), Words::Nothing, "", "not offered"),
    row("bookmark", Action::Refused("the shell keeps no names for places; an alias can open one"), Words::Nothing, "", "not offered"),
    row("bye", Action::Exit, Words::Nothing, "[code|kill]", "end"),
    row("cache", Action::Cache, Words::Nothing, "[flush]", "forget the names that completion knows"),
    row("cat", Action::Cat, Words::Remote, "[-b] [-u] remote-file...", "write remote files to the output"),
    changes("cd", Action::Cd, Words::RemoteDirectories, "remote-directory", "change the remote directory; - is the one before"),
    changes("chmod", Action::Chmod, Words::Remote, "[-R] [-f] [-v] mode remote-file...", "permissions, in octal or as u+x"),
    changes("close", Action::Close, Words::Nothing, "[-a]", "end the session with the server; the next command begins another"),
    row("cls", Action::Cls, Words::Remote, "[-1aBdDFhiklqrsSt] [--sort=name|size|date] [name...]", "list in one format, whatever the server"),
    row("command", Action::Command, Words::Commands, "command", "do a command, whatever its alias says"),
    row("connect", Action::Open, Words::Nothing, "host", "as open"),
    row("debug", Action::Debug, Words::Nothing, "[level|off]", "show the dialogue with the server"),
    row("du", Action::Du, Words::Remote, "[-a] [-b|-k|-m|-h] [-s] [-S] [-c] [-d DEPTH] [directory...]", "how much there is in directories"),
    row("echo", Action::Echo, Words::Nothing, "[-n] text...", "write words to the output"),
    changes("edit", Action::Edit, Words::Remote, "[-k] [-o FILE] remote-file", "edit a remote file with $EDITOR"),
    row("eval", Action::Eval, Words::Commands, "[-f FORMAT] words...", "do the words as a command; $0, $1… and $@ in the format"),
    row("exit", Action::Exit, Words::Nothing, "[code|kill]", "end"),
    row("fg", Action::Fg, Words::Nothing, "[job]", "wait for a job"),
    row("find", Action::Find, Words::RemoteDirectories, "[-d DEPTH] [-l] [directory...]", "every name in directories and below"),
    row("fish", Action::Refused("FISH is not spoken here"), Words::Nothing, "", "not offered"),
    changes("get", Action::Get, Words::Remote, "[-c] [-e] [-E] [-a] [-O DIR] remote-file [-o FILE]...", "download files"),
    changes("get1", Action::Get, Words::Remote, "[-c] [-E] [-a] remote-file [-o FILE]", "download a file"),
    changes("glob", Action::Glob, Words::Commands, "[-a|-d|-f] [--exist|--not-exist] command pattern...", "a command with the names that fit, or whether any fits"),
    row("help", Action::Help, Words::Commands, "[command]", "list the commands, or explain one"),
    row("history", Action::History, Words::Nothing, "[-c] [count]", "the lines that were typed; -c forgets them"),
    row("jobs", Action::Jobs, Words::Nothing, "[-v] [job...]", "what runs beside"),
    row("kill", Action::Kill, Words::Nothing, "all|job...", "end jobs"),
    row("lcd", Action::Lcd, Words::LocalDirectories, "[local-directory]", "change the local directory; - is the one before"),
    row("less", Action::More, Words::Remote, "remote-file...", "read remote files with $PAGER"),
    row("lfind", Action::Local, Words::LocalDirectories, "[directory...]", "find(1)"),
    changes("link", Action::Link, Words::Remote, "target remote-link", "as ln -s"),
    row("lls", Action::Local, Words::Local, "[words...]", "ls(1)"),
    changes("ln", Action::Link, Words::Remote, "-s target remote-link", "make a symbolic link, where the server can (SITE SYMLINK)"),
    row("local", Action::Local, Words::Local, "command [words...]", "a command of the system"),
    row("lpwd", Action::LocalPwd, Words::Nothing, "", "show the local directory"),
    row("ls", Action::Ls, Words::Remote, "[options] [name...]", "list as the server does"),
    changes("mget", Action::Mget, Words::Remote, "[-c] [-d] [-e] [-E] [-a] [-O DIR] pattern...", "download the files that fit"),
    changes("mirror", Action::Mirror, Words::RemoteThenLocal, "[-R] [-e] [-n] [-r] [-p] [-L] [-P N] [-v] [-x RX] [-i RX] [-X GLOB] [-I GLOB] [options] [source [target]]", "make a local tree like a remote one, with -R the other way round"),
    changes("mkdir", Action::Mkdir, Words::RemoteDirectories, "[-p] [-f] directory...", "make directories; -p with their parents"),
    changes("mmv", Action::Mmv, Words::Remote, "[-O DIR] pattern... directory", "move the files that fit into a directory"),
    row("module", Action::Refused("everything is built in"), Words::Nothing, "", "not offered"),
    row("more", Action::More, Words::Remote, "remote-file...", "read remote files with $PAGER"),
    changes("mput", Action::Mput, Words::Local, "[-c] [-d] [-E] [-a] [-O DIR] pattern...", "upload the files that fit"),
    changes("mrm", Action::Mrm, Words::Remote, "[-r] [-f] pattern...", "remove the remote files that fit"),
    changes("mv", Action::Mv, Words::Remote, "remote-file new-name", "rename or move; a directory as new name keeps the name"),
    row("nlist", Action::Nlist, Words::RemoteDirectories, "[name]", "names as the server tells them (NLST)"),
    changes("open", Action::Open, Words::Nothing, "[-u USER[,PASS]] [-p PORT] [-e COMMAND] [host|url]", "choose a server, user and directory"),
    changes("pget", Action::Pget, Words::Remote, "[-n SEGMENTS] [-c] remote-file [-o FILE]", "download a file over several connections"),
    changes("put", Action::Put, Words::Local, "[-c] [-e] [-E] [-a] [-O DIR] local-file [-o NAME]...", "upload files"),
    row("pwd", Action::Pwd, Words::Nothing, "", "show the place on the server"),
    changes("queue", Action::Queue, Words::Commands, "[-n PLACE] [-d PLACE|PATTERN] [-m FROM [TO]] [-q] [start|stop|command]", "commands that are done one after the other, beside the others"),
    row("quit", Action::Exit, Words::Nothing, "[code|kill]", "end"),
    changes("quote", Action::Quote, Words::Nothing, "words...", "send a line as it is and show the reply"),
    row("recls", Action::Cls, Words::Remote, "[options] [name...]", "as cls; every listing is asked for anew"),
    changes("reget", Action::Get, Words::Remote, "remote-file [-o FILE]", "go on with a broken download"),
    row("rels", Action::Ls, Words::Remote, "[options] [name...]", "as ls; every listing is asked for anew"),
    row("renlist", Action::Nlist, Words::RemoteDirectories, "[name]", "as nlist; every listing is asked for anew"),
    changes("repeat", Action::Repeat, Words::Commands, "[-c COUNT] [--while-ok|--until-ok] [delay] command", "do a command again and again"),
    changes("reput", Action::Put, Words::Local, "local-file [-o NAME]", "go on with a broken upload"),
    changes("rm", Action::Rm, Words::Remote, "[-r] [-f] remote-file...", "remove files, with -r directories and all in them"),
    changes("rmdir", Action::Rmdir, Words::RemoteDirectories, "[-f] directory...", "remove empty directories"),
    row("scache", Action::Refused("sessions end with `close`"), Words::Nothing, "", "not offered"),
    row("set", Action::Set, Words::Settings, "[-a] [-d] [name[/host] [value]]", "settings; without a value the default"),
    row("shell", Action::Local, Words::Nothing, "[command]", "as !"),
    changes("site", Action::Site, Words::Nothing, "words...", "a command special to this server (SITE)"),
    row("slot", Action::Refused("jobs have sessions of their own"), Words::Nothing, "", "not offered"),
    changes("source", Action::Source, Words::Local, "file | -e command", "do the commands in a file, or those that a command writes"),
    row("suspend", Action::Refused("the terminal's Ctrl-Z stops the program while a command runs"), Words::Nothing, "", "not offered"),
    row("torrent", Action::Refused("BitTorrent is not spoken here"), Words::Nothing, "", "not offered"),
    row("user", Action::User, Words::Nothing, "name [password]", "log in as somebody"),
    row("version", Action::Version, Words::Nothing, "", "which version this is"),
    row("wait", Action::Wait, Words::Nothing, "[all|job]", "wait for a job, all of them without one; its status"),
    row("zcat", Action::Cat, Words::Remote, "remote-file...", "write remote files to the output, through zcat"),
    row("zmore", Action::More, Words::Remote, "remote-file...", "read compressed remote files with $PAGER"),
];

/// Why a word is no command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotFound {
    Unknown,
    Ambiguous(Vec<&'static str>),
}

/// The command a word stands for: its name, or the beginning of exactly one command's name.
pub(super) fn find(word: &[u8]) -> Result<&'static Row, NotFound> {
    let word = word.to_ascii_lowercase();
    if let Some(row) = COMMANDS.iter().find(|row| row.name.as_bytes() == word) {
        return Ok(row);
    }
    let fitting: Vec<&'static Row> = COMMANDS
        .iter()
        .filter(|row| row.name.as_bytes().starts_with(&word))
        .collect();
    match fitting.as_slice() {
        [] => Err(NotFound::Unknown),
        [first, rest @ ..] if rest.iter().all(|row| row.action == first.action) => Ok(first),
        several => Err(NotFound::Ambiguous(
            several.iter().map(|row| row.name).collect(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_unique() {
        let names: Vec<&str> = COMMANDS.iter().map(|row| row.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
    }

    #[test]
    fn unique_beginnings_are_enough() {
        for (word, expected) in [
            ("get", Ok("get")),
            ("GET", Ok("get")),
            ("mir", Ok("mirror")),
            ("qui", Ok("quit")),
            ("m", Err(true)),
            ("xyzzy", Err(false)),
        ] {
            let found = find(word.as_bytes())
                .map(|row| row.name)
                .map_err(|error| matches!(error, NotFound::Ambiguous(_)));
            assert_eq!(found, expected, "{word}");
        }
    }
}
