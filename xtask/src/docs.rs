//! The documents that are made from the code: written, or compared with what is committed.

use std::fmt::Write as _;
use std::path::Path;

use wharf_proto::{DuringTransfer, VERBS};

use crate::figures;
use crate::run::{Outcome, cargo, note, root};

/// Sessions of the lab, recorded: the figures of the documents.
const CAPTURES: &str = "crates/wharf-ladder/tests/captures";

/// Columns of a figure.
const FIGURE_WIDTH: &str = "80";

/// Columns of the help.
const HELP_WIDTH: &str = "100";

/// Makes a document's text.
type Maker = fn() -> Result<String, String>;

/// Path, and what makes its text.
const DOCUMENTS: &[(&str, Maker)] = &[
    ("docs/commands.md", commands),
    ("docs/conformance.md", conformance),
    ("docs/settings.md", settings),
    ("docs/command-line.md", command_line),
    ("docs/errors.md", errors),
];

pub(crate) fn docs(check: bool) -> Outcome {
    let mut stale = Vec::new();
    let mut keep = |path: &str, text: &str| {
        let file = root().join(path);
        let old = std::fs::read_to_string(&file).unwrap_or_default();
        if old == text {
            note(&format!("docs: {path}: up to date"));
        } else if check {
            stale.push(path.to_owned());
        } else {
            std::fs::write(&file, text).map_err(|e| format!("{path}: {e}"))?;
            note(&format!("docs: {path}: written"));
        }
        Ok::<(), String>(())
    };
    for (path, make) in DOCUMENTS {
        keep(path, &make()?)?;
    }
    for path in figures::DOCUMENTS {
        let text =
            std::fs::read_to_string(root().join(path)).map_err(|e| format!("{path}: {e}"))?;
        let filled = figures::fill(&text, |args| wharf(args, FIGURE_WIDTH))
            .map_err(|e| format!("{path}: {e}"))?;
        keep(path, &filled)?;
    }
    for name in captures()? {
        let capture = format!("{CAPTURES}/{name}.pcap");
        let drawn = wharf(&["ladder", &capture, "--format", "svg"], FIGURE_WIDTH)?;
        keep(&format!("docs/figures/{name}.svg"), &drawn)?;
    }
    installed()?;
    if stale.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "{} out of date; run: cargo xtask docs",
            stale.join(", ")
        ))
    }
}

/// All verbs, from the one table.
#[expect(clippy::unnecessary_wraps, reason = "one signature for all documents")]
fn commands() -> Result<String, String> {
    let mut out = String::from(
        "# Commands\n\n\
         Made from the verb table by `cargo xtask docs`; do not edit.\n\n\
         \"Login\" says whether the command needs one. \"Keeps markers\" says whether what REST or RNFR\n\
         left survives it. \"Replies\" are those that the command's RFC lists; a few others may answer any\n\
         command and are not repeated here (`wharf_proto::Verb::allows`).\n\n\
         | command | login | keeps markers | during a transfer | replies | ours besides | source | what it does |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for verb in VERBS {
        let aliases = match verb.aliases {
            [] => String::new(),
            words => format!(" ({})", words.join(", ")),
        };
        let _ = writeln!(
            out,
            "| `{}`{aliases} | {} | {} | {} | {} | {} | {} | {} |",
            verb.syntax.replace('|', "\\|"),
            yes(verb.needs_login),
            yes(verb.keeps_markers),
            match verb.during_transfer {
                DuringTransfer::Answer => "answered at once",
                DuringTransfer::Abort => "aborts it",
                DuringTransfer::Quit => "answered, ends the session afterwards",
                DuringTransfer::Wait => "waits",
            },
            codes(verb.replies),
            codes(verb.beyond),
            verb.rfc,
            verb.help.replace('|', "\\|"),
        );
    }
    Ok(out)
}

fn codes(codes: &[u16]) -> String {
    let codes: Vec<String> = codes.iter().map(u16::to_string).collect();
    codes.join(" ")
}

fn yes(it_does: bool) -> &'static str {
    if it_does { "yes" } else { "" }
}

/// The commented example that the program itself prints.
fn settings() -> Result<String, String> {
    Ok(format!(
        "# Settings\n\n\
         What `wharf serve --config FILE` reads. Made from `wharf help config` by `cargo xtask docs`; do\n\
         not edit.\n\n```toml\n{}```\n",
        wharf(&["help", "config"], HELP_WIDTH)?
    ))
}

/// The catalogue of errors.
fn errors() -> Result<String, String> {
    wharf(&["help", "errors"], HELP_WIDTH)
}

/// What an installation takes from the program itself: nothing of it is committed, but it must come out.
fn installed() -> Outcome {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let text = wharf(&["completions", shell], HELP_WIDTH)?;
        if !text.contains("wharf") {
            return Err(format!("completions for {shell} are empty"));
        }
    }
    let page = wharf(&["man"], HELP_WIDTH)?;
    if !page.contains(".TH wharf 1") {
        return Err("wharf(1) has no title".to_owned());
    }
    note("docs: completions and manual pages come out");
    Ok(())
}

/// Every command's own help.
fn command_line() -> Result<String, String> {
    const COMMANDS: &[&str] = &[
        "serve",
        "check",
        "user",
        "get",
        "put",
        "ls",
        "cat",
        "rm",
        "mkdir",
        "rmdir",
        "mv",
        "stat",
        "ftp",
        "forget",
        "doctor",
        "firewall",
        "ladder",
        "proxy",
        "explain",
        "completions",
        "man",
    ];
    let mut out = String::from(
        "# Command line\n\n\
         What `wharf` prints about itself. Made by `cargo xtask docs`; do not edit.\n",
    );
    for topic in ["exit-codes", "environment", "urls"] {
        let _ = write!(
            out,
            "\n## {topic}\n\n```text\n{}```\n",
            wharf(&["help", topic], HELP_WIDTH)?
        );
    }
    for command in COMMANDS {
        let _ = write!(
            out,
            "\n## wharf {command}\n\n```text\n{}```\n",
            wharf(&[command, "--help"], HELP_WIDTH)?
        );
    }
    Ok(out)
}

/// What the program prints for these arguments, the same on every machine.
fn wharf(args: &[&str], columns: &str) -> Result<String, String> {
    let mut command = cargo(&["run", "--quiet", "-p", "wharf", "--"]);
    let output = command
        .args(args)
        .env("NO_COLOR", "1")
        .env("COLUMNS", columns)
        .env("LC_ALL", "C.UTF-8")
        .current_dir(root())
        .output()
        .map_err(|e| format!("wharf {args:?}: {e}"))?;
    if !output.status.success() {
        return Err(format!("wharf {args:?}: {}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    Ok(lines.join("\n") + "\n")
}

/// Names of the recorded sessions, in order.
fn captures() -> Result<Vec<String>, String> {
    let entries =
        std::fs::read_dir(root().join(CAPTURES)).map_err(|e| format!("{CAPTURES}: {e}"))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".pcap").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

/// RFC section to test, read from the names of the tests in `crates/wharf-proto/tests/rfc*.rs`.
fn conformance() -> Result<String, String> {
    let mut out = String::from(
        "# Conformance\n\n\
         Which test holds which section. Made from the names of the tests by `cargo xtask docs`; do not\n\
         edit.\n",
    );
    let mut files = Vec::new();
    for krate in ["wharf-proto", "wharf-server"] {
        let folder = root().join("crates").join(krate).join("tests");
        let entries =
            std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        files.extend(entries.flatten().map(|e| e.path()).filter(|p| {
            p.file_stem()
                .and_then(|n| n.to_str())
                .is_some_and(|n| n.starts_with("rfc"))
        }));
    }
    files.sort_by_key(|p| (rfc_number(p).parse::<u32>().unwrap_or_default(), p.clone()));
    for file in files {
        let text =
            std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let rfc = rfc_number(&file);
        let shown = file
            .strip_prefix(root())
            .unwrap_or(&file)
            .display()
            .to_string();
        let _ = write!(
            out,
            "\n## RFC {rfc}\n\nIn `{shown}`.\n\n| section | what holds |\n|---|---|\n"
        );
        for line in text.lines() {
            let name = line
                .trim()
                .trim_start_matches("async ")
                .strip_prefix("fn s")
                .and_then(|rest| rest.split('(').next());
            if let Some((section, sentence)) = name.and_then(split_name) {
                let _ = writeln!(out, "| §{section} | {sentence} |");
            }
        }
    }
    Ok(out)
}

/// `tests/rfc959.rs` is about RFC 959.
fn rfc_number(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    stem.chars().filter(char::is_ascii_digit).collect()
}

/// `4_1_3_rnfr_must_be_followed` is section 4.1.3 and a sentence.
fn split_name(name: &str) -> Option<(String, String)> {
    let words: Vec<&str> = name.split('_').collect();
    let numbers = words
        .iter()
        .take_while(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_digit()))
        .count();
    if numbers == 0 || numbers == words.len() {
        return None;
    }
    Some((words[..numbers].join("."), words[numbers..].join(" ")))
}
