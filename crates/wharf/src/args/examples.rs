//! Examples of every command, for the end of its help and its manual page. A test reads each of them as the program would.

/// Command, and lines to type; two spaces or more begin a remark. Commands whose own help ends with examples are not here; a row
/// whose command is not built is left alone.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "check",
        "wharf check --config /etc/wharf/wharf.toml
wharf check /srv/ftp --users users.toml --listen :2121",
    ),
    (
        "user",
        "wharf user add alice --file users.toml                 asks for the password
wharf user add bob --file users.toml --home /bob --read-only
wharf user passwd alice --file users.toml
wharf user list --file users.toml --json",
    ),
    (
        "ban",
        "wharf ban list
wharf ban add 192.0.2.0/24 --for 2h --reason 'guesses passwords'
wharf ban remove 192.0.2.7",
    ),
    (
        "bookmark",
        "wharf bookmark add work ftpes://alice@ftp.example.org/incoming/ --set mode=passive
wharf put report.pdf bookmark:work/
wharf bookmark import filezilla --keyring auto              passwords go to the keyring
wharf bookmark list",
    ),
    (
        "get",
        "wharf get ftp://ftp.example.org/pub/notes.txt
wharf get -c ftp://ftp.example.org/pub/large.iso            goes on where it stopped
wharf get -O incoming ftp://alice@host/a ftp://alice@host/b
wharf get -o - ftp://host/list.gz | gunzip
wharf get --json ftp://host/file > events.ndjson            what happens, for programs",
    ),
    (
        "put",
        "wharf put report.pdf ftp://alice@host/incoming/
wharf put -c large.iso ftpes://alice@host/images/           goes on where it stopped
tar cz src | wharf put - ftp://alice@host/backup/src.tar.gz",
    ),
    (
        "ls",
        "wharf ls ftp://ftp.example.org/pub/
wharf ls -l ftp://alice@host/
wharf ls --json ftp://host/pub/ | jq -r .name",
    ),
    ("cat", "wharf cat ftp://ftp.example.org/pub/README"),
    (
        "rm",
        "wharf rm ftp://alice@host/old.txt ftp://alice@host/older.txt",
    ),
    (
        "mkdir",
        "wharf mkdir ftp://alice@host/new/
wharf mkdir -p ftp://alice@host/a/b/c/",
    ),
    ("rmdir", "wharf rmdir ftp://alice@host/empty/"),
    (
        "mv",
        "wharf mv ftp://alice@host/draft.txt final.txt
wharf mv ftp://alice@host/a.txt ftp://alice@host/archive/a.txt",
    ),
    (
        "stat",
        "wharf stat ftp://host/pub/file
wharf stat --json ftp://host/pub/file",
    ),
    (
        "forget",
        "wharf forget ftp.example.org
wharf forget --all",
    ),
    (
        "doctor",
        "wharf doctor ftp://alice@ftp.example.org/
wharf doctor --dialect ufw ftp://host/                      rules to add in this firewall's words
wharf doctor --server                                       on the server's own host",
    ),
    (
        "ladder",
        "wharf ladder session.trace
wharf ladder capture.pcap --format svg > session.svg",
    ),
    (
        "ftp",
        "ftp ftp.example.org
ftp -p alice@host:2121                                      passive only
ftp ftp://host/pub/file                                     downloads and ends
ftp -u ftp://alice@host/incoming/ report.pdf                uploads and ends",
    ),
    (
        "queue",
        "wharf queue add get ftp://host/large.iso
wharf queue list
wharf queue run",
    ),
    (
        "mirror",
        "wharf mirror ftp://ftp.example.org/pub/ pub
wharf mirror --dry-run --delete site ftp://alice@host/www/  what would be done
wharf mirror --check ftp://host/pub/ pub                    20 when they differ",
    ),
    ("watch", "wharf watch site ftp://alice@host/www/"),
    ("find", "wharf find ftp://ftp.example.org/pub/"),
    ("du", "wharf du ftp://ftp.example.org/pub/"),
    ("head", "wharf head ftp://ftp.example.org/pub/README"),
    ("tail", "wharf tail ftp://ftp.example.org/pub/README"),
    ("shell", "wharf shell ftp://alice@host/"),
    (
        "explain",
        "wharf explain WF-0701
wharf explain                                               lists all codes",
    ),
    (
        "completions",
        "wharf completions bash > /etc/bash_completion.d/wharf
wharf completions fish > ~/.config/fish/completions/wharf.fish",
    ),
    (
        "man",
        "wharf man get | man -l -
wharf man --install /usr/local/share/man/man1",
    ),
    (
        "help",
        "wharf help modes
wharf help get",
    ),
];

/// Puts the examples of every command between its flags and what its long help ends with.
pub(super) fn with_examples(mut command: clap::Command) -> clap::Command {
    for (name, _) in EXAMPLES {
        if command.find_subcommand(name).is_some() {
            command = command.mut_subcommand(name, |sub| of(name, sub));
        }
    }
    command
}

/// One command with its examples.
pub(super) fn of(name: &str, command: clap::Command) -> clap::Command {
    let Some((_, lines)) = EXAMPLES.iter().find(|(known, _)| *known == name) else {
        return command;
    };
    let mut text = String::from("Examples:\n");
    for line in lines.lines() {
        text.push_str("  ");
        text.push_str(line);
        text.push('\n');
    }
    let end = command.get_after_long_help().or(command.get_after_help());
    if let Some(end) = end {
        text.push('\n');
        text.push_str(&end.to_string());
    }
    command.after_long_help(text)
}

#[cfg(test)]
mod tests {
    use super::super::{ftp, wharf};

    /// The words of an example: without its remark, and up to a pipe or redirection.
    fn words(line: &str) -> Vec<String> {
        let line = line.trim();
        let line = line.split_once("  ").map_or(line, |(example, _)| example);
        let mut words = vec![String::new()];
        let mut quoted = false;
        for sign in line.chars() {
            match sign {
                '\'' => quoted = !quoted,
                '|' | '>' | '<' if !quoted => break,
                ' ' if !quoted => words.push(String::new()),
                sign => words.last_mut().expect("a word").push(sign),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    fn reads(line: &str) -> Result<(), String> {
        let line = line.trim().trim_start_matches("sudo ");
        // What stands before a pipe prepares what is shown.
        let line = line
            .split_once("| wharf")
            .map_or(line.to_owned(), |(_, rest)| format!("wharf{rest}"));
        let words = words(&line);
        let parser = match words.first().map(String::as_str) {
            Some("wharf") => wharf(),
            Some("ftp") => ftp("ftp"),
            _ => return Err(format!("no command of ours: {line}")),
        };
        let read = parser.try_get_matches_from(&words);
        read.map(drop).map_err(|error| format!("{line}: {error}"))
    }

    /// A line that ends with a backslash goes on in the next.
    fn whole_lines(block: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for line in block.lines() {
            match lines.last_mut() {
                Some(last) if last.ends_with('\\') => {
                    last.pop();
                    last.push_str(line.trim());
                }
                _ => lines.push(line.trim().to_owned()),
            }
        }
        assert!(!lines.is_empty());
        lines
    }

    #[test]
    fn every_command_has_examples_and_each_can_be_typed() {
        let mut command = wharf().term_width(1000);
        command.build();
        for sub in command.get_subcommands_mut() {
            let help = sub.render_long_help().to_string();
            let name = sub.get_name();
            let (_, behind) = help
                .split_once("\nExamples:\n")
                .unwrap_or_else(|| panic!("{name} has no examples: a row in args/examples.rs"));
            let block = behind.split("\n\n").next().unwrap_or_default();
            for line in whole_lines(block) {
                if let Err(fault) = reads(&line) {
                    panic!("{name}: {fault}");
                }
            }
        }
    }
}
