//! How clients log in through FTP proxies: dialogues as data.
//!
//! An FTP proxy is an FTP server that asks, in the words of FTP, where to go on to. No RFC says how, so every firewall had
//! its own way, and clients have a list of them. Here a way is a few lines with places for names in them, in the letters of
//! FileZilla: `%u` user, `%p` password, `%a` account, `%h` host (`host:port` unless the port is 21), `%s` the proxy's own
//! user, `%w` the proxy's own password. Besides, `%H` is the host alone and `%n` its port.
//!
//! Deliberately absent: SOCKS and HTTP, which know nothing of FTP and lead TCP connections (`wharf-net`).

use std::fmt;
use std::str::FromStr;

use crate::{Command, Reply, ReplyClass, Secret, Text};

/// The port that need not be said.
const CONTROL_PORT: u16 = 21;

/// The most lines of a dialogue of one's own.
const MOST_LINES: usize = 16;

/// A way in.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Its name, the word of `--proxy-login`.
    pub word: &'static str,
    /// What is said, in order.
    pub lines: &'static [&'static str],
    /// Who wants it so.
    pub seen_in: &'static str,
}

/// The known ones; the first is the usual one.
pub static STYLES: &[Style] = &[
    Style {
        word: "user@host",
        lines: &["USER %s", "PASS %w", "USER %u@%h", "PASS %p", "ACCT %a"],
        seen_in: "TIS ftp-gw, ftp.proxy, OpenBSD ftp-proxy as a gateway, wharf proxy; WinSCP types 2 and 5, FileZilla USER@HOST, ncftp types 1 and 2",
    },
    Style {
        word: "site",
        lines: &[
            "USER %s", "PASS %w", "SITE %h", "USER %u", "PASS %p", "ACCT %a",
        ],
        seen_in: "WinSCP type 1, FileZilla SITE, ncftp type 3",
    },
    Style {
        word: "open",
        lines: &[
            "USER %s", "PASS %w", "OPEN %h", "USER %u", "PASS %p", "ACCT %a",
        ],
        seen_in: "WinSCP type 3, FileZilla OPEN, ncftp type 4, lftp proxy-auth-type open",
    },
    Style {
        word: "two-logins",
        lines: &["USER %s", "PASS %w", "USER %u", "PASS %p", "ACCT %a"],
        seen_in: "WinSCP type 4: a proxy in front of one server",
    },
    Style {
        word: "proxyuser@host",
        lines: &["USER %s@%h", "PASS %w", "USER %u", "PASS %p", "ACCT %a"],
        seen_in: "WinSCP type 6, ncftp type 6, lftp proxy-user@host",
    },
    Style {
        word: "acct",
        lines: &["USER %u@%h %s", "PASS %p", "ACCT %w"],
        seen_in: "Raptor Eagle; WinSCP type 7, ncftp type 7, lftp joined-acct",
    },
    Style {
        word: "user@proxyuser@host",
        lines: &["USER %u@%s@%h", "PASS %p@%w", "ACCT %a"],
        seen_in: "WinSCP type 8, ncftp type 5, lftp joined",
    },
    Style {
        word: "proxypass@pass",
        lines: &["USER %u@%h", "PASS %w@%p", "ACCT %a"],
        seen_in: "SunScreen 3: the proxy's password comes first",
    },
    Style {
        word: "gate",
        lines: &["PASSERVE %H %n", "USER %u", "PASS %p", "ACCT %a"],
        seen_in: "gate-ftp of BSD/OS; tnftp's gate",
    },
];

/// A way in, from the table or of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialogue {
    lines: Vec<String>,
}

impl Default for Dialogue {
    fn default() -> Self {
        Self::of(STYLES.first().map_or(&[][..], |style| style.lines))
    }
}

/// Not a way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialogueError(String);

impl fmt::Display for DialogueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DialogueError {}

impl FromStr for Dialogue {
    type Err = DialogueError;

    /// A word of the table, or lines separated by `;`: `USER %s;PASS %w;USER %u@%h;PASS %p`.
    fn from_str(text: &str) -> Result<Self, DialogueError> {
        if let Some(style) = STYLES.iter().find(|style| style.word == text) {
            return Ok(Self::of(style.lines));
        }
        let wrong = |what: String| Err(DialogueError(what));
        if !text.contains('%') {
            let known: Vec<&str> = STYLES.iter().map(|style| style.word).collect();
            return wrong(format!(
                "known are {}, or lines with ; between them and %h in one",
                known.join(", ")
            ));
        }
        let lines: Vec<String> = text.split(';').map(|line| line.trim().to_owned()).collect();
        if lines.len() > MOST_LINES {
            return wrong(format!("more than {MOST_LINES} lines"));
        }
        for line in &lines {
            let verb = line.split(' ').next().unwrap_or_default();
            if verb.is_empty() || !verb.bytes().all(|it| it.is_ascii_alphabetic()) {
                return wrong(format!("{line:?} does not begin with a command"));
            }
            let mut letters = line.split('%').skip(1).map(|rest| rest.chars().next());
            if let Some(odd) = letters.find(|it| !it.is_some_and(|it| "upahswHn".contains(it))) {
                return wrong(format!(
                    "%{} means nothing; known are %u %p %a %h %H %n %s %w",
                    odd.unwrap_or(' ')
                ));
            }
        }
        Ok(Self { lines })
    }
}

/// Who logs in where, through which proxy's account.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The server that is wanted.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The user there.
    pub user: &'a Text,
    /// Its password.
    pub password: &'a Secret,
    /// Its account.
    pub account: Option<&'a Secret>,
    /// The proxy's own user. `None`: lines that name it are left out.
    pub proxy_user: Option<&'a Text>,
    /// The proxy's own password. `None`: lines that name it are left out.
    pub proxy_password: Option<&'a Secret>,
}

/// One line of a dialogue, with the names in it.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is sent. A password in it is masked wherever commands are shown.
    pub line: Text,
    /// What that is in FTP, as far as it is FTP.
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    User,
    Pass,
    Acct,
    Other,
}

impl Step {
    /// Whether it is sent, `last` being the reply before it: a password that nobody asked for is not told, neither is an
    /// account.
    pub fn is_wanted(&self, last: &Reply) -> bool {
        match self.kind {
            Kind::User | Kind::Other => true,
            Kind::Pass => last.code() == 331,
            Kind::Acct => last.code() == 332,
        }
    }

    /// Whether the dialogue goes on after this reply.
    pub fn is_borne(&self, reply: &Reply) -> bool {
        matches!(
            reply.class(),
            ReplyClass::Completion | ReplyClass::Intermediate
        )
    }
}

impl Dialogue {
    fn of(lines: &[&str]) -> Self {
        Self {
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    /// What is said for these names. Lines that need a name which is not there are left out; an account that nobody has
    /// makes the last reply (332) the end.
    ///
    /// # Errors
    /// A name or the host would end the line (CR, LF, NUL).
    pub fn steps(&self, names: &Names<'_>) -> Result<Vec<Step>, DialogueError> {
        let mut steps = Vec::new();
        for line in &self.lines {
            let Some(filled) = fill(line, names) else {
                continue;
            };
            let verb = line.split(' ').next().unwrap_or_default();
            let kind = match verb.to_ascii_uppercase().as_str() {
                "USER" => Kind::User,
                "PASS" => Kind::Pass,
                "ACCT" => Kind::Acct,
                _ => Kind::Other,
            };
            let line = Text::new(filled).map_err(|_| {
                DialogueError("a line break or NUL in a name for the FTP proxy".to_owned())
            })?;
            steps.push(Step { line, kind });
        }
        Ok(steps)
    }
}

/// `None`: a name is missing.
fn fill(line: &str, names: &Names<'_>) -> Option<Vec<u8>> {
    let mut filled = Vec::new();
    let mut pieces = line.split('%');
    filled.extend(pieces.next()?.as_bytes());
    for piece in pieces {
        let mut rest = piece.chars();
        let name: &[u8] = match rest.next()? {
            'u' => names.user.as_bytes(),
            'p' => names.password.expose(),
            'a' => names.account?.expose(),
            's' => names.proxy_user?.as_bytes(),
            'w' => names.proxy_password?.expose(),
            'H' => names.host.as_bytes(),
            'n' => {
                filled.extend(names.port.to_string().bytes());
                b""
            }
            _ => {
                filled.extend(names.host.as_bytes());
                if names.port != CONTROL_PORT {
                    filled.extend(format!(":{}", names.port).bytes());
                }
                b""
            }
        };
        filled.extend(name);
        filled.extend(rest.as_str().as_bytes());
    }
    Some(filled)
}

/// As a command where it is one that everybody knows, for the book-keeping of replies.
impl From<&Step> for Command {
    fn from(step: &Step) -> Self {
        Self::parse(step.line.as_bytes()).unwrap_or(Self::Noop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(dialogue: &Dialogue, port: u16, proxy: Option<(&str, &str)>, account: bool) -> String {
        let (user, password) = (Text::lossy("anna"), Secret::new(Text::lossy("pw")));
        let account = account.then(|| Secret::new(Text::lossy("acc")));
        let proxy_user = proxy.map(|(user, _)| Text::lossy(user));
        let proxy_password = proxy.map(|(_, password)| Secret::new(Text::lossy(password)));
        let names = Names {
            host: "ftp.example",
            port,
            user: &user,
            password: &password,
            account: account.as_ref(),
            proxy_user: proxy_user.as_ref(),
            proxy_password: proxy_password.as_ref(),
        };
        let steps = dialogue.steps(&names).unwrap();
        let lines: Vec<String> = steps
            .iter()
            .map(|it| it.line.display().to_string())
            .collect();
        lines.join("|")
    }

    #[test]
    fn every_style_says_its_lines() {
        let proxy = Some(("gate", "key"));
        for (word, with, without) in [
            (
                "user@host",
                "USER gate|PASS key|USER anna@ftp.example:2121|PASS pw",
                "USER anna@ftp.example:2121|PASS pw",
            ),
            (
                "site",
                "USER gate|PASS key|SITE ftp.example:2121|USER anna|PASS pw",
                "SITE ftp.example:2121|USER anna|PASS pw",
            ),
            (
                "open",
                "USER gate|PASS key|OPEN ftp.example:2121|USER anna|PASS pw",
                "OPEN ftp.example:2121|USER anna|PASS pw",
            ),
            (
                "two-logins",
                "USER gate|PASS key|USER anna|PASS pw",
                "USER anna|PASS pw",
            ),
            (
                "proxyuser@host",
                "USER gate@ftp.example:2121|PASS key|USER anna|PASS pw",
                "USER anna|PASS pw",
            ),
            (
                "acct",
                "USER anna@ftp.example:2121 gate|PASS pw|ACCT key",
                "PASS pw",
            ),
            (
                "user@proxyuser@host",
                "USER anna@gate@ftp.example:2121|PASS pw@key",
                "",
            ),
            (
                "gate",
                "PASSERVE ftp.example 2121|USER anna|PASS pw",
                "PASSERVE ftp.example 2121|USER anna|PASS pw",
            ),
            (
                "proxypass@pass",
                "USER anna@ftp.example:2121|PASS key@pw",
                "USER anna@ftp.example:2121",
            ),
        ] {
            let dialogue: Dialogue = word.parse().unwrap();
            assert_eq!(said(&dialogue, 2121, proxy, false), with, "{word}");
            assert_eq!(said(&dialogue, 2121, None, false), without, "{word}");
        }
        assert_eq!(STYLES.len(), 9, "a style without a row here");
        let usual = Dialogue::default();
        assert_eq!(
            said(&usual, 21, None, true),
            "USER anna@ftp.example|PASS pw|ACCT acc"
        );
    }

    #[test]
    fn a_dialogue_of_ones_own_is_read_and_a_wrong_one_is_not() {
        let own: Dialogue = "USER %u@%h@gate ; PASS %p;X %s".parse().unwrap();
        assert_eq!(
            said(&own, 21, None, false),
            "USER anna@ftp.example@gate|PASS pw"
        );
        for wrong in [
            "",
            "user",
            "USER %x",
            "USER %u;;PASS %p",
            "%h",
            "USER %",
            "U\r\n %h",
            &"A %h;".repeat(20),
        ] {
            assert!(wrong.parse::<Dialogue>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn nothing_is_told_that_nobody_asked_for() {
        let step = |line: &str, kind| Step {
            line: Text::lossy(line),
            kind,
        };
        let reply = |code| Reply::new(code, "so");
        for (step, code, wanted) in [
            (step("PASS x", Kind::Pass), 331, true),
            (step("PASS x", Kind::Pass), 230, false),
            (step("ACCT x", Kind::Acct), 230, false),
            (step("ACCT x", Kind::Acct), 332, true),
            (step("USER x", Kind::User), 230, true),
        ] {
            assert_eq!(step.is_wanted(&reply(code)), wanted, "{step:?} {code}");
            assert!(!step.is_borne(&reply(530)) && step.is_borne(&reply(331)));
        }
        let (evil, user, secret) = ("a\r\nDELE x", Text::lossy("u"), Secret::default());
        let names = Names {
            host: evil,
            port: 21,
            user: &user,
            password: &secret,
            account: None,
            proxy_user: None,
            proxy_password: None,
        };
        assert!(Dialogue::default().steps(&names).is_err());
    }
}
