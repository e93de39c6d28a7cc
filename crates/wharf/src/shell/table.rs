//! The commands of the interactive client: one row each. The table drives look-up with unique
//! prefixes, `help`, the prompting for missing arguments and the check for a connection.

/// What a row does; `super::run::execute` has one arm for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Active,
    Append,
    Ascii,
    Auth,
    Auto,
    Binary,
    Bye,
    Cat,
    Ccc,
    Cd,
    Cdup,
    Chmod,
    Close,
    Debug,
    Delete,
    Dir,
    Features,
    Get,
    Glob,
    Help,
    Idle,
    LocalCd,
    LocalPwd,
    Mdelete,
    Mget,
    Mkdir,
    Modtime,
    Mput,
    NameList,
    Open,
    Passive,
    Progress,
    Prompt,
    Prot,
    Put,
    Pwd,
    Quote,
    Reget,
    RemoteHelp,
    Rename,
    Reput,
    Rmdir,
    Shell,
    Site,
    Size,
    Status,
    System,
    Type,
    User,
    Verbose,
}

/// One command.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) action: Action,
    /// Needs a control connection.
    pub(crate) connected: bool,
    /// Arguments that must be there; missing ones are asked for by these words.
    pub(crate) required: &'static [&'static str],
    /// How it is written, without the name.
    pub(crate) syntax: &'static str,
    pub(crate) help: &'static str,
}

const fn row(
    name: &'static str,
    action: Action,
    connected: bool,
    required: &'static [&'static str],
    syntax: &'static str,
    help: &'static str,
) -> Row {
    Row {
        name,
        action,
        connected,
        required,
        syntax,
        help,
    }
}

const REMOTE: &[&str] = &["remote-file"];
const REMOTE_DIR: &[&str] = &["remote-directory"];
const LOCAL: &[&str] = &["local-file"];

/// Every command, sorted by name.
#[rustfmt::skip]
pub(crate) const COMMANDS: &[Row] = &[
    row("!", Action::Shell, false, &[], "[command]", "run a command of the system, or its shell"),
    row("?", Action::Help, false, &[], "[command]", "list the commands, or explain one"),
    row("active", Action::Active, false, &[], "", "active data connections only"),
    row("append", Action::Append, true, LOCAL, "local-file [remote-file]", "add a file to the end of a remote file"),
    row("ascii", Action::Ascii, true, &[], "", "text: line ends are converted"),
    row("auth", Action::Auth, false, &[], "[tls]", "take the session into TLS (logs in anew); from then on TLS is required"),
    row("auto", Action::Auto, false, &[], "", "data connections find their own way: passive, then active"),
    row("binary", Action::Binary, true, &[], "", "bytes as they are"),
    row("bye", Action::Bye, false, &[], "", "say goodbye and end"),
    row("cat", Action::Cat, true, REMOTE, "remote-file...", "show a remote file"),
    row("ccc", Action::Ccc, true, &[], "", "take the control connection out of TLS, for a firewall or NAT that must read it; data stays in TLS"),
    row("cd", Action::Cd, true, REMOTE_DIR, "remote-directory", "change the remote directory"),
    row("cdup", Action::Cdup, true, &[], "", "change to the remote parent directory"),
    row("chmod", Action::Chmod, true, &["mode", "remote-file"], "mode remote-file", "change a remote file's permissions"),
    row("close", Action::Close, true, &[], "", "end the session, stay in the program"),
    row("debug", Action::Debug, false, &[], "[on|off]", "show the commands sent"),
    row("delete", Action::Delete, true, REMOTE, "remote-file", "delete a remote file"),
    row("dir", Action::Dir, true, &[], "[remote-path [local-file]]", "list a remote directory"),
    row("disconnect", Action::Close, true, &[], "", "end the session, stay in the program"),
    row("exit", Action::Bye, false, &[], "", "say goodbye and end"),
    row("features", Action::Features, true, &[], "", "what the server can do (FEAT)"),
    row("get", Action::Get, true, REMOTE, "remote-file [local-file]", "download a file"),
    row("glob", Action::Glob, false, &[], "[on|off]", "wildcards in mget, mput, mdelete"),
    row("help", Action::Help, false, &[], "[command]", "list the commands, or explain one"),
    row("idle", Action::Idle, true, &[], "[seconds]", "show or set the server's idle time (SITE IDLE)"),
    row("image", Action::Binary, true, &[], "", "bytes as they are"),
    row("lcd", Action::LocalCd, false, &[], "[local-directory]", "change the local directory"),
    row("lpwd", Action::LocalPwd, false, &[], "", "show the local directory"),
    row("ls", Action::Dir, true, &[], "[remote-path [local-file]]", "list a remote directory"),
    row("mdelete", Action::Mdelete, true, &["remote-files"], "remote-file...", "delete several remote files"),
    row("mget", Action::Mget, true, &["remote-files"], "remote-file...", "download several files"),
    row("mkdir", Action::Mkdir, true, &["directory-name"], "remote-directory", "make a remote directory"),
    row("modtime", Action::Modtime, true, REMOTE, "remote-file", "when a remote file was last changed"),
    row("mput", Action::Mput, true, &["local-files"], "local-file...", "upload several files"),
    row("nlist", Action::NameList, true, &[], "[remote-path [local-file]]", "list the names of a remote directory (NLST)"),
    row("open", Action::Open, false, &["to"], "host [port] | address", "connect and log in"),
    row("passive", Action::Passive, false, &[], "[on|off|auto]", "passive data connections only"),
    row("progress", Action::Progress, false, &[], "[on|off]", "progress bars"),
    row("prompt", Action::Prompt, false, &[], "[on|off]", "ask for each file in mget, mput, mdelete"),
    row("prot", Action::Prot, true, &[], "[p|c]", "show or set whether data connections are in TLS (p) or in clear (c)"),
    row("put", Action::Put, true, LOCAL, "local-file [remote-file]", "upload a file"),
    row("pwd", Action::Pwd, true, &[], "", "show the remote directory"),
    row("quit", Action::Bye, false, &[], "", "say goodbye and end"),
    row("quote", Action::Quote, true, &["command line to send"], "word...", "send a line as it is"),
    row("recv", Action::Get, true, REMOTE, "remote-file [local-file]", "download a file"),
    row("reget", Action::Reget, true, REMOTE, "remote-file [local-file]", "go on with a broken download"),
    row("rename", Action::Rename, true, &["from-name", "to-name"], "from-name to-name", "rename a remote file"),
    row("reput", Action::Reput, true, LOCAL, "local-file [remote-file]", "go on with a broken upload"),
    row("rhelp", Action::RemoteHelp, true, &[], "[command]", "help of the server"),
    row("rmdir", Action::Rmdir, true, &["directory-name"], "remote-directory", "remove a remote directory"),
    row("rstatus", Action::Status, true, &[], "", "state of the server (STAT)"),
    row("send", Action::Put, true, LOCAL, "local-file [remote-file]", "upload a file"),
    row("site", Action::Site, true, &["arguments to SITE command"], "word...", "a command special to this server (SITE)"),
    row("size", Action::Size, true, REMOTE, "remote-file", "size of a remote file"),
    row("status", Action::Status, false, &[], "", "state of this program, and of the server"),
    row("system", Action::System, true, &[], "", "kind of the server's system (SYST)"),
    row("type", Action::Type, true, &[], "[ascii|binary|image]", "show or set the representation type"),
    row("user", Action::User, true, &["username"], "user [password [account]]", "log in as somebody"),
    row("verbose", Action::Verbose, false, &[], "[on|off]", "show the server's replies"),
];

/// Why a word is no command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotFound {
    Unknown,
    Ambiguous(Vec<&'static str>),
}

/// The command a word stands for: its name, or the beginning of exactly one command's name. Several
/// names of one command are not ambiguous.
pub(crate) fn find(word: &[u8]) -> Result<&'static Row, NotFound> {
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
            ("get", Ok(Action::Get)),
            ("GET", Ok(Action::Get)),
            ("ge", Ok(Action::Get)),
            ("qui", Ok(Action::Bye)),
            ("dis", Ok(Action::Close)),
            ("l", Err(true)),
            ("p", Err(true)),
            ("xyzzy", Err(false)),
        ] {
            let found = find(word.as_bytes())
                .map(|row| row.action)
                .map_err(|error| matches!(error, NotFound::Ambiguous(_)));
            assert_eq!(found, expected, "{word}");
        }
    }
}
