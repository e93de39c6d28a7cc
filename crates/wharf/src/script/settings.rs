//! lftp's settings: which of them mean something here, which are accepted because wharf does by itself what they ask for, and
//! which are refused because a script that sets them would not get what it asked for. The table is the documentation
//! (docs/shell.md is made from it).

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;

use wharf_client::{DataHost, DataModeChoice, FamilyChoice, Options, TlsChoice};
use wharf_net::RateLimit;

use super::pattern;
use crate::exit::Failure;

/// What becomes of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It does what it does in lftp.
    Works,
    /// Accepted; what is said here holds anyway.
    Accepted,
    /// Refused; what is said here is the reason.
    Refused,
}

/// One setting.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: &'static str,
    pub(super) effect: Effect,
    pub(super) meaning: &'static str,
}

/// What its value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Switch,
    Number,
    /// `30`, `1m`, `2h30m`, `never`.
    Time,
    /// Bytes a second, `down:up`; `100k`, `2M`.
    Rate,
    Text,
}

const fn works(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: &'static str,
) -> Row {
    Row {
        name,
        kind,
        default,
        effect: Effect::Works,
        meaning,
    }
}

const fn accepted(name: &'static str, default: &'static str, meaning: &'static str) -> Row {
    Row {
        name,
        kind: Kind::Text,
        default,
        effect: Effect::Accepted,
        meaning,
    }
}

const fn refused(name: &'static str, default: &'static str, meaning: &'static str) -> Row {
    Row {
        name,
        kind: Kind::Text,
        default,
        effect: Effect::Refused,
        meaning,
    }
}

const AUTOMATIC: &str = "wharf finds out by itself what the server can do";
const LINE: &str = "the line editor's own matter";

/// Every setting that is known, sorted by name.
#[rustfmt::skip]
pub(super) const SETTINGS: &[Row] = &[
    works("cmd:at-exit", Kind::Text, "", "commands done before the shell ends"),
    accepted("cmd:cls-completion-default", "-FBa", LINE),
    works("cmd:cls-default", Kind::Text, "", "options of `cls` where none are given"),
    accepted("cmd:cls-exact-time", "yes", "times are as exact as the server tells them"),
    accepted("cmd:csh-history", "off", LINE),
    works("cmd:default-protocol", Kind::Text, "ftp", "scheme of `open HOST`: ftp, ftpes or ftps"),
    works("cmd:fail-exit", Kind::Switch, "no", "a failed command ends the script, unless || follows it"),
    works("cmd:interactive", Kind::Switch, "auto", "whether a person is told what happened"),
    accepted("cmd:long-running", "30", "nothing beeps"),
    works("cmd:ls-default", Kind::Text, "", "options of `ls` where none are given"),
    accepted("cmd:move-background", "yes", "jobs that run at the end are waited for"),
    accepted("cmd:move-background-detach", "yes", "jobs that run at the end are waited for"),
    refused("cmd:parallel", "1", "commands of a script run one after the other; & runs one beside them"),
    works("cmd:prompt", Kind::Text, "wharf \\S\\? \\u\\@\\h:\\w> ", "prompt: \\h host, \\u user, \\w directory, \\W its last part, \\l local directory, \\S, \\@ and \\? as in lftp"),
    works("cmd:queue-parallel", Kind::Number, "1", "commands of the queue that run at a time"),
    works("cmd:remote-completion", Kind::Switch, "on", "the tab key asks the server for names"),
    accepted("cmd:save-cwd-history", "yes", "a session begins where its address says"),
    accepted("cmd:save-rl-history", "yes", LINE),
    accepted("cmd:set-term-status", "no", "the terminal's title is left alone"),
    accepted("cmd:term-status", "", "the terminal's title is left alone"),
    accepted("cmd:time-style", "", "times are shown as year, month, day, hour and minute"),
    works("cmd:trace", Kind::Switch, "no", "every command is shown on stderr before it is done"),
    works("cmd:verbose", Kind::Switch, "no", "what is done is told in scripts, too"),
    accepted("cmd:verify-host", "yes", "a name is looked up when it is connected to"),
    accepted("cmd:verify-path", "yes", "`cd` always asks the server"),
    accepted("cmd:verify-path-cached", "no", "`cd` always asks the server"),
    accepted("color:dir-colors", "", "listings have no colours"),
    accepted("color:use-color", "auto", "NO_COLOR and the terminal decide"),
    accepted("dns:cache-enable", "yes", "the system's resolver decides"),
    accepted("dns:cache-expire", "1h", "the system's resolver decides"),
    accepted("dns:fatal-timeout", "7d", "net:timeout holds for names, too"),
    accepted("dns:max-retries", "1000", "net:max-retries holds for names, too"),
    works("dns:order", Kind::Text, "inet6 inet", "`inet`: only IPv4, `inet6`: only IPv6"),
    accepted("dns:use-fork", "yes", "names are looked up beside everything else"),
    accepted("file:charset", "", "names on this machine are bytes"),
    works("ftp:anon-pass", Kind::Text, "", "password of the anonymous user"),
    works("ftp:anon-user", Kind::Text, "anonymous", "name of the anonymous user"),
    accepted("ftp:auto-passive-mode", "yes", "wharf tries every way to a data connection unless ftp:passive-mode is set"),
    accepted("ftp:auto-sync-mode", "", "wharf waits for every reply where it must"),
    accepted("ftp:bind-data-socket", "yes", "data connections come from where the control connection comes from"),
    refused("ftp:charset", "", "the shell cannot convert names"),
    accepted("ftp:client", "", "wharf does not tell servers its name"),
    accepted("ftp:fix-pasv-address", "yes", "data connections go where the control connection goes; see ftp:ignore-pasv-address"),
    accepted("ftp:fxp-force", "no", "files between two servers come through this machine"),
    accepted("ftp:fxp-passive-source", "no", "files between two servers come through this machine"),
    refused("ftp:home", "", "cd says where"),
    works("ftp:ignore-pasv-address", Kind::Switch, "yes", "`no`: data connections go to the address in the reply to PASV"),
    accepted("ftp:list-empty-ok", "no", "an empty listing is one"),
    works("ftp:list-options", Kind::Text, "", "options of LIST where `ls` has none: `-a`"),
    accepted("ftp:mode-z-level", "6", "transfers are not compressed"),
    works("ftp:nop-interval", Kind::Time, "30", "`never`: a person's session is not kept awake with NOOP"),
    works("ftp:passive-mode", Kind::Switch, "auto", "`on`: only passive data connections, `off`: only active ones; unset: whatever works"),
    works("ftp:port-ipv4", Kind::Text, "", "address told to the server in active mode"),
    works("ftp:port-range", Kind::Text, "full", "local ports of active data connections: `LO-HI`"),
    works("ftp:prefer-epsv", Kind::Switch, "auto", "`off` with passive mode: PASV only"),
    refused("ftp:proxy", "", "--proxy and the environment say which proxy leads to a server (`wharf help proxies`)"),
    refused("ftp:proxy-auth-type", "", "--proxy and the environment say which proxy leads to a server (`wharf help proxies`)"),
    accepted("ftp:rest-list", "no", "listings are asked for anew"),
    accepted("ftp:rest-stor", "yes", "APPE is used where REST is refused"),
    accepted("ftp:retry-530", "", "a login that is refused is not repeated; too many connections are waited for"),
    accepted("ftp:retry-530-anonymous", "", "a login that is refused is not repeated"),
    refused("ftp:site", "", "`site` sends one when it is wanted"),
    refused("ftp:site-group", "", "SITE GROUP is not known here"),
    refused("ftp:skey-allow", "yes", "S/Key is not known here"),
    refused("ftp:skey-force", "no", "S/Key is not known here"),
    works("ftp:ssl-allow", Kind::Switch, "auto", "`no`: never TLS; `yes`: TLS where it is offered; unset: as --tls says"),
    accepted("ftp:ssl-allow-anonymous", "yes", "ftp:ssl-allow holds for everybody"),
    accepted("ftp:ssl-auth", "TLS", "AUTH TLS"),
    accepted("ftp:ssl-copy-sid", "yes", "data connections always resume the TLS session"),
    accepted("ftp:ssl-data-use-keys", "yes", "the certificate is shown where it is asked for"),
    works("ftp:ssl-force", Kind::Switch, "no", "TLS or nothing"),
    accepted("ftp:ssl-protect-data", "yes", "data connections are in TLS where the control connection is"),
    accepted("ftp:ssl-protect-fxp", "yes", "files between two servers come through this machine"),
    accepted("ftp:ssl-protect-list", "yes", "as ftp:ssl-protect-data"),
    accepted("ftp:ssl-shutdown-timeout", "5", "a second"),
    works("ftp:ssl-use-ccc", Kind::Switch, "no", "the control connection leaves TLS after the login"),
    accepted("ftp:stat-interval", "1", "a running transfer is counted here"),
    accepted("ftp:strict-multiline", "off", "replies are read tolerantly"),
    accepted("ftp:sync-mode", "auto", "wharf waits for every reply where it must"),
    refused("ftp:timezone", "GMT", "times of MLSD and MDTM are in UTC; wharf learns the zone of listings"),
    accepted("ftp:trust-feat", "no", AUTOMATIC),
    accepted("ftp:use-abor", "yes", AUTOMATIC),
    accepted("ftp:use-allo", "yes", AUTOMATIC),
    accepted("ftp:use-feat", "yes", AUTOMATIC),
    accepted("ftp:use-fxp", "yes", "files between two servers come through this machine"),
    accepted("ftp:use-hftp", "yes", "`wharf help proxies` tells which there are"),
    accepted("ftp:use-ip-tos", "yes", "the system decides"),
    accepted("ftp:use-mdtm", "yes", AUTOMATIC),
    accepted("ftp:use-mdtm-overloaded", "no", AUTOMATIC),
    accepted("ftp:use-mlsd", "yes", AUTOMATIC),
    accepted("ftp:use-mode-z", "no", "transfers are not compressed"),
    accepted("ftp:use-pret", "auto", AUTOMATIC),
    accepted("ftp:use-quit", "yes", "a session ends with QUIT"),
    accepted("ftp:use-site-chmod", "yes", AUTOMATIC),
    accepted("ftp:use-site-idle", "no", "sessions are kept awake with NOOP"),
    accepted("ftp:use-site-utime", "yes", AUTOMATIC),
    accepted("ftp:use-site-utime2", "yes", AUTOMATIC),
    accepted("ftp:use-size", "yes", AUTOMATIC),
    accepted("ftp:use-stat", "yes", "a running transfer is counted here"),
    accepted("ftp:use-stat-for-list", "no", "listings come over data connections"),
    accepted("ftp:use-telnet-iac", "yes", AUTOMATIC),
    accepted("ftp:use-tvfs", "auto", AUTOMATIC),
    accepted("ftp:use-utf8", "yes", AUTOMATIC),
    accepted("ftp:verify-address", "no", "the other end of a data connection is always looked at"),
    accepted("ftp:verify-port", "no", "the other end of a data connection is always looked at"),
    accepted("ftp:waiting-150-timeout", "5", AUTOMATIC),
    refused("ftp:web-mode", "off", "a session is kept"),
    refused("hftp:proxy", "", "--proxy and the environment say which proxy leads to a server (`wharf help proxies`)"),
    accepted("log:enabled", "no", "--trace writes the dialogue to a file"),
    accepted("log:file", "", "--trace writes the dialogue to a file"),
    accepted("log:level", "", "--trace writes the dialogue to a file"),
    works("mirror:dereference", Kind::Switch, "no", "as `mirror -L`"),
    works("mirror:exclude-regex", Kind::Text, "", "as `mirror -x`"),
    works("mirror:include-regex", Kind::Text, "", "as `mirror -i`, with mirror:exclude-regex"),
    refused("mirror:no-empty-dirs", "no", "empty directories belong to the tree"),
    accepted("mirror:order", "*.sfv *.sig *.md5* *.sum * */", "files go in the order of their names"),
    accepted("mirror:overwrite", "no", "files are replaced when they are complete"),
    accepted("mirror:parallel-directories", "yes", "directories are read beside each other"),
    works("mirror:parallel-transfer-count", Kind::Number, "1", "as `mirror -P`"),
    accepted("mirror:require-source", "no", "a source that is missing is an error"),
    works("mirror:set-permissions", Kind::Switch, "yes", "`no`: as `mirror -p`"),
    accepted("mirror:skip-noaccess", "no", "what cannot be read is told, and the rest goes on"),
    accepted("mirror:use-pget-n", "1", "files of a mirror go beside each other, each over one connection"),
    works("net:connection-limit", Kind::Number, "0", "most sessions of one mirror or pget; the server's own limit is found out"),
    accepted("net:connection-takeover", "yes", "jobs have sessions of their own"),
    accepted("net:idle", "3m", "a session is kept until `close`"),
    accepted("net:limit-max", "0", "a rate is kept from second to second"),
    works("net:limit-rate", Kind::Rate, "0", "bytes a second of one session, `down:up`"),
    accepted("net:limit-total-max", "0", "a rate is kept from second to second"),
    works("net:limit-total-rate", Kind::Rate, "0", "bytes a second of all sessions together, `down:up`"),
    works("net:max-retries", Kind::Number, "5", "so often a script's connection that failed is tried; 0, which is for ever in lftp, means 5"),
    refused("net:no-proxy", "", "the environment variable no_proxy"),
    accepted("net:persist-retries", "0", "what can never succeed is not repeated"),
    works("net:reconnect-interval-base", Kind::Time, "2", "pause before the second try; doubled before each that follows"),
    works("net:reconnect-interval-max", Kind::Time, "60", "longest pause between two tries"),
    accepted("net:reconnect-interval-multiplier", "2", "pauses are doubled"),
    refused("net:socket-bind-ipv4", "", "`wharf ftp -s ADDR`"),
    refused("net:socket-bind-ipv6", "", "`wharf ftp -s ADDR`"),
    accepted("net:socket-buffer", "0", "the system decides"),
    accepted("net:socket-maxseg", "0", "the system decides"),
    works("net:timeout", Kind::Time, "30", "longest silence: of a connection, a reply, a transfer"),
    works("pget:default-n", Kind::Number, "5", "as `pget -n`"),
    accepted("pget:min-chunk-size", "1M", "segments are not made smaller than is worth a connection"),
    accepted("pget:save-status", "10s", "the journal is written as the segments grow"),
    works("ssl:ca-file", Kind::Text, "", "certificates of authorities that are believed, too"),
    refused("ssl:ca-path", "", "ssl:ca-file names one file"),
    refused("ssl:cert-file", "", "--cert names the certificate to show"),
    accepted("ssl:check-hostname", "yes", "the name is part of what a certificate says"),
    refused("ssl:crl-file", "", "certificates that were called back are not looked up"),
    refused("ssl:crl-path", "", "certificates that were called back are not looked up"),
    refused("ssl:key-file", "", "--key names the key of --cert"),
    accepted("ssl:priority", "", "TLS 1.2 and 1.3 with their good ciphers"),
    accepted("ssl:use-sni", "yes", "the name is always told"),
    works("ssl:verify-certificate", Kind::Switch, "yes", "`no`: a certificate that nobody vouches for is believed the first time, and remembered: another one is refused"),
    accepted("xfer:auto-rename", "no", "names are the server's, unsafe ones are refused"),
    works("xfer:clobber", Kind::Switch, "yes", "`no`: get does not replace files"),
    works("xfer:destination-directory", Kind::Text, "", "as `get -O`"),
    accepted("xfer:disk-full-fatal", "no", "a full disk is always an error"),
    accepted("xfer:eta-period", "120", "progress is the terminal's matter"),
    accepted("xfer:eta-terse", "yes", "progress is the terminal's matter"),
    accepted("xfer:keep-backup", "no", "a file is replaced in one step, when the new one is whole"),
    accepted("xfer:log", "yes", "--trace writes the dialogue to a file"),
    accepted("xfer:log-file", "", "--trace writes the dialogue to a file"),
    accepted("xfer:make-backup", "yes", "a file is replaced in one step, when the new one is whole"),
    accepted("xfer:max-redirections", "5", "FTP has none"),
    accepted("xfer:parallel", "1", "files of one command go one after the other; & and mirror -P go beside each other"),
    accepted("xfer:rate-period", "15", "progress is the terminal's matter"),
    accepted("xfer:temp-file-name", ".in.*", "a file that is not whole is called NAME.part"),
    accepted("xfer:timeout", "never", "net:timeout is the longest silence"),
    accepted("xfer:use-temp-file", "no", "a file that is not whole is called NAME.part"),
    accepted("xfer:verify", "no", "lengths are always compared"),
    refused("xfer:verify-command", "", "`get x && !command` says the same"),
];

/// Values that were set, each for everybody or for the hosts that fit a pattern.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    set: BTreeMap<(String, String), String>,
}

/// What setting something came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Done,
    /// Nothing changes; this is why nothing has to.
    Note(String),
}

impl Settings {
    /// `set NAME[/CLOSURE] VALUE`; no value goes back to the default. Names may be shortened as in lftp: `limit-rate`,
    /// `ssl:verify`.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) -> Result<Told, Failure> {
        let (name, closure) = match name.split_once('/') {
            Some((name, closure)) => (name, closure),
            None => (name, ""),
        };
        if let Some(protocol) = foreign(name) {
            return Ok(Told::Note(format!(
                "{name} is about {protocol}, which is not spoken here"
            )));
        }
        let row = find(name)?;
        let key = (row.name.to_owned(), closure.to_owned());
        let Some(value) = value else {
            self.set.remove(&key);
            return Ok(Told::Done);
        };
        let value = row.kind.check(row.name, value)?;
        match row.effect {
            Effect::Refused if value != row.default => Err(Failure::usage(format!(
                "set: {} is not offered: {}",
                row.name, row.meaning
            ))),
            Effect::Works | Effect::Refused => {
                self.set.insert(key, value);
                Ok(Told::Done)
            }
            Effect::Accepted => {
                let told = format!("{} changes nothing: {}", row.name, row.meaning);
                self.set.insert(key, value);
                Ok(Told::Note(told))
            }
        }
    }

    /// What was set, in the order of names.
    pub(super) fn changed(&self) -> impl Iterator<Item = (String, &str)> {
        self.set.iter().map(|((name, closure), value)| {
            let shown = match closure.as_str() {
                "" => name.clone(),
                closure => format!("{name}/{closure}"),
            };
            (shown, value.as_str())
        })
    }

    /// The value for a host; `None` where nothing was set.
    fn given(&self, name: &str, host: &str) -> Option<&str> {
        let special = self.set.iter().find(|((known, closure), _)| {
            known == name
                && !closure.is_empty()
                && pattern::fits(closure.as_bytes(), host.as_bytes())
        });
        let everybody = || self.set.get_key_value(&(name.to_owned(), String::new()));
        let (_, value) = special.or_else(everybody)?;
        Some(value)
    }

    /// The value, or its default.
    pub(super) fn text(&self, name: &str, host: &str) -> String {
        let default = || {
            SETTINGS
                .iter()
                .find(|row| row.name == name)
                .map_or("", |row| row.default)
        };
        self.given(name, host).unwrap_or_else(default).to_owned()
    }

    /// A switch; `None` where nobody has set it and its default is `auto`.
    pub(super) fn switch(&self, name: &str, host: &str) -> Option<bool> {
        switch(&self.text(name, host))
    }

    pub(super) fn number(&self, name: &str, host: &str) -> u64 {
        self.text(name, host).parse().unwrap_or(0)
    }

    /// A time; `None` where it is never.
    pub(super) fn time(&self, name: &str, host: &str) -> Option<Duration> {
        duration(&self.text(name, host)).ok().flatten()
    }

    /// Writes what was set into the settings of a client.
    pub(super) fn apply(&self, host: &str, options: &mut Options) -> Result<(), Failure> {
        match self.given("ftp:passive-mode", host).and_then(switch) {
            Some(true) if self.given("ftp:prefer-epsv", host).and_then(switch) == Some(false) => {
                options.data_mode = DataModeChoice::Pasv;
            }
            Some(true) => options.data_mode = DataModeChoice::Passive,
            Some(false) => options.data_mode = DataModeChoice::Active,
            None => {}
        }
        if let Some(false) = self.given("ftp:ignore-pasv-address", host).and_then(switch) {
            options.data_host = DataHost::Reply;
        }
        if let Some(address) = self
            .given("ftp:port-ipv4", host)
            .filter(|it| !it.is_empty())
        {
            let address = address.parse().map_err(|_| {
                Failure::usage(format!("set: ftp:port-ipv4: `{address}` is not an address"))
            })?;
            options.active_addr = Some(address);
        }
        if let Some(range) = self
            .given("ftp:port-range", host)
            .filter(|it| *it != "full")
        {
            let range = crate::args::value::ports(range)
                .map_err(|why| Failure::usage(format!("set: ftp:port-range: {why}")))?;
            options.port_range = Some(range);
        }
        if let Some(time) = self
            .given("net:timeout", host)
            .and_then(|it| duration(it).ok())
        {
            // Never is long.
            let time = time.unwrap_or(Duration::from_hours(24 * 365));
            options.connect_timeout = time;
            options.reply_timeout = time;
            options.stall_timeout = time;
            options.confirmation_timeout = time;
            options.completion_timeout = options.completion_timeout.min(time);
        }
        match self.given("dns:order", host).map(str::trim) {
            Some("inet") => options.family = FamilyChoice::Ipv4,
            Some("inet6") => options.family = FamilyChoice::Ipv6,
            _ => {}
        }
        match self.given("ftp:ssl-allow", host).and_then(switch) {
            Some(false) => options.tls.choice = TlsChoice::Off,
            Some(true) => options.tls.choice = TlsChoice::Prefer,
            None => {}
        }
        if let Some(true) = self.given("ftp:ssl-force", host).and_then(switch) {
            options.tls.choice = TlsChoice::Require;
        }
        if let Some(true) = self.given("ftp:ssl-use-ccc", host).and_then(switch) {
            options.tls.ccc = wharf_client::CccChoice::Always;
        }
        if let Some(file) = self.given("ssl:ca-file", host).filter(|it| !it.is_empty()) {
            options.tls.trust.authorities.push(file.into());
        }
        if let Some(rate) = self.given("net:limit-rate", host) {
            let (down, up) = rates(rate)?;
            options.download_limit = down.map(|rate| RateLimit::new(Some(rate)));
            options.upload_limit = up.map(|rate| RateLimit::new(Some(rate)));
        }
        Ok(())
    }

    /// Whether whoever shows a certificate is believed the first time, `set ssl:verify-certificate no`.
    pub(super) fn believes_first(&self, host: &str) -> bool {
        self.given("ssl:verify-certificate", host).and_then(switch) == Some(false)
    }

    /// `net:limit-total-rate`, down and up.
    pub(super) fn total_rates(&self) -> Result<Rates, Failure> {
        rates(&self.text("net:limit-total-rate", ""))
    }
}

/// Down and up; `None` where there is no limit.
pub(super) type Rates = (Option<NonZeroU64>, Option<NonZeroU64>);

fn rates(text: &str) -> Result<Rates, Failure> {
    let (down, up) = text.split_once([':', '/']).unwrap_or((text, text));
    let bytes = |text: &str| {
        bytes(text).ok_or_else(|| Failure::usage(format!("set: `{text}` is not a rate")))
    };
    Ok((NonZeroU64::new(bytes(down)?), NonZeroU64::new(bytes(up)?)))
}

/// Protocols of lftp that are none of ours.
fn foreign(name: &str) -> Option<&'static str> {
    let (module, _) = name.split_once(':')?;
    match module {
        "http" | "https" => Some("HTTP"),
        "sftp" => Some("SFTP"),
        "fish" => Some("FISH"),
        "torrent" | "bt" => Some("BitTorrent"),
        _ => None,
    }
}

/// The row of a name, or of the beginning of exactly one: of the whole name, of what stands behind its colon, or of both.
fn find(name: &str) -> Result<&'static Row, Failure> {
    if let Some(row) = SETTINGS.iter().find(|row| row.name == name) {
        return Ok(row);
    }
    let fits = |row: &&Row| {
        let (module, variable) = row.name.split_once(':').unwrap_or(("", row.name));
        match name.split_once(':') {
            Some((first, second)) => module.starts_with(first) && variable.starts_with(second),
            None => variable.starts_with(name),
        }
    };
    let exact = |row: &&&Row| row.name.split_once(':').is_some_and(|(_, it)| it == name);
    let found: Vec<&Row> = SETTINGS.iter().filter(fits).collect();
    match found.as_slice() {
        [row] => Ok(row),
        [] => Err(Failure::usage(format!("set: there is no setting `{name}`")).with_hint("set -a")),
        several => match several.iter().find(exact) {
            Some(row) => Ok(row),
            None => {
                let names: Vec<&str> = several.iter().map(|row| row.name).collect();
                Err(Failure::usage(format!("set: `{name}` is ambiguous"))
                    .with_hint(names.join(", ")))
            }
        },
    }
}

impl Kind {
    fn check(self, name: &str, value: &str) -> Result<String, Failure> {
        let right = match self {
            Self::Switch => switch(value).is_some() || value == "auto",
            Self::Number => value.parse::<u64>().is_ok() || bytes(value).is_some(),
            Self::Time => duration(value).is_ok(),
            Self::Rate => rates(value).is_ok(),
            Self::Text => true,
        };
        if !right {
            let what = match self {
                Self::Switch => "yes or no",
                Self::Number => "a number",
                Self::Time => "a time, for instance 30, 5m or never",
                Self::Rate => "bytes a second, for instance 100k or 1M:100k",
                Self::Text => "a text",
            };
            return Err(Failure::usage(format!(
                "set: {name} is {what}, not `{value}`"
            )));
        }
        Ok(value.to_owned())
    }
}

fn switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" | "+" | "y" | "t" => Some(true),
        "no" | "false" | "off" | "0" | "-" | "n" | "f" => Some(false),
        _ => None,
    }
}

/// `100k`, `2M`, `1G`, `512`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "ki" => 1 << 10,
        "m" | "mi" => 1 << 20,
        "g" | "gi" => 1 << 30,
        "t" | "ti" => 1 << 40,
        _ => return None,
    };
    if digits.is_empty() {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// `30`, `1m`, `2h30m`, `1d`; `None` is never.
pub(super) fn duration(text: &str) -> Result<Option<Duration>, Failure> {
    let wrong = || Failure::usage(format!("`{text}` is not a time")).with_hint("30, 5m, 1h30m, 2d");
    if matches!(text, "never" | "forever" | "inf" | "infinity") {
        return Ok(None);
    }
    let mut seconds = 0.0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let end = rest
            .find(|it: char| !it.is_ascii_digit() && it != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        let mut behind = rest[end..].chars();
        let unit = match behind.next() {
            None | Some('s') => 1.0,
            Some('m') => 60.0,
            Some('h') => 3600.0,
            Some('d') => 86_400.0,
            Some(_) => return Err(wrong()),
        };
        seconds += number * unit;
        rest = behind.as_str();
    }
    Duration::try_from_secs_f64(seconds)
        .map(Some)
        .map_err(|_| wrong())
}

/// The table for docs/shell.md.
#[cfg(test)]
pub(super) fn documented() -> String {
    use std::fmt::Write as _;
    let mut text = String::from("| setting | default | | what it does |\n|---|---|---|---|\n");
    for row in SETTINGS {
        let effect = match row.effect {
            Effect::Works => "works",
            Effect::Accepted => "accepted",
            Effect::Refused => "refused",
        };
        let default = match row.default {
            "" => String::new(),
            some => format!("`{}`", some.trim_end()),
        };
        let meaning = row.meaning.replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{}` | {} | {effect} | {meaning} |",
            row.name,
            default.replace('|', "\\|")
        );
    }
    text
}

#[cfg(test)]
mod tests;
