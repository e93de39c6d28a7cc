//! The interactive client as people use it: every file in `sessions/` is played in a pseudo-terminal.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::boundary::{Place, Running, Server};
use crate::play::{Session, Stage, split};

/// So many at once: the time of a session is waiting.
const AT_ONCE: usize = 4;

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/sessions");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("the sessions")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> (String, String) {
    let name = path.file_stem().expect("a name").to_string_lossy();
    let text = std::fs::read_to_string(path).expect("a session");
    (name.into_owned(), text)
}

/// A second server, of `files2`.
fn second_server(place: &Place) -> (Running, String) {
    std::fs::create_dir_all(place.path("files2")).expect("a directory");
    let words = [
        "serve",
        "files2",
        "--listen",
        "127.0.0.1:0",
        "--user",
        "tester",
    ];
    let words = [&words[..], &["--password-file", "password"]].concat();
    let mut running = Running::start(place.command(words));
    let line = running.says("listening on ");
    let port = line.rsplit(':').next().expect("a port").to_owned();
    (running, port)
}

fn play(path: &Path) -> Result<(), String> {
    let (name, text) = read(path);
    let session = Session {
        name: &name,
        text: &text,
    };
    assert!(matches!(session.only(), None | Some("wharf")), "{name}");
    let place = Place::new();
    // One of the sessions is about TLS; the others do without, as their environment says.
    let server = Server::start_with(&place, &["--tls", "allowed"]);
    let second = session.wants_two().then(|| second_server(&place));
    let stage = Stage {
        directory: &place.path(""),
        wharf: Path::new(env!("CARGO_BIN_EXE_wharf")),
        host: "127.0.0.1".to_owned(),
        port: server.port().to_owned(),
        port2: second.map_or(String::new(), |(running, port)| {
            // It serves as long as this thread plays.
            SECOND.with_borrow_mut(|kept| *kept = Some(running));
            port
        }),
        user: "tester".to_owned(),
        password: "geheim".to_owned(),
    };
    let played = session.play(&stage);
    SECOND.with_borrow_mut(Option::take);
    played
}

thread_local! {
    static SECOND: std::cell::RefCell<Option<Running>> = const { std::cell::RefCell::new(None) };
}

#[test]
fn sessions_go_as_they_are_written() {
    let files = files();
    assert!(!files.is_empty());
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = play(path) {
                        failures.lock().expect("no panic").push(why);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panic");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// First words of what is typed, and what stands behind `$ ftp`.
fn used() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut commands, mut flags) = (BTreeSet::new(), BTreeSet::new());
    for path in files() {
        let (_, text) = read(&path);
        for line in text.lines() {
            if let Some(typed) = line.strip_prefix("ftp> ") {
                let words = split(typed);
                let first = words.first().cloned().unwrap_or_default();
                commands.insert(match first.strip_prefix('!') {
                    Some(_) => "!".to_owned(),
                    None => first,
                });
            }
            let run = line.strip_prefix("$ ").map(split).unwrap_or_default();
            if !run.first().is_some_and(|it| it.ends_with("ftp")) {
                continue;
            }
            for word in &run[1..] {
                if let Some(long) = word.strip_prefix("--") {
                    let name = long.split('=').next().unwrap_or(long);
                    flags.insert(format!("--{name}"));
                } else if let Some(letters) = word.strip_prefix('-') {
                    flags.extend(letters.chars().map(|letter| format!("-{letter}")));
                }
            }
        }
    }
    (commands, flags)
}

#[test]
fn every_command_is_in_a_session() {
    let place = Place::new();
    let (used, _) = used();
    let mut command = place.command_as("ftp", [""; 0]);
    command.stdin(std::process::Stdio::piped());
    let mut running = Running::start(command);
    running.feed(b"help\n").expect("it listens");
    let help = running.end().expect(0).text();
    let commands: Vec<&str> = help
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .collect();
    assert!(commands.len() > 110, "{help}");
    let missing: Vec<_> = commands.iter().filter(|it| !used.contains(**it)).collect();
    assert!(missing.is_empty(), "in no session: {missing:?}");
}

/// They need a program, or a standard input that is no terminal: the tests of bookmarks have them.
const ELSEWHERE: [&str; 3] = ["--password-stdin", "--askpass", "--keyring"];

#[test]
fn every_flag_is_in_a_session() {
    let place = Place::new();
    let (_, used) = used();
    let help = Running::start(place.command_as("ftp", ["--help"]))
        .end()
        .expect(0)
        .text();
    let mut missing = Vec::new();
    let mut count = 0;
    for line in help.lines() {
        let line = line.trim_start();
        if !line.starts_with('-') {
            continue;
        }
        // `-p, --passive` or `    --mode <MODE>`
        let names: Vec<&str> = line
            .split([' ', ',', '=', '['])
            .filter(|word| word.starts_with('-') && word.len() > 1)
            .take(2)
            .collect();
        // Each letter is tried; a flag without one by its name.
        let Some(name) = names.first() else {
            continue; // a line of text that begins with a dash
        };
        count += 1;
        let known = if name.starts_with("--") {
            *name
        } else {
            &name[..2]
        };
        if !used.contains(known) && !ELSEWHERE.contains(&known) {
            missing.push(known.to_owned());
        }
    }
    assert!(count > 40, "{help}");
    for alias in ["-?", "-C", "-b", "-S"] {
        if !used.contains(alias) {
            missing.push(alias.to_owned());
        }
    }
    assert!(missing.is_empty(), "in no session: {missing:?}");
}
