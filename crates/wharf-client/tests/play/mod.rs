//! Runs one transcript.

mod server;
mod trust;
mod user;

use std::time::Duration;

use wharf_client::memory::{Experience, Loser, Memory};
use wharf_client::{DataHost, Endpoint, Options, Tls, TlsChoice};
use wharf_net::tls::TlsVersions;
use wharf_sim::{Filter, Gateway, Verdict, World};

/// A transcript: what it sets, what the client does, what the server does.
pub(crate) struct Play {
    pub(crate) options: Options,
    pub(crate) features: Vec<String>,
    inbound_dropped: bool,
    /// Where the memory is, if there is one.
    state: Option<tempfile::TempDir>,
    pub(crate) operations: Vec<String>,
    results: Vec<String>,
    pub(crate) script: Vec<(usize, String)>,
}

/// Plays it; the error is a difference, with the line where there is one.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let play = Play::read(text)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(play.run())
}

impl Play {
    fn read(text: &str) -> Result<Self, String> {
        let mut play = Self {
            options: Options {
                tls: Tls {
                    trust: trust::read("the server"),
                    ..Tls::default()
                },
                ..Options::default()
            },
            features: Vec::new(),
            inbound_dropped: false,
            state: None,
            operations: Vec::new(),
            results: Vec::new(),
            script: Vec::new(),
        };
        for (at, line) in text.lines().enumerate() {
            let line = line.trim_end();
            let number = at + 1;
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(operation) = line.strip_prefix(": ") {
                play.operations.push(operation.to_owned());
            } else if let Some(result) = line.strip_prefix("= ") {
                play.results.push(result.to_owned());
            } else if line.starts_with(['>', '<', '!', '@'])
                || line.starts_with("scout ")
                || matches!(line, "login" | "login anew" | "again" | "back" | "hang up")
                || matches!(line, "login tls" | "login tls anew" | "tls" | "clear")
            {
                play.script.push((number, line.to_owned()));
            } else {
                let (key, value) = line
                    .split_once(": ")
                    .ok_or(format!("line {number}: not understood: {line}"))?;
                play.set(key, value)
                    .map_err(|why| format!("line {number}: {why}"))?;
            }
        }
        Ok(play)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let options = &mut self.options;
        match key {
            "mode" => options.data_mode = value.parse().map_err(|it| format!("{it}"))?,
            "data-host" => {
                options.data_host = value.parse::<DataHost>().map_err(|it| format!("{it}"))?;
            }
            "data-timeout" => options.data_timeout = Some(time(value)),
            "active-addr" => options.active_addr = Some(value.parse().unwrap()),
            "port-range" => options.port_range = Some(value.parse().unwrap()),
            "stall-timeout" => options.stall_timeout = time(value),
            "completion-timeout" => options.completion_timeout = time(value),
            "confirmation-timeout" => options.confirmation_timeout = time(value),
            "reply-timeout" => options.reply_timeout = time(value),
            "listing-limit" => options.listing_limit = value.parse().unwrap(),
            "list-hidden" => options.list_hidden = value == "yes",
            "features" => self.features = value.split(", ").map(str::to_owned).collect(),
            "tls" if value == "implicit" => {
                options.tls.choice = TlsChoice::Require;
                options.tls.implicit = true;
            }
            "tls" => options.tls.choice = value.parse().map_err(|it| format!("{it}"))?,
            "ccc" => options.tls.ccc = value.parse().map_err(|it| format!("{it}"))?,
            "tls-versions" => {
                options.tls.versions = match value {
                    "1.2" => TlsVersions::Only12,
                    "1.3" => TlsVersions::Only13,
                    _ => TlsVersions::All,
                }
            }
            // What an earlier run has found to work, or not to.
            "works" | "fails" => {
                let state = tempfile::tempdir().unwrap();
                let memory = Memory::at(state.path().join("ways"));
                let fails = key == "fails";
                let failed = Experience {
                    winner: (!fails).then(|| value.to_owned()),
                    losers: fails
                        .then(|| Loser {
                            way: value.to_owned(),
                            reason: String::new(),
                        })
                        .into_iter()
                        .collect(),
                };
                let (server, peer) = (Endpoint::new("server", 21), [192, 0, 2, 1].into());
                let (own, now) = ([198, 51, 100, 7].into(), std::time::SystemTime::now());
                memory.learn(&server, peer, own, &failed, now);
                options.memory = Some(std::sync::Arc::new(memory));
                self.state = Some(state);
            }
            "trust" => options.tls.trust = trust::read(value),
            "inbound" => self.inbound_dropped = value == "drop",
            _ => return Err(format!("unknown setting: {key}")),
        }
        Ok(())
    }

    async fn run(self) -> Result<(), String> {
        let world = World::new();
        let filter = Filter::only(&[(1, 5999)], Verdict::Drop);
        let near = world.site(World::INTERNET, Gateway::router().inbound(filter));
        world.add_host("server", near, ["192.0.2.1"]);
        let mut gateway = Gateway::router();
        if self.inbound_dropped {
            gateway = gateway.inbound(Filter::nothing(Verdict::Drop));
        }
        let far = world.site(World::INTERNET, gateway);
        world.add_host("client", far, ["198.51.100.7"]);
        world.add_host("stranger", World::INTERNET, ["203.0.113.66"]);
        world.add_host("elsewhere", World::INTERNET, ["203.0.113.80"]);

        let expected = self.results.clone();
        let serving = server::play(world.clone(), self.script.clone(), self.features.clone());
        let using = user::play(
            world.host("client"),
            self.options.clone(),
            self.operations.clone(),
        );
        let both = Box::pin(async { tokio::join!(serving, using) });
        let (served, seen) = tokio::time::timeout(Duration::from_hours(1), both)
            .await
            .map_err(|_| "the dialogue does not come to an end".to_owned())?;
        let agree = seen.len() == expected.len()
            && seen
                .iter()
                .zip(&expected)
                .all(|(seen, expected)| fits(seen, expected));
        if served.is_err() || !agree {
            let served = served.err().unwrap_or_default();
            return Err(format!(
                "{served}\nexpected:\n  {}\nseen:\n  {}\n",
                expected.join("\n  "),
                seen.join("\n  ")
            ));
        }
        Ok(())
    }
}

/// `*` at the end stands for anything.
pub(crate) fn fits(seen: &str, expected: &str) -> bool {
    match expected.strip_suffix('*') {
        Some(beginning) => seen.starts_with(beginning),
        None => seen == expected,
    }
}

/// `2s`, `1.5s`, `300ms`.
pub(crate) fn time(text: &str) -> Duration {
    match text.strip_suffix("ms") {
        Some(millis) => Duration::from_millis(millis.parse().unwrap()),
        None => Duration::from_secs_f64(text.trim_end_matches('s').parse().unwrap()),
    }
}

/// `\r`, `\n`, `\\`, `\xNN`.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => match rest.next().unwrap() {
                b'r' => bytes.push(b'\r'),
                b'n' => bytes.push(b'\n'),
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    bytes.push(
                        u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap(),
                    );
                }
                other => bytes.push(other),
            },
            other => bytes.push(other),
        }
    }
    bytes
}

/// The other direction, for results.
pub(crate) fn escape(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            b'\r' => "\\r".to_owned(),
            b'\n' => "\\n".to_owned(),
            b' '..=b'~' => char::from(*byte).to_string(),
            other => format!("\\x{other:02x}"),
        })
        .collect()
}
