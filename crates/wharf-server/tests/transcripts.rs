//! Plays the dialogues of `tests/transcripts/*.txt` on a world with virtual time.
//!
//! | line | meaning |
//! |---|---|
//! | `# text` | a comment |
//! | `% one_port on`, `% data_port LO-HI` | in the first lines: how the server is configured |
//! | `% tls`, `% tls_control WHEN`, `% tls_data WHEN`, `% tls_session WHEN`, `% truncation lenient`, `% ccc`, `% implicit`, `% prefer_for USER`, `% certificates WHEN` | and its TLS |
//! | `+` | opens a control connection; the first one is opened without asking; `+ v6` over IPv6; `+ implicit` to port 990 |
//! | `> LINE` | the user sends a line; several in a row go out in one segment |
//! | `>> BYTES` | the user sends exactly these bytes |
//! | `< GLOB` | the next line of the server's replies; `*` stands for anything |
//! | `<` | the server says nothing now |
//! | `-` | the server closes the control connection |
//! | `@ 30s` | time passes; `@ <100ms`: no more than this passed since the last `>` |
//! | `! open`, `! listen`, `! accept` | the user's side of the data connection |
//! | `! stranger` | another host connects to the passive port, and is dropped |
//! | `! greeted` | another host connects to the passive port, and gets a 220 |
//! | `! second`, `! second greeted`, `! second leaves` | one more connection from the user's host to that port, later a 220 on it, its end |
//! | `! send BYTES`, `! close`, `! reset` | what the user does with it |
//! | `! read BYTES`, `! line GLOB`, `! end`, `! broken` | what the user sees of it; `end` is a clean end |
//! | `! got BYTES` | `read` and `end` |
//! | `! tls`, `! tls refused`, `! clear` | TLS begins on the control connection, or does not; ends (CCC) |
//! | `! tls by NAME`, `! tls by NAME 1.2` | the user shows the certificate of that name; `ended` and `foreign` are not believed |
//! | `! secure`, `! secure anew` | on the data connection, with the control connection's session or without |
//! | `! cut` | ends the data connection and not TLS |
//! | `= PATH BYTES`, `= PATH -` | what is in the store under a name, or that nothing is |
//!
//! `\r`, `\n`, `\\` and `\xNN` stand for bytes. `$PORT` and `$EPRT` in a line are the arguments that
//! name the address of `! listen`.

mod stage;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use stage::client::Client;
use stage::{Stage, path};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_net::Conn;
use wharf_net::tls::TlsVersions;
use wharf_proto::host_port::{write_eprt, write_port};
use wharf_server::{Config, OnePort, SharedAddress};
use wharf_server::{DataSession, Requirement, TlsException, Truncation, Who};
use wharf_storage::Storage;

#[test]
fn every_transcript_holds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut failures = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        if let Err((line, what)) = runtime.block_on(play(&text)) {
            let _ = writeln!(failures, "{name}:{line}: {what}");
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

async fn play(text: &str) -> Result<(), (usize, String)> {
    let settings = text.lines().filter_map(|line| line.strip_prefix("% "));
    let stage = Stage::with(|config| settings.for_each(|line| configure(config, line))).await;
    let mut client = Client::connect(&stage).await;
    let mut offered: Option<SocketAddr> = None;
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        let number = at + 1;
        let line = lines[at];
        at += 1;
        let fail = |what: String| Err((number, what));
        let (sign, rest) = line.split_at(line.find(' ').unwrap_or(line.len()));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match sign {
            "" | "#" | "%" => {}
            "+" if rest == "implicit" => client = Client::connect_implicit(&stage).await,
            "+" if rest == "v6" => client = Client::connect_v6(&stage).await,
            "+" => client = Client::connect(&stage).await,
            ">" => {
                let mut burst = sent(rest, offered);
                while let Some(more) = lines.get(at).and_then(|line| line.strip_prefix("> ")) {
                    burst.extend(sent(more, offered));
                    at += 1;
                }
                client.send(&burst).await;
            }
            ">>" => client.send(&bytes(rest)).await,
            "<" if rest.is_empty() => {
                if !client.is_quiet().await {
                    return fail(format!("the server says {:?}", client.line().await));
                }
            }
            "<" => match client.line().await {
                Some(got) if matches(rest, &got) => {}
                got => return fail(format!("expected {rest:?}, got {got:?}")),
            },
            "-" => {
                if let Some(got) = client.line().await {
                    return fail(format!("expected the end, got {got:?}"));
                }
            }
            "@" => match rest.strip_prefix('<') {
                Some(limit) => {
                    let took = client.last_sent.elapsed();
                    if took > duration(limit) {
                        return fail(format!("took {took:?}"));
                    }
                }
                None => tokio::time::sleep(duration(rest)).await,
            },
            "=" => {
                let (name, content) = rest.split_once(' ').unwrap_or((rest, ""));
                let stored = content_of(&stage, name).await;
                let expected = (content != "-").then(|| bytes(content));
                if stored != expected {
                    return fail(format!("{name} holds {stored:?}"));
                }
            }
            "!" => {
                if let Err(what) = data(&mut client, rest, &mut offered).await {
                    return fail(what);
                }
            }
            _ => return fail(format!("not a line of a transcript: {line:?}")),
        }
    }
    Ok(())
}

fn configure(config: &mut Config, line: &str) {
    match line.split_once(' ') {
        Some(("one_port", "on")) => config.one_port = OnePort::On,
        Some(("one_port", "auto")) => config.one_port = OnePort::Auto,
        Some(("one_port", "off")) => config.one_port = OnePort::Off,
        Some(("data_port", ports)) => config.data_port = Some(ports.parse().unwrap()),
        Some(("passive_ports", ports)) => config.passive_ports = ports.parse().unwrap(),
        Some(("shared_address", "any")) => config.shared_address = SharedAddress::AnyUser,
        _ => configure_tls(config, line),
    }
}

fn configure_tls(config: &mut Config, line: &str) {
    if line == "implicit" {
        config.listen = vec!["[::]:21".parse().unwrap()];
        config.implicit_listen = vec!["[::]:990".parse().unwrap()];
    }
    let tls = config.tls.get_or_insert_with(stage::tls::policy);
    let requirement = |word: &str| match word {
        "off" => Requirement::Off,
        "allowed" => Requirement::Allowed,
        "required" => Requirement::Required,
        _ => panic!("no such requirement: {line}"),
    };
    match line.split_once(' ').unwrap_or((line, "")) {
        ("tls" | "implicit", "") => {}
        ("tls_control", word) => tls.control = requirement(word),
        ("tls_data", word) => tls.data = requirement(word),
        ("tls_session", "prefer") => tls.data_session = DataSession::Prefer,
        ("truncation", "lenient") => tls.truncation = Truncation::Lenient,
        ("ccc", "") => tls.ccc = true,
        ("certificates", word) => {
            tls.client_certificates = requirement(word);
            tls.tls = stage::tls::judging(word == "required");
        }
        ("prefer_for", user) => tls.exceptions.push(TlsException {
            who: Who::User(user.to_owned()),
            control: None,
            data: None,
            data_session: Some(DataSession::Prefer),
            truncation: None,
        }),
        _ => panic!("no such setting: {line}"),
    }
}

async fn data(
    client: &mut Client,
    line: &str,
    offered: &mut Option<SocketAddr>,
) -> Result<(), String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "tls" => {
            let (rest, versions) = match rest.strip_suffix(" 1.2") {
                Some(rest) => (rest, TlsVersions::Only12),
                None => (rest, TlsVersions::All),
            };
            let secured = client.secure(rest.strip_prefix("by "), versions).await;
            if secured.is_ok() == (rest == "refused") {
                return Err(format!("TLS: {secured:?}"));
            }
        }
        "clear" => client.clear().await?,
        "secure" => client.secure_data(rest == "anew").await?,
        "cut" => client.cut().await,
        "open" => client.open().await,
        "listen" => *offered = Some(client.listen().await),
        "accept" => {
            let from = client.accept().await;
            if !rest.is_empty() && !matches(rest, &from.to_string()) {
                return Err(format!("the data connection comes from {from}"));
            }
        }
        "stranger" => {
            let mut stranger = client.stranger().await;
            // The server looks at the port when a transfer command wants it.
            tokio::spawn(async move {
                let mut nothing = Vec::new();
                let end = stranger.read_to_end(&mut nothing).await;
                assert!(
                    end.is_err() && nothing.is_empty(),
                    "a stranger got {nothing:?}"
                );
            });
        }
        "greeted" => {
            let mut stranger = client.stranger().await;
            greeted(&mut stranger).await?;
        }
        "second" if rest.is_empty() => {
            client.open_second().await;
        }
        "second" => {
            let mut second = client.second.take().expect("a second connection");
            if rest == "greeted" {
                greeted(&mut second).await?;
            }
        }
        "send" => {
            let bytes = bytes(rest);
            let conn = client.data();
            conn.write_all(&bytes).await.map_err(|e| e.to_string())?;
            conn.flush().await.map_err(|e| e.to_string())?;
        }
        "close" => {
            client.data().shutdown().await.map_err(|e| e.to_string())?;
            client.data = None;
        }
        "reset" => client.data.take().expect("a data connection").abort(),
        "read" | "got" => {
            let expected = bytes(rest);
            let mut got = vec![0; expected.len()];
            client
                .data()
                .read_exact(&mut got)
                .await
                .map_err(|e| e.to_string())?;
            if got != expected {
                return Err(format!("got {:?}", String::from_utf8_lossy(&got)));
            }
            if word == "got" {
                end(client).await?;
            }
        }
        "line" => {
            let mut got = Vec::new();
            while !got.ends_with(b"\r\n") {
                got.push(
                    client
                        .data()
                        .read_u8()
                        .await
                        .map_err(|e| format!("{e} after {got:?}"))?,
                );
            }
            got.truncate(got.len() - 2);
            let got = String::from_utf8_lossy(&got).into_owned();
            if !matches(rest, &got) {
                return Err(format!("expected {rest:?}, got {got:?}"));
            }
        }
        "end" => end(client).await?,
        "broken" => {
            let mut rest = Vec::new();
            if client.data().read_to_end(&mut rest).await.is_ok() {
                return Err("the data connection ended cleanly".to_owned());
            }
            client.data = None;
        }
        _ => return Err(format!("nothing to do with a data connection: {word:?}")),
    }
    Ok(())
}

async fn greeted(conn: &mut Conn) -> Result<(), String> {
    let mut greeting = [0; 4];
    let read = conn.read_exact(&mut greeting).await;
    match read {
        Ok(_) if &greeting == b"220 " => Ok(()),
        _ => Err(format!("greeted with {greeting:?}: {read:?}")),
    }
}

async fn end(client: &mut Client) -> Result<(), String> {
    let mut rest = Vec::new();
    match client.data().read_to_end(&mut rest).await {
        Ok(_) if rest.is_empty() => {
            client.data = None;
            Ok(())
        }
        Ok(_) => Err(format!("more: {:?}", String::from_utf8_lossy(&rest))),
        Err(error) => Err(format!("no clean end: {error}")),
    }
}

async fn content_of(stage: &Stage, name: &str) -> Option<Vec<u8>> {
    let mut reader = stage.store.open(&path(name), 0).await.ok()?;
    let mut all = Vec::new();
    reader.read_to_end(&mut all).await.unwrap();
    Some(all)
}

fn sent(line: &str, offered: Option<SocketAddr>) -> Vec<u8> {
    let mut line = line.to_owned();
    if let Some(at) = offered {
        line = line.replace("$EPRT", &write_eprt(at));
        if let SocketAddr::V4(at) = at {
            line = line.replace("$PORT", &write_port(at));
        }
    }
    let mut bytes = bytes(&line);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            out.push(first);
            continue;
        }
        let (&escape, after) = rest.split_first().expect("something after a backslash");
        rest = after;
        match escape {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b'x' => {
                let (digits, after) = rest.split_at(2);
                out.push(u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
                rest = after;
            }
            other => out.push(other),
        }
    }
    out
}

fn duration(text: &str) -> Duration {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().unwrap();
    match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "min" => Duration::from_secs(number * 60),
        _ => panic!("not a duration: {text:?}"),
    }
}

/// `*` stands for any number of characters
fn matches(glob: &str, text: &str) -> bool {
    match glob.split_once('*') {
        None => glob == text,
        Some((head, tail)) => {
            let Some(rest) = text.strip_prefix(head) else {
                return false;
            };
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| matches(tail, &rest[at..]))
        }
    }
}
