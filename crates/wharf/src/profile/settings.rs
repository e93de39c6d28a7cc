//! What a profile may say about a server: a table of keys, read from TOML and from `--set KEY=VALUE` alike.
//!
//! A flag beats a profile. A flag that says what holds anyway (`--mode auto`, `--tls prefer`) does not count as said.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use wharf_client::{CccChoice, DataHost, DataModeChoice, FamilyChoice, Options, TlsChoice, Via};
use wharf_net::tls::{Fingerprint, TlsVersions};
use wharf_proto::data_connection::passive::PortRange;
use wharf_proto::ftp_proxy::Dialogue;

use crate::args::value;
use crate::exit::Failure;
use crate::secret_program::Keyring;

/// What one profile says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    mode: Option<DataModeChoice>,
    active_addr: Option<IpAddr>,
    port_range: Option<PortRange>,
    data_host: Option<DataHost>,
    data_timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
    timeout: Option<Duration>,
    family: Option<FamilyChoice>,
    memory: Option<bool>,
    list_hidden: Option<bool>,
    tls: Option<TlsChoice>,
    ccc: Option<CccChoice>,
    tls_max: Option<TlsVersions>,
    ca: Vec<PathBuf>,
    pin: Vec<Fingerprint>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    pub(crate) proxy: Option<String>,
    pub(crate) proxy_login: Option<Dialogue>,
    pub(crate) user: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) password_command: Option<String>,
    pub(crate) keyring: Option<Keyring>,
    pub(crate) local_dir: Option<PathBuf>,
}

/// One key: its name, what it takes, and what reads it.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    read: fn(&mut Settings, &str) -> Result<(), String>,
}

/// A word of a table, for the error names them all.
fn word<T: Copy>(words: &[(&'static str, T)], text: &str) -> Result<Option<T>, String> {
    let found = words.iter().find(|(word, _)| *word == text);
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    found
        .map(|(_, value)| Some(*value))
        .ok_or_else(|| format!("one of {}", known.join(", ")))
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<Option<T>, String>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map(Some)
        .map_err(|error: T::Err| error.to_string())
}

const SWITCH: &[(&str, bool)] = &[("true", true), ("false", false)];
const FAMILIES: &[(&str, FamilyChoice)] = &[
    ("any", FamilyChoice::Any),
    ("ipv4", FamilyChoice::Ipv4),
    ("ipv6", FamilyChoice::Ipv6),
    ("prefer-ipv4", FamilyChoice::PreferIpv4),
    ("prefer-ipv6", FamilyChoice::PreferIpv6),
];
const VERSIONS: &[(&str, TlsVersions)] = &[("1.2", TlsVersions::Only12), ("1.3", TlsVersions::All)];

/// Below the home directory, where it begins with `~/`.
fn path(text: &str) -> Result<Option<PathBuf>, String> {
    let home = || std::env::var_os("HOME").filter(|it| !it.is_empty());
    match text.strip_prefix("~/") {
        Some(rest) => home()
            .map(|home| Some(PathBuf::from(home).join(rest)))
            .ok_or_else(|| "no home directory for ~".to_owned()),
        None => Ok(Some(PathBuf::from(text))),
    }
}

macro_rules! key {
    ($name:ident, $about:literal, |$text:ident| $read:expr) => {
        Key {
            name: stringify!($name),
            about: $about,
            read: |settings, $text| {
                settings.$name = $read?;
                Ok(())
            },
        }
    };
}

/// All of them; `wharf help profiles` is made of it.
pub(crate) const KEYS: &[Key] = &[
    key!(
        mode,
        "data mode: auto, passive, active, epsv, pasv, eprt, port",
        |it| word(DataModeChoice::WORDS, it)
    ),
    key!(
        active_addr,
        "address told to the server in active mode",
        |it| parsed(it)
    ),
    key!(port_range, "local ports for active mode, LO-HI", |it| {
        value::ports(it).map(Some)
    }),
    key!(
        data_host,
        "where passive data connections go: peer, reply",
        |it| word(DataHost::WORDS, it)
    ),
    key!(
        data_timeout,
        "longest wait for a data connection on one way",
        |it| value::positive_duration(it).map(Some)
    ),
    key!(
        connect_timeout,
        "longest wait for the control connection",
        |it| value::positive_duration(it).map(Some)
    ),
    key!(timeout, "longest silence", |it| value::positive_duration(
        it
    )
    .map(Some)),
    key!(family, "any, ipv4, ipv6, prefer-ipv4, prefer-ipv6", |it| {
        word(FAMILIES, it)
    }),
    key!(
        memory,
        "false: neither use nor keep what is remembered",
        |it| word(SWITCH, it)
    ),
    key!(list_hidden, "true: ask LIST for hidden names (-a)", |it| {
        word(SWITCH, it)
    }),
    key!(tls, "off, prefer, require", |it| word(TlsChoice::WORDS, it)),
    key!(
        ccc,
        "leave TLS after the login: never, auto, always",
        |it| word(CccChoice::WORDS, it)
    ),
    key!(tls_max, "highest version: 1.2, 1.3", |it| word(
        VERSIONS, it
    )),
    Key {
        name: "ca",
        about: "files of authorities that are believed, too",
        read: |settings, text| {
            settings.ca.extend(path(text)?);
            Ok(())
        },
    },
    Key {
        name: "pin",
        about: "SHA-256 fingerprints: believe these certificates alone",
        read: |settings, text| {
            settings.pin.extend(parsed::<Fingerprint>(text)?);
            Ok(())
        },
    },
    key!(cert, "certificate to show to the server (PEM)", |it| path(
        it
    )),
    key!(key, "its key, if not in the same file", |it| path(it)),
    key!(proxy, "address of a proxy, or direct", |it| {
        match it {
            "direct" => Ok(Some(it.to_owned())),
            _ => it
                .parse::<Via>()
                .map(|_| Some(it.to_owned()))
                .map_err(|error| error.to_string()),
        }
    }),
    key!(
        proxy_login,
        "how an ftp:// proxy is told where to go",
        |it| parsed(it)
    ),
    key!(user, "user, where the address names none", |it| Ok::<
        _,
        String,
    >(Some(
        it.to_owned()
    ))),
    key!(
        password_file,
        "file whose first line is the password",
        |it| path(it)
    ),
    key!(
        password_command,
        "command whose first line of output is the password",
        |it| Ok::<_, String>(Some(it.to_owned()))
    ),
    key!(
        keyring,
        "look the password up: auto, secret-tool, pass, security",
        |it| parsed(it)
    ),
    key!(
        local_dir,
        "the local directory in which `wharf ftp` begins",
        |it| path(it)
    ),
];

impl Settings {
    /// Reads one key. What may be said several times adds up.
    pub(crate) fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            let known: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
            return Err(format!("no such key; known are {}", known.join(", ")));
        };
        if text.chars().any(char::is_control) {
            return Err("a control character".to_owned());
        }
        (key.read)(self, text)
    }

    /// Reads a key of a TOML file.
    pub(crate) fn set_value(&mut self, name: &str, value: &toml::Value) -> Result<(), String> {
        match value {
            toml::Value::String(text) => self.set(name, text),
            toml::Value::Boolean(on) => self.set(name, if *on { "true" } else { "false" }),
            toml::Value::Array(values) if matches!(name, "ca" | "pin") => {
                let mut each = values.iter().map(|value| match value.as_str() {
                    Some(text) => self.set(name, text),
                    None => Err("expected strings".to_owned()),
                });
                each.find(Result::is_err).unwrap_or(Ok(()))
            }
            other => Err(format!("expected a string, found {}", other.type_str())),
        }
    }

    /// What this one leaves open the other one says.
    #[must_use]
    pub(crate) fn or(mut self, other: &Self) -> Self {
        macro_rules! open {
            ($($name:ident),*) => { $( if self.$name.is_none() { self.$name.clone_from(&other.$name); } )* };
        }
        open!(
            mode,
            active_addr,
            port_range,
            data_host,
            data_timeout,
            connect_timeout,
            timeout,
            family,
            memory,
            list_hidden,
            tls,
            ccc,
            tls_max,
            cert,
            key,
            proxy,
            proxy_login,
            user,
            password_file,
            password_command,
            keyring,
            local_dir
        );
        if self.ca.is_empty() {
            self.ca.clone_from(&other.ca);
        }
        if self.pin.is_empty() {
            self.pin.clone_from(&other.pin);
        }
        self
    }

    /// Says what flags have left open.
    pub(crate) fn fill(&self, options: &mut Options) -> Result<(), Failure> {
        let usual = Options::default();
        if let (Some(mode), DataModeChoice::Auto) = (self.mode, options.data_mode) {
            options.data_mode = mode;
        }
        options.active_addr = options.active_addr.or(self.active_addr);
        options.port_range = options.port_range.or(self.port_range);
        options.data_timeout = options.data_timeout.or(self.data_timeout);
        if let (Some(host), DataHost::Peer) = (self.data_host, options.data_host) {
            options.data_host = host;
        }
        if let (Some(family), FamilyChoice::Any) = (self.family, options.family) {
            options.family = family;
        }
        if let Some(time) = self
            .connect_timeout
            .filter(|_| options.connect_timeout == usual.connect_timeout)
        {
            options.connect_timeout = time;
        }
        if let Some(time) = self
            .timeout
            .filter(|_| options.reply_timeout == usual.reply_timeout)
        {
            options.reply_timeout = time;
            options.stall_timeout = time;
            options.completion_timeout = options.completion_timeout.min(time);
            options.confirmation_timeout = time;
        }
        if self.memory == Some(false) {
            options.memory = None;
        }
        options.list_hidden |= self.list_hidden == Some(true);
        // What an address demands has been demanded already.
        if let (Some(choice), TlsChoice::Prefer) = (self.tls, options.tls.choice) {
            options.tls.choice = choice;
            options.tls.trust.first_use &= choice == TlsChoice::Prefer;
        }
        if let (Some(ccc), CccChoice::Never) = (self.ccc, options.tls.ccc) {
            options.tls.ccc = ccc;
        }
        if let (Some(versions), TlsVersions::All) = (self.tls_max, options.tls.versions) {
            options.tls.versions = versions;
        }
        options
            .tls
            .trust
            .authorities
            .extend(self.ca.iter().cloned());
        if options.tls.trust.pins.is_empty() {
            options.tls.trust.pins.clone_from(&self.pin);
        }
        if let (Some(chain), None) = (&self.cert, &options.tls.certificate) {
            let key = self.key.as_deref().unwrap_or(chain);
            options.tls.certificate = Some(crate::client_tls::own(chain, key)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_takes_what_it_says_and_nothing_else() {
        let pin = "ab".repeat(32);
        for (name, good, bad) in [
            ("mode", "pasv", "bla"),
            ("active_addr", "192.0.2.1", "host"),
            ("port_range", "50000-50009", "9-1"),
            ("data_host", "reply", "x"),
            ("data_timeout", "2s", "0s"),
            ("connect_timeout", "5s", "x"),
            ("timeout", "1m", "-1"),
            ("family", "ipv6", "6"),
            ("memory", "false", "no"),
            ("list_hidden", "true", "1"),
            ("tls", "require", "yes"),
            ("ccc", "auto", "sometimes"),
            ("tls_max", "1.2", "1.1"),
            ("ca", "/ca.pem", "a\nb"),
            ("pin", &pin, "ab"),
            ("cert", "c.pem", "\0"),
            ("key", "k.pem", "\x1b"),
            ("proxy", "socks5h://127.0.0.1", "gopher://x"),
            ("proxy_login", "site", "nonsense"),
            ("user", "me", "a\rb"),
            ("password_file", "/p", "\n"),
            ("password_command", "pass show x", "\n"),
            ("keyring", "pass", "wallet"),
            ("local_dir", "/tmp", "\n"),
        ] {
            let mut settings = Settings::default();
            assert!(settings.set(name, bad).is_err(), "{name} = {bad}");
            settings
                .set(name, good)
                .unwrap_or_else(|error| panic!("{name} = {good}: {error}"));
            assert_ne!(settings, Settings::default(), "{name}");
            // What is open is filled, what is said stays.
            assert_eq!(Settings::default().or(&settings), settings, "{name}");
            assert_eq!(
                settings.clone().or(&Settings::default()),
                settings,
                "{name}"
            );
        }
        assert_eq!(KEYS.len(), 24, "a key without a row here");
    }

    #[test]
    fn a_flag_beats_a_profile_and_a_scheme_beats_both() {
        let mut settings = Settings::default();
        for (name, text) in [
            ("mode", "pasv"),
            ("tls", "off"),
            ("timeout", "5s"),
            ("memory", "false"),
        ] {
            settings.set(name, text).unwrap();
        }
        let mut open = Options::default();
        open.tls.choice = TlsChoice::Prefer;
        let mut said = Options {
            data_mode: DataModeChoice::Active,
            ..open.clone()
        };
        said.tls.choice = TlsChoice::Require;
        settings.fill(&mut open).unwrap();
        settings.fill(&mut said).unwrap();
        assert_eq!(open.data_mode, DataModeChoice::Pasv);
        assert_eq!(open.tls.choice, TlsChoice::Off);
        assert_eq!(open.stall_timeout, Duration::from_secs(5));
        assert_eq!(said.data_mode, DataModeChoice::Active);
        assert_eq!(said.tls.choice, TlsChoice::Require);
    }
}
