//! The configuration file: TOML in, [`Settings`] out, every mistake reported at once.
//!
//! [`SETTINGS`] is the truth: it drives the reader, the suggestions for mistyped keys and the
//! commented example (`wharf help config`).

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Settings;
use super::problem::{Problem, line_of, nearest};
use crate::args::{serve_acme as acme, serve_tls as tls, value};
use crate::logging;

type Value<'i> = Spanned<DeValue<'i>>;
/// Where in the text, and what is wrong there.
type Mistakes = Vec<(Range<usize>, String)>;

/// One key of the file.
pub(crate) struct Setting {
    /// With its table: `data.passive_ports`.
    pub(crate) key: &'static str,
    /// A value as it would be written; the default where there is one.
    pub(crate) example: &'static str,
    pub(crate) help: &'static str,
    set: fn(&mut Settings, &Value<'_>, &Path) -> Result<(), Mistakes>,
}

/// Every key, in the order of the example file.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        key: "directory",
        example: "\"/srv/ftp\"",
        help: "The directory that is served. Nothing outside it can be reached, not even through symbolic links. Default: the current directory. Relative paths in this file start at the file's own directory.",
        set: |s, v, base| path(v, base).map(|path| s.directory = path),
    },
    Setting {
        key: "listen",
        example: "[\"[::]:21\"]",
        help: "Addresses for control connections. [::] takes IPv4, too. Default: port 21 on every address when it may be bound, else port 2121.",
        set: |s, v, _| list(v, value::listen).map(|list: Vec<SocketAddr>| s.listen = list),
    },
    Setting {
        key: "greeting",
        example: "\"wharf FTP server ready\"",
        help: "Text of the 220 greeting.",
        set: |s, v, _| {
            text(v, |text| {
                if text.contains(['\r', '\n', '\0']) {
                    return Err("must be one line".to_owned());
                }
                Ok(text.to_owned())
            })
            .map(|greeting| s.greeting = Some(greeting))
        },
    },
    Setting {
        key: "resume_uploads",
        example: "false",
        help: "Keep what has arrived of a broken upload so that the client can resume it (REST or APPE). Off: a broken upload leaves nothing.",
        set: |s, v, _| boolean(v).map(|on| s.resume_uploads = on),
    },
    Setting {
        key: "uploads",
        example: "\"atomic\"",
        help: "Where uploads are written until they are complete: atomic (a name stands for the old file or for the whole new one, whatever crashes or is cut) or direct (into the file under the name: readers see it grow, links and owner stay, what is cut leaves what has arrived).",
        set: |s, v, _| text(v, value::upload_policy).map(|policy| s.uploads = policy),
    },
    Setting {
        key: "fsync",
        example: "\"none\"",
        help: "What of an upload is on the disk when it is told as complete: none (a power failure may lose files of the last half minute, a crash of the server none), data (never a file with other content than was sent) or full (no file that was told as complete is lost).",
        set: |s, v, _| text(v, value::fsync).map(|what| s.fsync = what),
    },
    Setting {
        key: "keepalive",
        example: "\"30s\"",
        help: "Silence after which a control connection is probed (TCP keepalive), so that no NAT forgets it; every 2 s in transfers of more than a second. \"0\" is never.",
        set: |s, v, _| time(v, value::duration).map(|time| s.keepalive = Some(time)),
    },
    Setting {
        key: "proxy_protocol",
        example: "[\"10.0.0.0/24\"]",
        help: "Networks of balancers whose connections, control and data, begin with a PROXY protocol header (v1 or v2) that is believed. All other connections must not have one. Default: none.",
        set: |s, v, _| list(v, value::network).map(|networks| s.proxy_protocol = networks),
    },
    Setting {
        key: "tls.control",
        example: "\"allowed\"",
        help: "TLS on control connections (AUTH TLS): off, allowed, or required (no password is taken in clear).",
        set: |s, v, _| text(v, tls::requirement).map(|when| s.tls.control = when),
    },
    Setting {
        key: "tls.data",
        example: "\"allowed\"",
        help: "TLS on data connections (PROT P): off, allowed, or required. Default: as `control`.",
        set: |s, v, _| text(v, tls::requirement).map(|when| s.tls.data = Some(when)),
    },
    Setting {
        key: "tls.certificate",
        example: "\"/etc/wharf/cert.pem\"",
        help: "The certificate with its chain, PEM; needs `key`. Several as an array, with `key` another one in the same order: a client that names a host gets the first that is for it. New files are noticed while the server runs. Default: one that the server makes for itself and keeps.",
        set: |s, v, base| paths(v, base).map(|paths| s.tls.certificates = paths),
    },
    Setting {
        key: "tls.key",
        example: "\"/etc/wharf/key.pem\"",
        help: "The key of the certificate, PEM.",
        set: |s, v, base| paths(v, base).map(|paths| s.tls.keys = paths),
    },
    Setting {
        key: "tls.data_session",
        example: "\"require\"",
        help: "Whether a data connection must resume the TLS session of its control connection, which proves whose it is: require, prefer (others are judged by their address), or off.",
        set: |s, v, _| text(v, tls::data_session).map(|when| s.tls.data_session = when),
    },
    Setting {
        key: "tls.truncation",
        example: "\"strict\"",
        help: "What becomes of an upload that ends without saying so (TLS close_notify), as one that somebody has cut does: strict (426, not complete) or lenient (226).",
        set: |s, v, _| text(v, tls::truncation).map(|policy| s.tls.truncation = policy),
    },
    Setting {
        key: "tls.ccc",
        example: "false",
        help: "Let clients take the control connection out of TLS again (CCC), for NATs that must read along.",
        set: |s, v, _| boolean(v).map(|on| s.tls.ccc = on),
    },
    Setting {
        key: "tls.exceptions",
        example: "[\"10.0.0.0/8 data_session=prefer\", \"backup control=required data=required\"]",
        help: "What is different for a network, an address or a user: its name and one or more of control, data, data_session and truncation. The last one that fits wins.",
        set: |s, v, _| list(v, tls::exception).map(|list| s.tls.exceptions = list),
    },
    Setting {
        key: "tls.implicit_listen",
        example: "[\"[::]:990\"]",
        help: "Addresses for control connections that are in TLS from their first byte (implicit TLS). Default: none.",
        set: |s, v, _| {
            list(v, value::listen).map(|list: Vec<SocketAddr>| s.tls.implicit_listen = list)
        },
    },
    Setting {
        key: "acme.domains",
        example: "[\"ftp.example.org\"]",
        help: "Names for which an authority is to sign a certificate (ACME, HTTP-01) that is renewed in time. They must lead to this host. Whoever sets this agrees to the authority's terms. Default: none.",
        set: |s, v, _| list(v, acme::domain).map(|names| s.acme.domains = names),
    },
    Setting {
        key: "acme.email",
        example: "\"admin@example.org\"",
        help: "Where the authority writes to when something is wrong. Default: nowhere.",
        set: |s, v, _| text(v, acme::email).map(|email| s.acme.email = Some(email)),
    },
    Setting {
        key: "acme.directory",
        example: "\"https://acme-v02.api.letsencrypt.org/directory\"",
        help: "The authority's directory.",
        set: |s, v, _| text(v, acme::directory).map(|url| s.acme.directory = url),
    },
    Setting {
        key: "acme.http",
        example: "\"[::]:80\"",
        help: "Where the authority's question is answered over HTTP. It asks at port 80 of every name.",
        set: |s, v, _| text(v, value::listen).map(|at| s.acme.http = at),
    },
    Setting {
        key: "login.users",
        example: "\"users.toml\"",
        help: "File of users, made with `wharf user add`. It is read again when it changes.",
        set: |s, v, base| path(v, base).map(|path| s.login.users = Some(path)),
    },
    Setting {
        key: "login.user",
        example: "\"alice\"",
        help: "One user without a users file; the password is the first line of `password_file`.",
        set: |s, v, _| text(v, user_name).map(|user| s.login.user = Some(user)),
    },
    Setting {
        key: "login.password_file",
        example: "\"/run/credentials/wharf/password\"",
        help: "File whose first line is the password of `user`.",
        set: |s, v, base| path(v, base).map(|path| s.login.password_file = Some(path)),
    },
    Setting {
        key: "login.anonymous",
        example: "false",
        help: "Let `anonymous` and `ftp` in with any password; they may only read unless `writable` is on.",
        set: |s, v, _| boolean(v).map(|on| s.login.anonymous = on),
    },
    Setting {
        key: "login.writable",
        example: "false",
        help: "Anonymous may write, too.",
        set: |s, v, _| boolean(v).map(|on| s.login.writable = on),
    },
    Setting {
        key: "login.read_only",
        example: "false",
        help: "Nobody may write, whatever the users file says.",
        set: |s, v, _| boolean(v).map(|on| s.login.read_only = on),
    },
    Setting {
        key: "login.home",
        example: "\"/\"",
        help: "Folder inside `directory` in which `user` and anonymous start.",
        set: |s, v, _| text(v, |text| Ok(text.to_owned())).map(|home| s.login.home = Some(home)),
    },
    Setting {
        key: "data.passive_ports",
        example: "\"50000-50999\"",
        help: "Ports for passive data connections, never left. A firewall must let them in.",
        set: |s, v, _| text(v, value::ports).map(|ports| s.data.passive_ports = ports),
    },
    Setting {
        key: "data.one_port",
        example: "\"auto\"",
        help: "Data connections to the control port itself, so that it is the only port to be opened: on, off, or auto (for clients to which the passive ports did not work).",
        set: |s, v, _| text(v, value::one_port).map(|when| s.data.one_port = when),
    },
    Setting {
        key: "data.port",
        example: "\"2120\"",
        help: "A port, or a few (LO-HI), that all passive data connections share, instead of `passive_ports`. Each serves any number of client addresses, one transfer of each at a time. Default: none.",
        set: |s, v, _| text(v, value::ports).map(|ports| s.data.port = Some(ports)),
    },
    Setting {
        key: "data.shared_address",
        example: "\"one-user\"",
        help: "Who may use the control port for data behind one client address: one-user (nobody while different users are logged in from it) or any-user.",
        set: |s, v, _| text(v, value::shared_address).map(|who| s.data.shared_address = who),
    },
    Setting {
        key: "data.address_pools",
        example: "[]",
        help: "Networks of carrier NATs that give the connections of one client different addresses: all addresses of such a network count as one client when a data connection is paired with its session.",
        set: |s, v, _| list(v, value::network).map(|pools| s.data.address_pools = pools),
    },
    Setting {
        key: "data.advertise",
        example: "[\"203.0.113.7\", \"192.168.0.0/16=192.168.1.5\"]",
        help: "Address or name told to passive clients when the server stands behind a NAT; NET=ADDR holds for clients of that network only. \"auto\" finds it out: a public address that clients have reached, else what the router says. Default: the address the client reached.",
        set: |s, v, _| list(v, value::advertise).map(|rules| s.data.advertise = rules),
    },
    Setting {
        key: "data.active",
        example: "true",
        help: "Offer active data connections (PORT, EPRT): the server connects to the client.",
        set: |s, v, _| boolean(v).map(|on| s.data.active = on),
    },
    Setting {
        key: "data.active_port",
        example: "20",
        help: "Local port of active data connections when it may be bound (RFC 959 says 20); 0 is any.",
        set: |s, v, _| integer(v, 0, 65_535).map(|port| s.data.active_port = narrow_port(port)),
    },
    Setting {
        key: "data.port_policy",
        example: "\"refuse\"",
        help: "What becomes of a PORT with a private address from a public client: refuse, or repair (connect to the address the client comes from).",
        set: |s, v, _| text(v, value::port_policy).map(|policy| s.data.port_policy = policy),
    },
    Setting {
        key: "data.timeout",
        example: "\"10s\"",
        help: "How long to wait for a data connection before 425.",
        set: |s, v, _| time(v, value::positive_duration).map(|time| s.data.timeout = Some(time)),
    },
    Setting {
        key: "limits.sessions",
        example: "10000",
        help: "Control connections at once; 0 is no limit.",
        set: |s, v, _| count(v).map(|count| s.limits.sessions = Some(count)),
    },
    Setting {
        key: "limits.sessions_per_address",
        example: "100",
        help: "Control connections at once from one client address; 0 is no limit.",
        set: |s, v, _| count(v).map(|count| s.limits.sessions_per_address = Some(count)),
    },
    Setting {
        key: "limits.login_attempts",
        example: "5",
        help: "Wrong passwords before the connection is closed.",
        set: |s, v, _| {
            integer(v, 1, 1000).map(|count| s.limits.login_attempts = u32::try_from(count).ok())
        },
    },
    Setting {
        key: "limits.login_timeout",
        example: "\"60s\"",
        help: "Time to log in.",
        set: |s, v, _| {
            time(v, value::positive_duration).map(|time| s.limits.login_timeout = Some(time))
        },
    },
    Setting {
        key: "limits.idle_timeout",
        example: "\"10m\"",
        help: "Time without a command before 421.",
        set: |s, v, _| {
            time(v, value::positive_duration).map(|time| s.limits.idle_timeout = Some(time))
        },
    },
    Setting {
        key: "limits.stall_timeout",
        example: "\"2m\"",
        help: "Time without a byte before a transfer is given up with 426.",
        set: |s, v, _| {
            time(v, value::positive_duration).map(|time| s.limits.stall_timeout = Some(time))
        },
    },
    Setting {
        key: "limits.stop_timeout",
        example: "\"30s\"",
        help: "Time transfers may take to finish after SIGTERM.",
        set: |s, v, _| time(v, value::duration).map(|time| s.limits.stop_timeout = Some(time)),
    },
    Setting {
        key: "bans.after",
        example: "10",
        help: "Failed logins from one address (IPv6: one /64) after which it is banned; 0 is never. A failure counts half after `half_life`. Users who have logged in from that address before are let in there all the same.",
        set: |s, v, _| integer(v, 0, 100_000).map(|n| s.bans.after = u32::try_from(n).ok()),
    },
    Setting {
        key: "bans.users_after",
        example: "50",
        help: "Failed logins with one user name, from addresses where that user is not known, after which only known addresses may try it; 0 is never.",
        set: |s, v, _| integer(v, 0, 100_000).map(|n| s.bans.users_after = u32::try_from(n).ok()),
    },
    Setting {
        key: "bans.half_life",
        example: "\"10m\"",
        help: "After this time a failure counts half.",
        set: |s, v, _| time(v, value::positive_duration).map(|time| s.bans.half_life = Some(time)),
    },
    Setting {
        key: "bans.first",
        example: "\"5m\"",
        help: "How long the first ban lasts; each further one twice as long as the one before.",
        set: |s, v, _| time(v, value::positive_duration).map(|time| s.bans.first = Some(time)),
    },
    Setting {
        key: "bans.longest",
        example: "\"24h\"",
        help: "How long a ban lasts at most, and how long it is remembered after its end.",
        set: |s, v, _| time(v, value::positive_duration).map(|time| s.bans.longest = Some(time)),
    },
    Setting {
        key: "bans.trusted",
        example: "[\"127.0.0.0/8\", \"::1/128\"]",
        help: "Networks that are never banned, except by hand (`wharf ban add`). Put a proxy or a NAT there that all clients come through.",
        set: |s, v, _| list(v, value::network).map(|networks| s.bans.trusted = Some(networks)),
    },
    Setting {
        key: "bans.list",
        example: "\"/var/lib/wharf/bans\"",
        help: "File of bans, which servers and `wharf ban` share. Default: wharf/bans in the state directory ($XDG_STATE_HOME or ~/.local/state).",
        set: |s, v, base| path(v, base).map(|path| s.bans.list = Some(path)),
    },
    Setting {
        key: "log.format",
        example: "\"human\"",
        help: "human or json, on stderr.",
        set: |s, v, _| {
            text(v, |text| {
                <logging::LogFormat as clap::ValueEnum>::from_str(text, false)
                    .map_err(|_| format!("`{text}` is not a log format: expected human or json"))
            })
            .map(|format| s.log.format = Some(format))
        },
    },
    Setting {
        key: "log.level",
        example: "\"info\"",
        help: "error, warn, info, debug, trace, off, or rules like info,wharf_net=debug.",
        set: |s, v, _| {
            text(v, |text| {
                logging::parse_filter(text).map(|_| text.to_owned())
            })
            .map(|level| s.log.level = Some(level))
        },
    },
    Setting {
        key: "log.xferlog",
        example: "\"/var/log/wharf/xferlog\"",
        help: "One line a transfer in the wu-ftpd format, which log analysers read.",
        set: |s, v, base| path(v, base).map(|path| s.log.xferlog = Some(path)),
    },
    Setting {
        key: "log.trace",
        example: "\"/var/log/wharf/trace\"",
        help: "Transcript of every dialogue, passwords masked. For finding faults; it grows fast.",
        set: |s, v, base| path(v, base).map(|path| s.log.trace = Some(path)),
    },
];

/// Reads a file's text into settings, or says everything that is wrong with it. Relative paths in
/// it start at `base`.
pub(crate) fn read(text: &str, base: &Path) -> Result<Settings, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = errors
        .iter()
        .map(|error| Problem {
            line: error.span().map_or(0, |span| line_of(text, span.start)),
            key: String::new(),
            message: error.message().replace('\n', ", "),
        })
        .collect();
    let broken_lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();

    let mut settings = Settings::default();
    let mut found = Vec::new();
    walk(&mut settings, table.get_ref(), "", base, &mut found);
    for (span, key, message) in found {
        let line = line_of(text, span.start);
        // What the parser guessed in a broken line says nothing about the writer.
        if !broken_lines.contains(&line) {
            problems.push(Problem { line, key, message });
        }
    }
    if problems.is_empty() {
        problems.extend(
            settings
                .contradictions()
                .into_iter()
                .map(|(table, message)| Problem {
                    line: 0,
                    key: table.to_owned(),
                    message,
                }),
        );
    }
    problems.sort();
    problems.dedup();
    if problems.is_empty() {
        Ok(settings)
    } else {
        Err(problems)
    }
}

fn walk(
    settings: &mut Settings,
    table: &DeTable<'_>,
    prefix: &str,
    base: &Path,
    found: &mut Vec<(Range<usize>, String, String)>,
) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        let below = format!("{key}.");
        let is_table = SETTINGS.iter().any(|row| row.key.starts_with(&below));
        match (value.get_ref(), SETTINGS.iter().find(|row| row.key == key)) {
            (DeValue::Table(inner), _) if is_table => walk(settings, inner, &below, base, found),
            (other, None) if is_table => found.push((
                value.span(),
                key.clone(),
                format!("expected a table [{key}], found {}", kind(other)),
            )),
            (_, Some(row)) => {
                if let Err(mistakes) = (row.set)(settings, value, base) {
                    found.extend(
                        mistakes
                            .into_iter()
                            .map(|(span, message)| (span, key.clone(), message)),
                    );
                }
            }
            (_, None) => {
                found.push((name.span(), key.clone(), unknown(&key, name.get_ref())));
            }
        }
    }
}

/// The message for an unknown key: a near one in the whole file counts, and so does the right name
/// in the wrong table.
fn unknown(key: &str, name: &str) -> String {
    let last = |full: &'static str| full.rsplit_once('.').map_or(full, |(_, last)| last);
    let tables = ["acme", "tls", "login", "data", "limits", "log"];
    let guess = SETTINGS
        .iter()
        .map(|row| row.key)
        .find(|full| last(full) == name.replace('-', "_"))
        .or_else(|| nearest(key, SETTINGS.iter().map(|row| row.key)))
        .or_else(|| {
            let near = nearest(name, SETTINGS.iter().map(|row| last(row.key)))?;
            SETTINGS
                .iter()
                .map(|row| row.key)
                .find(|full| last(full) == near)
        })
        .or_else(|| nearest(key, tables));
    match guess {
        Some(guess) => format!("unknown key; did you mean `{guess}`?"),
        None => "unknown key".to_owned(),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

fn wrong<T>(value: &Value<'_>, expected: &str) -> Result<T, Mistakes> {
    let message = format!("expected {expected}, found {}", kind(value.get_ref()));
    Err(vec![(value.span(), message)])
}

fn text<T>(value: &Value<'_>, read: impl Fn(&str) -> Result<T, String>) -> Result<T, Mistakes> {
    match value.get_ref() {
        DeValue::String(text) => read(text).map_err(|message| vec![(value.span(), message)]),
        _ => wrong(value, "a string"),
    }
}

fn boolean(value: &Value<'_>) -> Result<bool, Mistakes> {
    match value.get_ref() {
        DeValue::Boolean(on) => Ok(*on),
        _ => wrong(value, "true or false"),
    }
}

fn integer(value: &Value<'_>, low: u64, high: u64) -> Result<u64, Mistakes> {
    let DeValue::Integer(integer) = value.get_ref() else {
        return wrong(value, "an integer");
    };
    i128::from_str_radix(integer.as_str(), integer.radix())
        .ok()
        .and_then(|number| u64::try_from(number).ok())
        .filter(|number| (low..=high).contains(number))
        .ok_or_else(|| {
            let message = format!("`{integer}` is out of range: expected {low} to {high}");
            vec![(value.span(), message)]
        })
}

fn count(value: &Value<'_>) -> Result<u32, Mistakes> {
    integer(value, 0, 1_000_000).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

fn narrow_port(port: u64) -> u16 {
    u16::try_from(port).unwrap_or_default()
}

/// A duration as text (`"5m"`) or as a number of seconds.
fn time(
    value: &Value<'_>,
    read: fn(&str) -> Result<Duration, String>,
) -> Result<Duration, Mistakes> {
    match value.get_ref() {
        DeValue::Integer(integer) => {
            read(integer.as_str()).map_err(|message| vec![(value.span(), message)])
        }
        _ => match value.get_ref() {
            DeValue::String(_) => text(value, read),
            _ => wrong(value, "a duration like \"30s\" or a number of seconds"),
        },
    }
}

/// An array of strings, or one string for an array of one.
fn list<T>(value: &Value<'_>, read: fn(&str) -> Result<T, String>) -> Result<Vec<T>, Mistakes> {
    let DeValue::Array(items) = value.get_ref() else {
        return match value.get_ref() {
            DeValue::String(_) => text(value, read).map(|item| vec![item]),
            _ => wrong(value, "an array of strings"),
        };
    };
    let mut good = Vec::new();
    let mut mistakes = Mistakes::new();
    for item in items {
        match text(item, read) {
            Ok(item) => good.push(item),
            Err(found) => mistakes.extend(found),
        }
    }
    if mistakes.is_empty() {
        Ok(good)
    } else {
        Err(mistakes)
    }
}

fn paths(value: &Value<'_>, base: &Path) -> Result<Vec<PathBuf>, Mistakes> {
    let DeValue::Array(items) = value.get_ref() else {
        return path(value, base).map(|path| vec![path]);
    };
    let mut good = Vec::new();
    let mut mistakes = Mistakes::new();
    for item in items {
        match path(item, base) {
            Ok(path) => good.push(path),
            Err(found) => mistakes.extend(found),
        }
    }
    if mistakes.is_empty() {
        Ok(good)
    } else {
        Err(mistakes)
    }
}

fn path(value: &Value<'_>, base: &Path) -> Result<PathBuf, Mistakes> {
    text(value, |text| {
        if text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        if text.contains('\0') {
            return Err("must not contain NUL".to_owned());
        }
        Ok(base.join(text))
    })
}

fn user_name(text: &str) -> Result<String, String> {
    crate::args::user_name(text)
}

/// The example file: every key with its explanation, commented out.
pub(crate) fn example() -> String {
    let mut out = String::from(
        "# Configuration of `wharf serve --config FILE`. Check it with `wharf check --config FILE`.\n\
         # Every key is optional; flags and WHARF_* variables override it. Durations: 500ms, 30s, 5m, 1h.\n",
    );
    let mut table = "";
    for row in SETTINGS {
        let (section, name) = row.key.split_once('.').unwrap_or(("", row.key));
        out.push('\n');
        if section != table {
            let _ = writeln!(out, "[{section}]");
            table = section;
        }
        for line in wrap(row.help, 96) {
            let _ = writeln!(out, "# {line}");
        }
        let _ = writeln!(out, "#{name} = {}", row.example);
    }
    out
}

/// Breaks a text at spaces so that no line is longer than `width` characters, where words allow.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let answer = match read(text, Path::new("/etc/wharf")) {
            Ok(_) => "fine\n".to_owned(),
            Err(problems) => problems.iter().fold(String::new(), |mut out, problem| {
                let _ = writeln!(out, "{problem}");
                out
            }),
        };
        expected.assert_eq(&answer);
    }

    #[test]
    fn an_empty_file_is_the_default() {
        check("", expect!["fine\n"]);
    }

    #[test]
    fn the_example_holds_with_every_key_switched_on() {
        let mut text = String::new();
        for line in example().lines() {
            let commented_key = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
            let _ = writeln!(text, "{}", commented_key.unwrap_or(line));
        }
        let settings = read(&text, Path::new("/etc/wharf"));
        // `writable` is off in the example, everything else agrees.
        let settings = settings.expect("the example has no problems");
        assert_eq!(settings.login.users, Some("/etc/wharf/users.toml".into()));
        assert_eq!(settings.data.advertise.len(), 2);
    }

    #[test]
    fn every_mistake_is_reported_at_once_with_its_line() {
        check(
            r#"
directory = 7
lisen = "0.0.0.0:21"

[data]
passive_ports = "50199-50000"
advertise = ["203.0.113.7", "10.0.0.0/64=1.2.3.4", 5]
idle_timeout = "5m"

[limit]
sessions = -1

[limits]
sessions = -1
login_timeout = "soon"
"#,
            expect![[r"
                line 2: directory: expected a string, found an integer
                line 3: lisen: unknown key; did you mean `listen`?
                line 6: data.passive_ports: `50199-50000` is empty: the first port must not be above the last
                line 7: data.advertise: `10.0.0.0/64` is not a network: expected e.g. 192.168.0.0/16 in NET=ADDR
                line 7: data.advertise: expected a string, found an integer
                line 8: data.idle_timeout: unknown key; did you mean `limits.idle_timeout`?
                line 10: limit: unknown key; did you mean `limits`?
                line 14: limits.sessions: `-1` is out of range: expected 0 to 1000000
                line 15: limits.login_timeout: `soon` is not a duration: expected e.g. 30s, 5m, 1h, 500ms
            "]],
        );
    }

    #[test]
    fn syntax_and_meaning_are_reported_together() {
        check(
            "directory = \ngreeting = \"a\\nb\"\n[log]\nformat = \"xml\"\n",
            expect![[r"
                line 1: string values must be quoted, expected literal string
                line 2: greeting: must be one line
                line 4: log.format: `xml` is not a log format: expected human or json
            "]],
        );
    }

    #[test]
    fn settings_that_contradict_each_other_are_found() {
        check(
            "[login]\nwritable = true\nread_only = true\n",
            expect![[r"
                login: writable and read-only contradict each other
                login: writable only concerns anonymous, and anonymous is not on (named users may write already)
            "]],
        );
    }
}
