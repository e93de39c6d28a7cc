//! The commands of the interactive client: one row each. The table drives look-up with unique
//! prefixes, `help`, the prompting for missing arguments, the check for a connection, and what `proxy` may be said before.

use super::settings::Toggle;

/// What a row does; `super::run::execute` has one arm for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Account,
    Active,
    Append,
    Ascii,
    Auth,
    Auto,
    Binary,
    Buffer(Buffers),
    Bye,
    Cat,
    Ccc,
    Cd,
    Cdup,
    Chmod,
    Close,
    Delete,
    Dir,
    Epsv,
    Family(Family),
    Features,
    Fget,
    Form,
    Gate,
    Get,
    Hash,
    Help,
    Idle,
    LocalCd,
    LocalPage,
    LocalPwd,
    Macdef,
    Macro,
    Mdelete,
    Mdir(Listing),
    Mget,
    Mkdir,
    Mlst,
    Modtime,
    Mput,
    Mreget,
    NameMap,
    Newer,
    NameList,
    Open,
    OtherServer,
    Page,
    Paged(Listing),
    Passive,
    Prot,
    Put,
    Pwd,
    Quote,
    Rate,
    Reget,
    RawFacts,
    RemoteHelp,
    RemoteOptions,
    RemoteStatus,
    Rename,
    Reput,
    Reset,
    Restart,
    Rmdir,
    Sendport,
    Set,
    Shell,
    Site,
    Size,
    Status,
    Structure,
    System,
    Tenex,
    Tick,
    Toggle(Toggle),
    TransferMode,
    Translate,
    Type,
    Umask,
    Unset,
    Usage,
    User,
}

/// Which socket buffers a command sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffers {
    Both,
    Receive,
    Send,
}

/// Which addresses `open` uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Any,
    Ipv4,
    Ipv6,
}

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// Lines for people (LIST).
    Lines,
    /// Names (NLST).
    Names,
    /// Facts (MLSD).
    Facts,
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
    /// No other ftp has it: its beginnings do not make those of older commands ambiguous.
    pub(crate) own: bool,
    /// `proxy` may stand before it.
    pub(crate) proxied: bool,
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
        own: false,
        proxied: false,
    }
}

impl Row {
    const fn own(self) -> Self {
        Self { own: true, ..self }
    }

    /// About one control connection, so `proxy` can mean the other one.
    const fn per_server(self) -> Self {
        Self {
            proxied: true,
            ..self
        }
    }
}

const REMOTE: &[&str] = &["remote-file"];
const REMOTE_DIR: &[&str] = &["remote-directory"];
const LOCAL: &[&str] = &["local-file"];
const ON_OFF: &str = "[on|off]";
const LISTED: &str = "[remote-path [local-file]]";

/// Every command, sorted by name.
#[rustfmt::skip]
pub(crate) const COMMANDS: &[Row] = &[
    row("!", Action::Shell, false, &[], "[command]", "run a command of the system, or its shell"),
    row("$", Action::Macro, false, &["macro name"], "macro [argument]...", "execute a macro").per_server(),
    row("?", Action::Help, false, &[], "[command]...", "list the commands, or explain some").per_server(),
    row("account", Action::Account, true, &[], "[password]", "send the password of an account (ACCT); asked for when it is left out").per_server(),
    row("active", Action::Active, false, &[], "", "active data connections only").own(),
    row("append", Action::Append, true, LOCAL, "local-file [remote-file]", "add a file to the end of a remote file").per_server(),
    row("ascii", Action::Ascii, true, &[], "", "text: line ends are converted").per_server(),
    row("auth", Action::Auth, false, &[], "[tls]", "take the session into TLS (logs in anew); from then on TLS is required").own(),
    row("auto", Action::Auto, false, &[], "", "data connections find their own way: passive, then active").own(),
    row("bell", Action::Toggle(Toggle::Bell), false, &[], ON_OFF, "sound the bell after each file transfer"),
    row("binary", Action::Binary, true, &[], "", "bytes as they are").per_server(),
    row("bye", Action::Bye, false, &[], "", "say goodbye and end"),
    row("case", Action::Toggle(Toggle::Case), false, &[], ON_OFF, "mget and get: names in capital letters become small").per_server(),
    row("cat", Action::Cat, true, REMOTE, "remote-file...", "show a remote file").own(),
    row("ccc", Action::Ccc, true, &[], "", "take the control connection out of TLS, for a firewall or NAT that must read it; data stays in TLS").own(),
    row("cd", Action::Cd, true, REMOTE_DIR, "remote-directory", "change the remote directory").per_server(),
    row("cdup", Action::Cdup, true, &[], "", "change to the remote parent directory").per_server(),
    row("chmod", Action::Chmod, true, &["mode", "remote-file"], "mode remote-file...", "change the permissions of remote files (SITE CHMOD)").per_server(),
    row("close", Action::Close, false, &[], "", "say goodbye, keep the program").per_server(),
    row("cr", Action::Toggle(Toggle::Cr), false, &[], ON_OFF, "text: take the carriage return off line ends").per_server(),
    row("debug", Action::Toggle(Toggle::Debug), false, &[], "[on|off|level]", "show the commands that are sent"),
    row("delete", Action::Delete, true, REMOTE, "remote-file...", "delete remote files").per_server(),
    row("dir", Action::Dir, true, &[], LISTED, "list a remote directory").per_server(),
    row("disconnect", Action::Close, false, &[], "", "say goodbye, keep the program").per_server(),
    row("edit", Action::Toggle(Toggle::Edit), false, &[], ON_OFF, "line editing with history and completion"),
    row("epsv", Action::Epsv, false, &[], ON_OFF, "EPSV and EPRT, with servers of both families"),
    row("epsv4", Action::Epsv, false, &[], ON_OFF, "EPSV and EPRT with IPv4 servers"),
    row("epsv6", Action::Epsv, false, &[], ON_OFF, "EPSV and EPRT with IPv6 servers"),
    row("exit", Action::Bye, false, &[], "", "say goodbye and end"),
    row("features", Action::Features, true, &[], "", "what the server can do (FEAT)").per_server(),
    row("fget", Action::Fget, true, &["localfile"], "local-file", "download the files whose names stand in a local file, one a line"),
    row("form", Action::Form, false, &[], "[non-print]", "show the format of text; there is one").per_server(),
    row("ftp", Action::Open, false, &["to"], "host [port] | address", "connect and log in").per_server(),
    row("gate", Action::Gate, false, &[], "[on|off|host [port]]", "connect through a gate (PASSERVE)"),
    row("get", Action::Get, true, REMOTE, "remote-file [local-file]", "download a file").per_server(),
    row("glob", Action::Toggle(Toggle::Glob), false, &[], ON_OFF, "wildcards in mget, mput, mdelete").per_server(),
    row("hash", Action::Hash, false, &[], "[on|off|size]", "show # for each so many bytes of a transfer").per_server(),
    row("help", Action::Help, false, &[], "[command]...", "list the commands, or explain some").per_server(),
    row("idle", Action::Idle, true, &[], "[seconds]", "show or set the server's idle time (SITE IDLE)").per_server(),
    row("image", Action::Binary, true, &[], "", "bytes as they are").per_server(),
    row("ipany", Action::Family(Family::Any), false, &[], "", "open: addresses of both families"),
    row("ipv4", Action::Family(Family::Ipv4), false, &[], "", "open: IPv4 addresses only"),
    row("ipv6", Action::Family(Family::Ipv6), false, &[], "", "open: IPv6 addresses only"),
    row("lcd", Action::LocalCd, false, &[], "[local-directory]", "change the local directory"),
    row("less", Action::Page, true, REMOTE, "remote-file...", "show remote files a page at a time").per_server(),
    row("lpage", Action::LocalPage, false, LOCAL, "local-file...", "show local files a page at a time"),
    row("lpwd", Action::LocalPwd, false, &[], "", "show the local directory"),
    row("ls", Action::Dir, true, &[], LISTED, "list a remote directory").per_server(),
    row("macdef", Action::Macdef, false, &["macro name"], "macro", "define a macro; an empty line ends it"),
    row("mdelete", Action::Mdelete, true, &["remote-files"], "remote-file...", "delete several remote files").per_server(),
    row("mdir", Action::Mdir(Listing::Lines), true, &["remote-files"], "remote-path... local-file", "list several remote directories into a local file").per_server(),
    row("mget", Action::Mget, true, &["remote-files"], "remote-file...", "download several files").per_server(),
    row("mkdir", Action::Mkdir, true, &["directory-name"], "remote-directory", "make a remote directory").per_server(),
    row("mls", Action::Mdir(Listing::Names), true, &["remote-files"], "remote-path... local-file", "list the names of several remote directories into a local file").per_server(),
    row("mlsd", Action::RawFacts, true, &[], "[remote-path]", "list a remote directory for machines (MLSD)").per_server(),
    row("mlst", Action::Mlst, true, &[], "[remote-path]", "what the server knows about one name (MLST)").per_server(),
    row("mode", Action::TransferMode, false, &[], "[stream]", "show the transfer mode; there is one").per_server(),
    row("modtime", Action::Modtime, true, REMOTE, "remote-file...", "when remote files were last changed").per_server(),
    row("more", Action::Page, true, REMOTE, "remote-file...", "show remote files a page at a time").per_server(),
    row("mput", Action::Mput, true, &["local-files"], "local-file...", "upload several files").per_server(),
    row("mreget", Action::Mreget, true, &["remote-files"], "remote-file...", "go on with several broken downloads").per_server(),
    row("msend", Action::Mput, true, &["local-files"], "local-file...", "upload several files").per_server(),
    row("newer", Action::Newer, true, REMOTE, "remote-file [local-file]", "download a file if the remote one is newer").per_server(),
    row("nlist", Action::NameList, true, &[], LISTED, "list the names of a remote directory (NLST)").per_server(),
    row("nmap", Action::NameMap, false, &[], "[in-pattern out-pattern]", "how names become other names").per_server(),
    row("ntrans", Action::Translate, false, &[], "[in-letters [out-letters]]", "which letters of names become others").per_server(),
    row("open", Action::Open, false, &["to"], "host [port] | address", "connect and log in").per_server(),
    row("page", Action::Page, true, REMOTE, "remote-file...", "show remote files a page at a time").per_server(),
    row("passive", Action::Passive, false, &[], "[on|off|auto]", "passive data connections only").per_server(),
    row("pdir", Action::Paged(Listing::Lines), true, &[], "[remote-path]", "list a remote directory a page at a time").per_server(),
    row("pls", Action::Paged(Listing::Lines), true, &[], "[remote-path]", "list a remote directory a page at a time").per_server(),
    row("pmlsd", Action::Paged(Listing::Facts), true, &[], "[remote-path]", "list a remote directory for machines, a page at a time").per_server(),
    row("preserve", Action::Toggle(Toggle::Preserve), false, &[], ON_OFF, "copies get the time of the original").per_server(),
    row("progress", Action::Toggle(Toggle::Progress), false, &[], ON_OFF, "progress bars"),
    row("prompt", Action::Toggle(Toggle::Prompt), false, &[], ON_OFF, "ask for each file in mget, mput, mdelete"),
    row("prot", Action::Prot, true, &[], "[p|c]", "show or set whether data connections are in TLS (p) or in clear (c)").own(),
    row("proxy", Action::OtherServer, false, &["command"], "command [argument]...", "do it on a second server; get and put move files between the two"),
    row("put", Action::Put, true, LOCAL, "local-file [remote-file]", "upload a file").per_server(),
    row("pwd", Action::Pwd, true, &[], "", "show the remote directory").per_server(),
    row("quit", Action::Bye, false, &[], "", "say goodbye and end"),
    row("quote", Action::Quote, true, &["command line to send"], "word...", "send a line as it is").per_server(),
    row("rate", Action::Rate, false, &[], "[get|put|all [bytes [step]]]", "show or set how fast transfers may be, bytes a second; SIGUSR1 and SIGUSR2 change it by the step"),
    row("rcvbuf", Action::Buffer(Buffers::Receive), false, &[], "[bytes]", "show or set the receive buffer of sockets"),
    row("recv", Action::Get, true, REMOTE, "remote-file [local-file]", "download a file").per_server(),
    row("reget", Action::Reget, true, REMOTE, "remote-file [local-file]", "go on with a broken download").per_server(),
    row("remopts", Action::RemoteOptions, true, &["command"], "command [options]", "set an option of the server for a command (OPTS)").per_server(),
    row("rename", Action::Rename, true, &["from-name", "to-name"], "from-name to-name", "rename a remote file").per_server(),
    row("reput", Action::Reput, true, LOCAL, "local-file [remote-file]", "go on with a broken upload").own(),
    row("reset", Action::Reset, true, &[], "", "come in step with the server again").per_server(),
    row("restart", Action::Restart, true, &[], "[offset]", "where the next get or put begins").per_server(),
    row("rhelp", Action::RemoteHelp, true, &[], "[command]", "help of the server").per_server(),
    row("rmdir", Action::Rmdir, true, &["directory-name"], "remote-directory...", "remove a remote directory").per_server(),
    row("rstatus", Action::RemoteStatus, true, &[], "[remote-path]", "state of the server, or a listing in its reply (STAT)").per_server(),
    row("runique", Action::Toggle(Toggle::Runique), false, &[], ON_OFF, "downloads never replace a local file: a number is added").per_server(),
    row("send", Action::Put, true, LOCAL, "local-file [remote-file]", "upload a file").per_server(),
    row("sendport", Action::Sendport, false, &[], "[on]", "PORT before active transfers; always on"),
    row("set", Action::Set, false, &[], "[option value]", "show or set an option: anonpass, ftp_proxy, no_proxy, pager, prompt, rprompt"),
    row("site", Action::Site, true, &["arguments to SITE command"], "word...", "a command special to this server (SITE)").per_server(),
    row("size", Action::Size, true, REMOTE, "remote-file...", "size of remote files").per_server(),
    row("sndbuf", Action::Buffer(Buffers::Send), false, &[], "[bytes]", "show or set the send buffer of sockets"),
    row("status", Action::Status, false, &[], "", "state of this program").per_server(),
    row("struct", Action::Structure, false, &[], "[file]", "show the structure of files; there is one").per_server(),
    row("sunique", Action::Toggle(Toggle::Sunique), false, &[], ON_OFF, "uploads never replace a remote file (STOU)").per_server(),
    row("system", Action::System, true, &[], "", "kind of the server's system (SYST)").per_server(),
    row("tenex", Action::Tenex, true, &[], "", "bytes as they are, for machines with other words (TYPE L 8)").per_server(),
    row("throttle", Action::Rate, false, &[], "[get|put|all [bytes [step]]]", "the same as rate"),
    row("tick", Action::Tick, false, &[], ON_OFF, "count the bytes of a transfer in one place"),
    row("trace", Action::Toggle(Toggle::Trace), false, &[], ON_OFF, "show data connections, too"),
    row("type", Action::Type, true, &[], "[ascii|binary|image|tenex]", "show or set the representation type").per_server(),
    row("umask", Action::Umask, true, &[], "[mask]", "show or set the server's umask (SITE UMASK)").per_server(),
    row("unset", Action::Unset, false, &["option"], "option", "take back an option that was set"),
    row("usage", Action::Usage, false, &[], "[command]...", "how commands are written"),
    row("user", Action::User, false, &["username"], "user [password [account]]", "log in as somebody").per_server(),
    row("verbose", Action::Toggle(Toggle::Verbose), false, &[], ON_OFF, "show the server's replies"),
    row("xferbuf", Action::Buffer(Buffers::Both), false, &[], "[bytes]", "show or set both buffers of sockets"),
];

/// Why a word is no command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotFound {
    Unknown,
    Ambiguous(Vec<&'static str>),
}

/// The command a word stands for: its name, or the beginning of exactly one command's name. Several
/// names of one command are not ambiguous, and what no other ftp has yields to what they have.
pub(crate) fn find(word: &[u8]) -> Result<&'static Row, NotFound> {
    let word = word.to_ascii_lowercase();
    if let Some(row) = COMMANDS.iter().find(|row| row.name.as_bytes() == word) {
        return Ok(row);
    }
    let fitting = |own: bool| -> Vec<&'static Row> {
        let rows = COMMANDS.iter().filter(|row| row.own == own);
        rows.filter(|row| row.name.as_bytes().starts_with(&word))
            .collect()
    };
    let mut rows = fitting(false);
    if rows.is_empty() {
        rows = fitting(true);
    }
    match rows.as_slice() {
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

    /// Every command of tnftp, inetutils' ftp and netkit's ftp.
    #[test]
    fn whatever_the_others_have_is_here() {
        let known = "! $ account append ascii bell binary bye case cd cdup chmod close cr debug delete dir disconnect edit epsv \
                     epsv4 epsv6 exit features fget form ftp gate get glob hash help idle image ipany ipv4 ipv6 lcd less lpage \
                     lpwd ls macdef mdelete mdir mget mkdir mls mlsd mlst mode modtime more mput mreget msend newer nlist nmap \
                     ntrans open page passive pdir pls pmlsd preserve progress prompt proxy put pwd quit quote rate rcvbuf recv \
                     reget remopts rename reset restart rhelp rmdir rstatus runique send sendport set site size sndbuf status \
                     struct sunique system tenex throttle tick trace type umask unset usage user verbose xferbuf ?";
        for name in known.split_whitespace() {
            let row = find(name.as_bytes()).unwrap();
            assert_eq!((row.name, row.own), (name, false));
        }
        assert_eq!(
            COMMANDS.iter().filter(|row| !row.own).count(),
            known.split_whitespace().count()
        );
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
            // Of this program alone: no obstacle to what fingers know.
            ("ac", Ok(Action::Account)),
            ("cas", Ok(Action::Toggle(Toggle::Case))),
            ("au", Err(true)),
            ("acti", Ok(Action::Active)),
            ("bi", Ok(Action::Binary)),
            ("by", Ok(Action::Bye)),
            ("pas", Ok(Action::Passive)),
            ("prom", Ok(Action::Toggle(Toggle::Prompt))),
            ("pro", Err(true)),
            ("st", Err(true)),
            ("mg", Ok(Action::Mget)),
            ("mp", Ok(Action::Mput)),
        ] {
            let found = find(word.as_bytes())
                .map(|row| row.action)
                .map_err(|error| matches!(error, NotFound::Ambiguous(_)));
            assert_eq!(found, expected, "{word}");
        }
    }
}
