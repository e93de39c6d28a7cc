//! `set` and `unset`: options by name, with the environment as their beginning. And the prompts, which are two of them.

use wharf_client::Endpoint;
use wharf_proto::visible;

use super::connection::{port, text};
use super::{Shell, print};
use crate::exit::Failure;
use crate::via::Proxies;

/// Every option, and the variable that it begins with.
const NAMES: &[(&str, &str)] = &[
    ("anonpass", "FTPANONPASS"),
    ("ftp_proxy", "ftp_proxy"),
    ("no_proxy", "no_proxy"),
    ("pager", "PAGER"),
    ("prompt", "FTPPROMPT"),
    ("rprompt", "FTPRPROMPT"),
];

/// The port of gates (ftpgate/tcp).
const GATE_PORT: u16 = 21;

/// How it is told where to go (PASSERVE), in the words of `--proxy-login`.
const GATE_STYLE: &str = "gate";

/// Through whom `open` goes.
#[derive(Clone, Debug, Default)]
pub(super) struct GateChoice {
    pub(super) on: bool,
    /// `FTPSERVER` and `FTPSERVERPORT`, or what `gate` said.
    pub(super) server: Option<Endpoint>,
}

/// Options by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    values: Vec<(&'static str, String)>,
    pub(super) gate: GateChoice,
}

impl Options {
    pub(super) fn from_environment() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
        let values = NAMES
            .iter()
            .filter_map(|(name, variable)| Some((*name, set(variable)?)))
            .collect();
        let gate_port = set("FTPSERVERPORT").and_then(|it| it.parse().ok());
        Self {
            values,
            gate: GateChoice {
                on: false,
                server: set("FTPSERVER")
                    .map(|host| Endpoint::new(host, gate_port.unwrap_or(GATE_PORT))),
            },
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether there is such an option.
    pub(super) fn set(&mut self, name: &str, value: &str) -> bool {
        let Some((name, _)) = NAMES.iter().find(|(known, _)| *known == name) else {
            return false;
        };
        self.unset(name);
        self.values.push((name, value.to_owned()));
        true
    }

    pub(super) fn unset(&mut self, name: &str) -> bool {
        self.values.retain(|(known, _)| *known != name);
        NAMES.iter().any(|(known, _)| *known == name)
    }

    /// The program that shows a page at a time.
    pub(super) fn pager(&self) -> &str {
        self.get("pager").unwrap_or("less")
    }
}

/// A prompt as it is shown: `%m` the host, `%M` with its domain, `%n` the user, `%/` the local directory, `%%` a percent
/// sign; the sequences of tnftp.
pub(super) fn prompt(template: &str, host: &str, user: &str, directory: &str) -> String {
    let mut out = String::new();
    let mut letters = template.chars();
    let name = if host.is_empty() { "-" } else { host };
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('m') if name.parse::<std::net::IpAddr>().is_err() => {
                out.push_str(name.split('.').next().unwrap_or(name));
            }
            Some('m' | 'M') => out.push_str(name),
            Some('n') => out.push_str(if user.is_empty() { "-" } else { user }),
            Some('/' | '.' | 'c') => out.push_str(directory),
            Some('%') | None => out.push('%'),
            Some(other) => out.extend(['%', other]),
        }
    }
    out
}

impl Shell {
    /// What stands before a line.
    pub(super) fn prompt(&self) -> String {
        self.filled_prompt(self.options.get("prompt").unwrap_or("ftp> "))
    }

    pub(super) fn filled_prompt(&self, template: &str) -> String {
        if !template.contains('%') {
            return template.to_owned();
        }
        let user = self.now.user.as_deref().unwrap_or_default();
        let here = std::env::current_dir().unwrap_or_default();
        let here = visible(here.as_os_str().as_encoded_bytes());
        prompt(template, &self.now.host, user, &here)
    }

    /// The proxy of the connections to come: the gate, what `set` says, or the arguments.
    pub(super) fn choose_proxy(&mut self) {
        let mut via = self.via.clone();
        let set = |name| self.options.get(name).map(str::to_owned);
        let gate = &self.options.gate;
        if let (Some(server), true) = (&gate.server, gate.on) {
            via.proxy = Some(format!("ftp://{server}"));
            via.proxy_login = GATE_STYLE.parse().ok();
            via.no_proxy = None;
        } else if via.proxy.is_none() {
            // What was in the environment and is unset is no proxy.
            via.proxy = set("ftp_proxy").or_else(|| {
                let known = std::env::var_os("ftp_proxy").is_some_and(|it| !it.is_empty());
                known.then(|| "direct".to_owned())
            });
            via.no_proxy = via.no_proxy.or_else(|| set("no_proxy"));
        }
        self.connector.proxies = Proxies::from(&via);
    }

    /// `set [option value]`
    pub(super) fn set_option(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let (name, value) = match words {
            [] => {
                for (name, _) in NAMES {
                    let value = visible(self.options.get(name).unwrap_or_default().as_bytes());
                    print(&self.output, &format!("{name:<12}{value}"));
                }
                return Ok(());
            }
            [name, value] => (text(name)?, text(value)?),
            _ => return Err(Failure::usage("usage: set [option value]")),
        };
        if self.options.set(&name, &value) {
            self.choose_proxy();
            Ok(())
        } else {
            Err(unknown(&name))
        }
    }

    /// `unset option`
    pub(super) fn unset_option(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let name = text(&words[0])?;
        if self.options.unset(&name) {
            self.choose_proxy();
            Ok(())
        } else {
            Err(unknown(&name))
        }
    }

    /// `gate [on|off|host [port]]`
    pub(super) fn gate(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let gate = &self.options.gate;
        let mut wanted = gate.clone();
        match words {
            [] => wanted.on = !gate.on,
            [word] if word == b"on" => wanted.on = true,
            [word] if word == b"off" => wanted.on = false,
            [host, rest @ ..] => {
                let at = rest.first().map_or(Ok(GATE_PORT), |word| port(word))?;
                wanted.server = Some(self.endpoint(&text(host)?, Some(at))?);
                wanted.on = true;
            }
        }
        if wanted.on && wanted.server.is_none() {
            return Err(
                Failure::usage("Disabling gate mode - no gate-ftp server defined.")
                    .with_hint("gate HOST [PORT], or the variable FTPSERVER"),
            );
        }
        self.options.gate = wanted;
        self.choose_proxy();
        let gate = &self.options.gate;
        match (&gate.server, gate.on) {
            (Some(server), true) => self.say(&format!("Gate ftp: on, server {server}.")),
            _ => self.say("Gate ftp: off."),
        }
        Ok(())
    }
}

fn unknown(name: &str) -> Failure {
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    let name = visible(name.as_bytes());
    Failure::usage(format!("no such option: {name}")).with_hint(names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_hold_what_is_connected() {
        for (template, expected) in [
            ("ftp> ", "ftp> "),
            ("%m> ", "files> "),
            ("%M> ", "files.example.org> "),
            ("%n@%m:%/ ", "me@files:/home "),
            ("100%%", "100%"),
            ("%x%", "%x%"),
        ] {
            assert_eq!(
                prompt(template, "files.example.org", "me", "/home"),
                expected,
                "{template}"
            );
        }
        assert_eq!(prompt("%m %n", "", "", ""), "- -");
        assert_eq!(prompt("%m", "192.0.2.1", "", ""), "192.0.2.1");
    }

    #[test]
    fn options_are_known_by_name() {
        let mut options = Options::default();
        assert!(options.set("pager", "more"));
        assert!(options.set("pager", "cat"));
        assert_eq!(options.pager(), "cat");
        assert!(options.unset("pager"));
        assert_eq!(options.pager(), "less");
        assert!(!options.set("colour", "blue"));
        assert!(!options.unset("colour"));
    }
}
