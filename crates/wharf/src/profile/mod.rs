//! Bookmarks and profiles: `$XDG_CONFIG_HOME/wharf/profiles.toml`.
//!
//! ```toml
//! [bookmark.work]
//! address = "ftpes://me@ftp.example.org/incoming/"
//! mode = "passive"
//!
//! [[for]]
//! host = "*.example.org"
//! proxy = "socks5h://127.0.0.1:1080"
//! ```
//!
//! A bookmark is a name for an address, written `bookmark:work` or `bookmark:work/below`; what it says holds for its server
//! however that is addressed. `[[for]]` holds for hosts by pattern. Of several that fit, the first one that says something
//! about a key counts, bookmarks before patterns. Passwords are not here, but where they may come from is.
//!
//! In reading order: [`settings`] (what may be said), this file (the book), [`edit`] (adding and removing as text),
//! [`import`] (other programs' books).

pub(crate) mod edit;
pub(crate) mod import;
pub(crate) mod settings;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use etcetera::{BaseStrategy, choose_base_strategy};
use wharf_client::{Endpoint, Target};
use wharf_proto::data_connection::advertise::Network;

use crate::exit::Failure;
use settings::Settings;

/// What stands before a bookmark's name in an address.
pub(crate) const PREFIX: &str = "bookmark:";

/// A file bigger than this is no book.
const SIZE: u64 = 4 << 20;

/// A named address.
#[derive(Clone, Debug)]
pub(crate) struct Bookmark {
    pub(crate) name: String,
    /// As it is written.
    pub(crate) address: String,
    pub(crate) target: Target,
    pub(crate) settings: Settings,
}

/// Settings for hosts by pattern.
#[derive(Clone, Debug)]
struct Rule {
    hosts: Vec<String>,
    settings: Settings,
}

/// All that the file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    pub(crate) bookmarks: Vec<Bookmark>,
    rules: Vec<Rule>,
}

/// Where the file is. `None`: no home directory.
pub(crate) fn path() -> Option<PathBuf> {
    Some(
        choose_base_strategy()
            .ok()?
            .config_dir()
            .join("wharf")
            .join("profiles.toml"),
    )
}

/// The book of this run. It is read once.
pub(crate) fn book() -> Result<&'static Book, Failure> {
    static BOOK: OnceLock<Result<Book, String>> = OnceLock::new();
    BOOK.get_or_init(|| path().map_or(Ok(Book::default()), |path| read(&path)))
        .as_ref()
        .map_err(|message| {
            Failure::usage(message.clone())
                .with_hint("`wharf help profiles` says what may stand there")
        })
}

/// The text of the file; a file that is not there is empty.
pub(crate) fn text(path: &Path) -> Result<String, String> {
    let failed = |why: &dyn std::fmt::Display| format!("cannot read {}: {why}", path.display());
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(failed(&error)),
    };
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(file, SIZE), &mut text)
        .map_err(|error| failed(&error))?;
    Ok(text)
}

fn read(path: &Path) -> Result<Book, String> {
    text(path)?
        .parse()
        .map_err(|error: String| format!("{}: {error}", path.display()))
}

/// A name that may stand in an address and as a word of a command line.
pub(crate) fn is_name(name: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "/:@[]\\\"'#?%".contains(c);
    !name.is_empty() && name.len() <= 128 && !name.starts_with('-') && !name.contains(odd)
}

impl std::str::FromStr for Book {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |it| {
                text.get(..it.start).unwrap_or(text).matches('\n').count() + 1
            });
            format!("line {line}: {}", error.message())
        })?;
        let mut book = Self::default();
        for (key, value) in &table {
            match (key.as_str(), value) {
                ("bookmark", toml::Value::Table(bookmarks)) => {
                    for (name, value) in bookmarks {
                        let found = bookmark(name, value);
                        let found = found.map_err(|error| format!("[bookmark.{name}]: {error}"))?;
                        book.bookmarks.push(found);
                    }
                }
                ("for", toml::Value::Array(rules)) => {
                    for (number, value) in rules.iter().enumerate() {
                        let found = rule(value);
                        let place = number + 1;
                        book.rules.push(
                            found.map_err(|error| format!("[[for]] number {place}: {error}"))?,
                        );
                    }
                }
                _ => {
                    return Err(format!(
                        "{key}: there is [bookmark.NAME] and [[for]], and nothing else"
                    ));
                }
            }
        }
        Ok(book)
    }
}

fn bookmark(name: &str, value: &toml::Value) -> Result<Bookmark, String> {
    if !is_name(name) {
        return Err("a name has no blanks and none of / : @ [ ] \\ \" ' # ? %".to_owned());
    }
    let table = value.as_table().ok_or("expected a table")?;
    let mut settings = Settings::default();
    let mut address = None;
    for (key, value) in table {
        match key.as_str() {
            "address" => address = Some(value.as_str().ok_or("address: expected a string")?),
            key => settings
                .set_value(key, value)
                .map_err(|error| format!("{key}: {error}"))?,
        }
    }
    let address = address.ok_or("address is missing")?.to_owned();
    let target: Target = address
        .parse()
        .map_err(|error| format!("address: {error}"))?;
    if target.password().is_some() {
        return Err("address: passwords do not belong here (password_command, password_file, keyring, ~/.netrc)".to_owned());
    }
    Ok(Bookmark {
        name: name.to_owned(),
        address,
        target,
        settings,
    })
}

fn rule(value: &toml::Value) -> Result<Rule, String> {
    let table = value.as_table().ok_or("expected a table")?;
    let mut settings = Settings::default();
    let mut hosts = Vec::new();
    for (key, value) in table {
        match (key.as_str(), value) {
            ("host", toml::Value::String(host)) => hosts.push(host.clone()),
            ("host", toml::Value::Array(all)) => {
                for host in all {
                    hosts.push(host.as_str().ok_or("host: expected strings")?.to_owned());
                }
            }
            ("host", _) => return Err("host: expected a string".to_owned()),
            (key, value) => settings
                .set_value(key, value)
                .map_err(|error| format!("{key}: {error}"))?,
        }
    }
    if hosts.is_empty() {
        return Err("host is missing".to_owned());
    }
    Ok(Rule { hosts, settings })
}

/// `*` is any run of characters; networks stand for addresses in them.
fn host_fits(pattern: &str, host: &str) -> bool {
    if let (Ok(network), Ok(address)) = (pattern.parse::<Network>(), host.parse::<IpAddr>()) {
        return network.contains(address);
    }
    let (pattern, host) = (pattern.to_ascii_lowercase(), host.to_ascii_lowercase());
    let mut pieces = pattern.split('*');
    let Some(mut rest) = host.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl Book {
    pub(crate) fn find(&self, name: &str) -> Option<&Bookmark> {
        self.bookmarks.iter().find(|it| it.name == name)
    }

    /// What is said about a server; without a port about all servers of the host.
    pub(crate) fn settings(&self, host: &str, port: Option<u16>) -> Settings {
        let bookmarks = self.bookmarks.iter().filter(|it| {
            let Endpoint {
                host: own,
                port: at,
            } = it.target.endpoint();
            own.eq_ignore_ascii_case(host) && port.is_none_or(|port| port == *at)
        });
        let rules = self
            .rules
            .iter()
            .filter(|it| it.hosts.iter().any(|pattern| host_fits(pattern, host)));
        bookmarks
            .map(|it| &it.settings)
            .chain(rules.map(|it| &it.settings))
            .fold(Settings::default(), Settings::or)
    }

    /// What `bookmark:NAME`, `bookmark:NAME/below` or `bookmark:NAME//from/the/root` stands for.
    pub(crate) fn address(&self, reference: &str) -> Result<String, Failure> {
        let (name, below) = match reference.split_once('/') {
            Some((name, below)) => (name, Some(below)),
            None => (reference, None),
        };
        let Some(bookmark) = self.find(name) else {
            let shown = wharf_proto::visible(name.as_bytes());
            return Err(Failure::usage(format!("no bookmark has the name {shown}"))
                .with_hint("`wharf bookmark list`"));
        };
        let address = &bookmark.address;
        Ok(match below {
            None => address.clone(),
            Some(below) => {
                // A name may hold a semicolon, an address of a directory has no use for ;type=.
                let plain = address.split(";type=").next().unwrap_or(address);
                let authority = plain.find("://").map_or(0, |at| at + 3);
                let end = plain[authority..]
                    .find('/')
                    .map_or(plain.len(), |at| authority + at);
                match below.strip_prefix('/') {
                    Some(_) => format!("{}/{below}", &plain[..end]),
                    None => format!("{}/{below}", plain.trim_end_matches('/')),
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOK: &str = r#"
        [bookmark.work]
        address = "ftpes://me@ftp.example.org:2121/in/"
        mode = "pasv"
        [bookmark.pub]
        address = "ftp://ftp.example.net"
        [[for]]
        host = "*.example.org"
        mode = "active"
        proxy = "socks5h://127.0.0.1"
        [[for]]
        host = ["192.0.2.0/24", "*"]
        tls_max = "1.2"
    "#;

    #[test]
    fn bookmarks_are_addresses() {
        let book: Book = BOOK.parse().unwrap();
        for (reference, address) in [
            ("work", "ftpes://me@ftp.example.org:2121/in/"),
            ("work/", "ftpes://me@ftp.example.org:2121/in/"),
            ("work/a%20b", "ftpes://me@ftp.example.org:2121/in/a%20b"),
            ("work//etc/x", "ftpes://me@ftp.example.org:2121//etc/x"),
            ("pub", "ftp://ftp.example.net"),
            ("pub/a/b/", "ftp://ftp.example.net/a/b/"),
        ] {
            let found = book.address(reference).unwrap();
            assert_eq!(found, address, "{reference}");
            found.parse::<Target>().unwrap();
        }
        assert!(book.address("nobody/x").is_err());
    }

    #[test]
    fn the_first_that_says_something_counts() {
        let book: Book = BOOK.parse().unwrap();
        let text = |host: &str, port| format!("{:?}", book.settings(host, port));
        let work = text("FTP.example.org", Some(2121));
        assert!(
            work.contains("Some(Pasv)") && work.contains("socks5h"),
            "{work}"
        );
        let other = text("ftp.example.org", Some(21));
        assert!(
            other.contains("Some(Active)") && other.contains("Only12"),
            "{other}"
        );
        assert!(text("ftp.example.org", None).contains("Some(Pasv)"));
        assert!(!text("example.org", Some(21)).contains("Active"));
    }

    #[test]
    fn patterns_fit_hosts() {
        for (pattern, host, fits) in [
            ("*", "x", true),
            ("*.a.b", "x.a.b", true),
            ("*.a.b", "a.b", false),
            ("x.*.b", "x.1.2.b", true),
            ("x*y*z", "xyz", true),
            ("x*y*z", "xz", false),
            ("aba", "ab", false),
            ("a*a", "a", false),
            ("host", "HOST", true),
            ("192.0.2.0/24", "192.0.2.77", true),
            ("192.0.2.0/24", "192.0.3.77", false),
            ("", "x", false),
        ] {
            assert_eq!(host_fits(pattern, host), fits, "{pattern} {host}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, part) in [
            ("[bookmark.a]\n", "[bookmark.a]: address is missing"),
            (
                "[bookmark.a]\naddress = \"http://x\"",
                "[bookmark.a]: address: not an ftp:// address",
            ),
            (
                "[bookmark.a]\naddress = \"ftp://u:p@x\"",
                "passwords do not belong here",
            ),
            (
                "[bookmark.a]\naddress = \"ftp://x\"\nmod = \"pasv\"",
                "mod: no such key",
            ),
            (
                "[bookmark.a]\naddress = \"ftp://x\"\nmode = 1",
                "mode: expected a string",
            ),
            (
                "[bookmark.\"a/b\"]\naddress = \"ftp://x\"",
                "a name has no blanks",
            ),
            (
                "[[for]]\nmode = \"pasv\"",
                "[[for]] number 1: host is missing",
            ),
            ("[server]\n", "server: there is [bookmark.NAME]"),
            ("\n\n[bookmark", "line 3"),
        ] {
            let error = text.parse::<Book>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
