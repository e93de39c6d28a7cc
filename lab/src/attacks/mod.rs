//! The attack table: what somebody may try against a server, one named row each, against wharf and its peers.
//!
//! Every row is one function that talks to whatever server it is given and says what it saw; the same code judges all
//! five. wharf has to be safe in every row; what the peers do is printed next to it (`docs/attacks.md` keeps a table).
//! Each row gets a server of its own, so that no row sees the bans and the wreckage of another.
//!
//! `control` is what is said on the control connection, `data` whose the data connections are, `files` the jail and the
//! disk, `login` passwords, `patience` who wastes time, `tls` what goes wrong around a handshake.

mod bounce;
mod control;
mod data;
mod files;
pub(crate) mod flood;
mod login;
mod patience;
pub(crate) mod race;
mod scene;
mod tls;

use std::time::Instant;

use self::scene::{Scene, Seen, Verdict};
use crate::server::{FOREIGN, Kind};
use crate::tally::{Matrix, Tally, concurrently};
use crate::{Result, Settings};

/// One attack.
struct Attack {
    name: &'static str,
    /// What a server must do, for the table in the documents.
    must: &'static str,
    probe: fn(&Scene) -> Result<Seen>,
}

const fn row(name: &'static str, must: &'static str, probe: fn(&Scene) -> Result<Seen>) -> Attack {
    Attack { name, must, probe }
}

/// In the order in which they are printed.
const ATTACKS: &[Attack] = &[
    row(
        "bounce, 30 forms of address",
        "no SYN to a third party or to a low port",
        bounce::bounce,
    ),
    row(
        "port stealing, download",
        "the stranger gets nothing, the client the file",
        data::steal_download,
    ),
    row(
        "port stealing, upload",
        "nothing of the stranger's is stored",
        data::steal_upload,
    ),
    row(
        "passive-port prediction",
        "the next port is a guess",
        data::prediction,
    ),
    row("EPSV ALL, then PASV and PORT", "refused", data::epsv_all),
    row(
        "HTTP POST with a login in its body",
        "closed, nothing executed",
        control::http_post,
    ),
    row(
        "HTTP GET and SMTP",
        "nothing executed, not served on",
        control::other_protocols,
    ),
    row(
        "bytes of TLS on a plain connection",
        "nothing executed",
        control::client_hello,
    ),
    row(
        "flood of commands, replies unread",
        "flat memory, others served",
        control::command_flood,
    ),
    row(
        "a line without an end",
        "flat memory, others served",
        control::endless_line,
    ),
    row(
        "a line of 70,000 bytes",
        "one refusal, or closed",
        control::long_line,
    ),
    row(
        "NUL, IAC and bare CR in commands",
        "no second command in a line",
        control::odd_bytes,
    ),
    row(
        "names with line breaks in listings",
        "no forged line",
        files::listing_injection,
    ),
    row(
        "globs and braces that explode",
        "an answer within 1 s, others served",
        files::glob_bombs,
    ),
    row(
        "path traversal, 20 forms",
        "nothing outside is reached",
        files::traversal,
    ),
    row(
        "symbolic links out of the tree",
        "nothing outside is reached",
        files::links_out,
    ),
    row(
        "links swapped while they are used",
        "nothing outside is reached",
        race::swapped,
    ),
    row(
        "offsets: huge, negative, far beyond the end",
        "refused, no file of a terabyte",
        files::offsets,
    ),
    row(
        "disk full over an existing file",
        "452, the old file stays",
        files::disk_full,
    ),
    row(
        "an upload that is cut",
        "the old file stays",
        files::cut_upload,
    ),
    row("quota", "552, what was there stays", files::quota),
    row(
        "users told apart by text",
        "the same replies",
        login::by_text,
    ),
    row("users told apart by time", "the same time", login::by_time),
    row(
        "brute force",
        "shut out, or slower than one a second",
        login::brute_force,
    ),
    row(
        "a banned address locks out nobody else",
        "others are served",
        login::others_served,
    ),
    row(
        "logins that cost much, at once",
        "others are served within 250 ms (p95)",
        login::hash_flood,
    ),
    row(
        "names that forge lines of the log",
        "one line, nothing raw",
        login::log_injection,
    ),
    row(
        "damaged configuration and user records",
        "does not start, or nobody gets in",
        login::malformed,
    ),
    row(
        "a byte a second on the control connection",
        "ended",
        patience::slow_control,
    ),
    row(
        "a byte a second on the data connection",
        "ended",
        patience::slow_data,
    ),
    row(
        "a download that nobody reads",
        "ended, or others served",
        patience::unread_download,
    ),
    row(
        "300 idle connections of one address",
        "others are served",
        patience::idle_sockets,
    ),
    row(
        "data ports taken and not used",
        "others get ports",
        patience::port_hoarding,
    ),
    row(
        "STARTTLS injection, one segment",
        "not executed",
        tls::injection,
    ),
    row(
        "STARTTLS injection, split",
        "not executed",
        tls::injection_split,
    ),
    row("ALPN h2 and http/1.1", "handshake refused", tls::alpn),
    row(
        "TLS for another name",
        "no certificate of another's name",
        tls::wrong_name,
    ),
    row(
        "data connection without resumption",
        "refused",
        tls::not_resumed,
    ),
    row(
        "TLS upload cut without close_notify",
        "not complete",
        tls::truncated,
    ),
    row(
        "PROT C, and login in clear, where TLS is required",
        "refused",
        tls::in_clear,
    ),
];

/// Runs the table.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let wanted: Vec<&Attack> = ATTACKS
        .iter()
        .filter(|it| settings.wants(it.name))
        .collect();
    let kinds: Vec<Kind> = [Kind::Wharf].into_iter().chain(FOREIGN).collect();
    let columns = concurrently(&kinds, kinds.len(), |kind| column(settings, *kind, &wanted));
    let mut heads = vec!["attack"];
    heads.extend(kinds.iter().map(|kind| kind.name()));
    let mut matrix = Matrix::new(&heads);
    let mut details = Vec::new();
    for (number, attack) in wanted.iter().enumerate() {
        let mut cells = Vec::new();
        for (kind, column) in kinds.iter().zip(&columns) {
            let seen = column.get(number).ok_or("a column is short")?;
            let what = format!("attacks / {} / {}", attack.name, kind.name());
            match (kind, seen.verdict) {
                (Kind::Wharf, Verdict::Safe) => tally.pass(),
                (Kind::Wharf, _) => tally.fail(&what, &seen.word),
                _ => {}
            }
            cells.push(seen.verdict.word().to_owned());
            details.push(format!(
                "{} | {} | {} | {}",
                attack.name,
                kind.name(),
                seen.verdict.word(),
                seen.word
            ));
        }
        matrix.push(attack.name, cells);
    }
    matrix.print("attacks: what each server does (n.a.: it does not have what is attacked)");
    println!("\nwhat was seen");
    for line in details {
        println!("  {line}");
    }
    if settings.full {
        println!("\n{}", markdown(&wanted, &kinds, &columns));
    }
    Ok(())
}

/// What one server does in every row.
fn column(settings: &Settings, kind: Kind, attacks: &[&Attack]) -> Vec<Seen> {
    let scene = match Scene::build(settings, kind) {
        Ok(scene) => scene,
        Err(failure) => return attacks.iter().map(|_| Seen::unknown(&failure)).collect(),
    };
    attacks
        .iter()
        .map(|attack| {
            let start = Instant::now();
            let seen = (attack.probe)(&scene).unwrap_or_else(|failure| Seen::unknown(&failure));
            let elapsed = start.elapsed();
            if elapsed.as_secs() >= 10 {
                eprintln!(
                    "attacks: {} with {}: {:.0} s",
                    attack.name,
                    kind.name(),
                    elapsed.as_secs_f64()
                );
            }
            seen
        })
        .collect()
}

/// The table of `docs/attacks.md`.
fn markdown(attacks: &[&Attack], kinds: &[Kind], columns: &[Vec<Seen>]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let mut lines = vec![
        format!("| attack | must be | {} |", names.join(" | ")),
        format!("|---|---|{}", "---|".repeat(kinds.len())),
    ];
    for (number, attack) in attacks.iter().enumerate() {
        let seen = columns.iter().filter_map(|column| column.get(number));
        let cells: Vec<String> = seen
            .map(|seen| {
                let word = seen.word.replace('|', "/");
                match seen.verdict {
                    Verdict::Unsafe => format!("**unsafe**: {word}"),
                    other => format!("{}: {word}", other.word()),
                }
            })
            .collect();
        lines.push(format!(
            "| {} | {} | {} |",
            attack.name,
            attack.must,
            cells.join(" | ")
        ));
    }
    lines.join("\n")
}
