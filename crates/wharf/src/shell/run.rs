//! One line of the session: look the command up, complete its arguments, do it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::Ordering;

use wharf_client::DataModeChoice;
use wharf_proto::{Format, Pathname, Reply, RepresentationType, Text, visible};

use super::connection::text;
use super::settings::{
    data_mode, mode_word, passive, representation, set_type, switch, switch_atomic, type_word,
};
use super::table::{self, Action, COMMANDS, NotFound, Row};
use super::transfer::Sink;
use super::{Shell, print, words};
use crate::exit::{Exit, Failure};
use crate::listing::Reader;
use crate::output::Output;
use crate::session;

type Words = [Vec<u8>];

/// Executes a line.
pub(super) async fn line(shell: &mut Shell, line: &[u8]) -> Result<(), Failure> {
    let mut words =
        words::split(line).map_err(|_| Failure::usage("a quotation mark is not closed"))?;
    if words.is_empty() {
        return Ok(());
    }
    let row = look_up(&words[0])?;
    let without_login = [Action::User, Action::Close];
    if row.connected && !without_login.contains(&row.action) {
        shell.client()?;
    }
    words.remove(0);
    if shell.interactive
        && let Some(client) = &mut shell.client
    {
        client.search_again(); // who has read why may have changed something
    }
    complete(shell, row, &mut words).await?;
    execute(shell, row.action, &words).await
}

fn look_up(word: &[u8]) -> Result<&'static Row, Failure> {
    table::find(word).map_err(|error| {
        let shown = visible(word);
        match error {
            NotFound::Unknown => {
                Failure::usage(format!("no such command: {shown}")).with_hint("help")
            }
            NotFound::Ambiguous(names) => {
                Failure::usage(format!("`{shown}` is ambiguous")).with_hint(names.join(", "))
            }
        }
    })
}

/// Asks for arguments that are missing.
async fn complete(shell: &mut Shell, row: &Row, words: &mut Vec<Vec<u8>>) -> Result<(), Failure> {
    let usage = || Failure::usage(format!("usage: {} {}", row.name, row.syntax));
    while words.len() < row.required.len() {
        if !shell.interactive {
            return Err(usage());
        }
        let question = format!("({}) ", row.required[words.len()]);
        let answer = shell.read_line(&question).await?.unwrap_or_default();
        let more = words::split(&answer).map_err(|_| usage())?;
        if more.is_empty() {
            return Err(usage());
        }
        words.extend(more);
    }
    Ok(())
}

async fn execute(shell: &mut Shell, action: Action, words: &Words) -> Result<(), Failure> {
    match action {
        Action::Active => {
            data_mode(shell, DataModeChoice::Active);
            Ok(())
        }
        Action::Append => shell.append(words).await,
        Action::Ascii => set_type(shell, RepresentationType::Ascii(Format::NonPrint)),
        Action::Auth => shell.auth(words).await,
        Action::Auto => {
            data_mode(shell, DataModeChoice::Auto);
            Ok(())
        }
        Action::Binary => set_type(shell, RepresentationType::Image),
        Action::Bye => bye(shell).await,
        Action::Cat => shell.cat(words).await,
        Action::Ccc => shell.ccc().await,
        Action::Cd => cd(shell, words).await,
        Action::Cdup => {
            let client = shell.client()?;
            client.change_dir_up().await.map(drop).map_err(failed)
        }
        Action::Chmod => chmod(shell, words).await,
        Action::Close => {
            shell.close().await;
            Ok(())
        }
        Action::Debug => {
            let switch = &shell.switches.debug;
            switch_atomic(switch, "debug", words, &shell.output)
        }
        Action::Delete => {
            for word in words {
                let path = pathname(word)?;
                shell.client()?.remove_file(&path).await.map_err(failed)?;
            }
            Ok(())
        }
        Action::Dir => list(shell, words, Listed::Lines).await,
        Action::Features => quote(shell, &[b"FEAT".to_vec()]).await,
        Action::Get => shell.get(words, false).await,
        Action::Glob => switch(&mut shell.glob, "glob", words, &shell.output),
        Action::Help => help(&shell.output, words),
        Action::Idle => {
            let mut line = b"IDLE".to_vec();
            append_words(&mut line, words);
            let reply = shell.client()?.site(Text::lossy(line)).await;
            answered(shell, reply)
        }
        Action::LocalCd => local_cd(shell, words),
        Action::LocalPwd => local_pwd(shell),
        Action::Mdelete => shell.mdelete(words).await,
        Action::Mget => shell.mget(words).await,
        Action::Mkdir => {
            let path = pathname(&words[0])?;
            shell
                .client()?
                .make_dir(&path)
                .await
                .map(drop)
                .map_err(failed)
        }
        Action::Modtime => modtime(shell, words).await,
        Action::Mput => shell.mput(words).await,
        Action::NameList => list(shell, words, Listed::Names).await,
        Action::Open => shell.open(words).await,
        Action::Passive => passive(shell, words),
        Action::Progress => switch(&mut shell.progress, "progress", words, &shell.output),
        Action::Prompt => switch(&mut shell.prompt, "prompt", words, &shell.output),
        Action::Prot => shell.prot(words).await,
        Action::Put => shell.put(words, false).await,
        Action::Pwd => {
            let path = shell.client()?.current_dir().await.map_err(failed)?;
            if !shell.switches.verbose() {
                print(&shell.output, &path.display().to_string());
            }
            Ok(())
        }
        Action::Quote => quote(shell, words).await,
        Action::Reget => shell.get(words, true).await,
        Action::RemoteHelp => {
            let about = words.first().map(Text::lossy);
            let reply = shell.client()?.help(about).await;
            answered(shell, reply)
        }
        Action::Rename => {
            let (from, to) = (pathname(&words[0])?, pathname(&words[1])?);
            shell
                .client()?
                .rename(&from, &to)
                .await
                .map(drop)
                .map_err(failed)
        }
        Action::Reput => shell.put(words, true).await,
        Action::Rmdir => {
            let path = pathname(&words[0])?;
            shell
                .client()?
                .remove_dir(&path)
                .await
                .map(drop)
                .map_err(failed)
        }
        Action::Shell => system_shell(words),
        Action::Site => {
            let mut line = Vec::new();
            append_words(&mut line, words);
            let reply = shell.client()?.site(Text::lossy(line)).await;
            answered(shell, reply)
        }
        Action::Size => size(shell, words).await,
        Action::Status => status(shell).await,
        Action::System => {
            let reply = shell.client()?.system().await;
            answered(shell, reply)
        }
        Action::Type => representation(shell, words),
        Action::User => shell.user(words).await,
        Action::Verbose => {
            let switch = &shell.switches.verbose;
            switch_atomic(switch, "verbose", words, &shell.output)
        }
    }
}

pub(super) fn failed(error: wharf_client::Error) -> Failure {
    session::failure(&error)
}

/// A word of the line as the server's name for something.
pub(super) fn pathname(word: &[u8]) -> Result<Pathname, Failure> {
    Pathname::new(word).map_err(|error| Failure::usage(format!("`{}`: {error}", visible(word))))
}

/// The reply is the answer that was asked for: shown even when replies are not.
fn answered(shell: &Shell, reply: wharf_client::Result<Reply>) -> Result<(), Failure> {
    let reply = reply.map_err(failed)?;
    if !shell.switches.verbose() {
        for line in reply.lines() {
            print(&shell.output, &visible(line.as_bytes()));
        }
    }
    Ok(())
}

fn append_words(line: &mut Vec<u8>, words: &Words) {
    for word in words {
        if !line.is_empty() {
            line.push(b' ');
        }
        line.extend_from_slice(word);
    }
}

async fn bye(shell: &mut Shell) -> Result<(), Failure> {
    shell.hang_up().await;
    shell.done = true;
    Ok(())
}

async fn cd(shell: &mut Shell, words: &Words) -> Result<(), Failure> {
    let path = pathname(&words[0])?;
    let client = shell.client()?;
    client.change_dir(&path).await.map(drop).map_err(failed)
}

async fn chmod(shell: &mut Shell, words: &Words) -> Result<(), Failure> {
    let mode = std::str::from_utf8(&words[0])
        .ok()
        .and_then(|word| u32::from_str_radix(word, 8).ok())
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| Failure::usage("the mode is a number like 644"))?;
    for word in &words[1..] {
        let path = pathname(word)?;
        shell.client()?.chmod(&path, mode).await.map_err(failed)?;
    }
    Ok(())
}

/// Which of the two listing commands.
#[derive(Clone, Copy)]
enum Listed {
    Lines,
    Names,
}

/// `dir [-a] [path [local-file]]`
async fn list(shell: &mut Shell, words: &Words, what: Listed) -> Result<(), Failure> {
    let mut rest = words;
    let mut hidden = false;
    // Flags of ls(1) that people type: `a` is known to most servers, the others are the default.
    while let Some((first, behind)) = rest.split_first() {
        let flag = first.len() > 1
            && first.starts_with(b"-")
            && first[1..].iter().all(u8::is_ascii_alphabetic);
        if !flag {
            break;
        }
        hidden |= first.iter().any(|letter| matches!(letter, b'a' | b'A'));
        rest = behind;
    }
    // `dir |more` lists the current directory.
    let (path, sink) = match rest {
        [] => (None, None),
        [only] if only.starts_with(b"|") => (None, Some(only)),
        [path] => (Some(path), None),
        [path, sink, ..] => (Some(path), Some(sink)),
    };
    let path = match path {
        Some(path) if !path.is_empty() => Some(pathname(path)?),
        _ => None,
    };
    let client = shell.client()?;
    client.set_list_hidden(hidden);
    let lines = match what {
        Listed::Lines => client.raw_list(path.as_ref()).await,
        Listed::Names => client.nlst(path.as_ref()).await,
    }
    .map_err(failed)?;
    let mut sink = match sink {
        Some(word) => Sink::create(word)?,
        None => Sink::Stdout,
    };
    let reader = match &sink {
        Sink::Stdout => Reader::of_stdout(),
        Sink::Pipe { .. } => Reader::Person,
        Sink::File { .. } => Reader::Program,
    };
    for line in lines {
        let mut line = reader.text(&line);
        line.push(b'\n');
        if !sink.write(&line)? {
            break;
        }
    }
    sink.finish()
}

async fn modtime(shell: &mut Shell, words: &Words) -> Result<(), Failure> {
    let path = pathname(&words[0])?;
    let time = shell.client()?.modified(&path).await.map_err(failed)?;
    let shown = time
        .and_then(|time| jiff::Timestamp::try_from(std::time::SystemTime::from(time)).ok())
        .map(|time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
        .ok_or_else(|| Failure::new(Exit::Denied, "the server does not tell times"))?;
    print(&shell.output, &format!("{}\t{shown}", path.display()));
    Ok(())
}

async fn size(shell: &mut Shell, words: &Words) -> Result<(), Failure> {
    let path = pathname(&words[0])?;
    let size = shell.client()?.size(&path).await.map_err(failed)?;
    let size = size.ok_or_else(|| Failure::new(Exit::Denied, "the server does not tell sizes"))?;
    print(&shell.output, &format!("{}\t{size}", path.display()));
    Ok(())
}

async fn quote(shell: &mut Shell, words: &Words) -> Result<(), Failure> {
    let mut line = Vec::new();
    append_words(&mut line, words);
    let verb = words[0].to_ascii_uppercase();
    let moves_data = ["RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD"];
    if moves_data.iter().any(|word| word.as_bytes() == verb) {
        return Err(Failure::usage(
            "a transfer cannot be quoted: nobody would serve its data connection",
        )
        .with_hint("get, put, append, dir, nlist"));
    }
    shell.switches.asked.store(true, Ordering::Relaxed);
    let reply = shell.client()?.quote(Text::lossy(line)).await;
    shell.switches.asked.store(false, Ordering::Relaxed);
    answered(shell, reply)
}

async fn status(shell: &mut Shell) -> Result<(), Failure> {
    let on = |value: bool| if value { "on" } else { "off" };
    let mut lines = Vec::new();
    match &shell.client {
        Some(client) => {
            lines.push(format!(
                "connected to {} ({})",
                shell.host,
                client.peer_addr()
            ));
            lines.push(super::security::line(client));
            lines.push(format!("type {}", type_word(client.representation())));
        }
        None => lines.push("not connected".to_owned()),
    }
    lines.push(data_line(shell));
    lines.push(format!(
        "verbose {}, debug {}, prompt {}, glob {}, progress {}",
        on(shell.switches.verbose()),
        on(shell.switches.debug.load(Ordering::Relaxed)),
        on(shell.prompt),
        on(shell.glob),
        on(shell.progress),
    ));
    for line in lines {
        print(&shell.output, &line);
    }
    if let Some(client) = &mut shell.client {
        let reply = client.status().await;
        return answered(shell, reply);
    }
    Ok(())
}

/// Data mode, the way that works, and whether the next run knows it.
fn data_line(shell: &Shell) -> String {
    let mode = format!("data mode {}", mode_word(shell.mode));
    let Some(client) = &shell.client else {
        return mode;
    };
    let works = match client.data_way() {
        Some(way) => format!("works: {way}"),
        None => "no data connection yet".to_owned(),
    };
    // What was chosen by hand is neither remembered nor looked up.
    let remembered = match (shell.mode, client.data_way(), client.remembered_way()) {
        (DataModeChoice::Auto, Some(way), Some(known)) if way == known => {
            " (remembered)".to_owned()
        }
        (DataModeChoice::Auto, _, Some(known)) => format!(", remembered: {known}"),
        (DataModeChoice::Auto, Some(_), None) => " (not remembered)".to_owned(),
        _ => String::new(),
    };
    format!("{mode}, {works}{remembered}")
}

fn local_cd(shell: &Shell, words: &Words) -> Result<(), Failure> {
    let goal = match words.first() {
        Some(word) => super::transfer::local_path(word),
        None => std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from),
    };
    std::env::set_current_dir(&goal).map_err(|error| {
        Failure::new(
            Exit::LocalFile,
            format!("cannot change to {}: {error}", goal.display()),
        )
    })?;
    if shell.switches.verbose() {
        local_pwd(shell)?;
    }
    Ok(())
}

fn local_pwd(shell: &Shell) -> Result<(), Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::new(Exit::LocalFile, format!("no current directory: {error}")))?;
    let here = visible(here.as_os_str().as_encoded_bytes());
    print(&shell.output, &format!("Local directory: {here}"));
    Ok(())
}

/// `!command`, or `!` alone for a shell to come back from.
fn system_shell(words: &Words) -> Result<(), Failure> {
    use std::os::unix::ffi::OsStrExt;
    let own = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let mut command = match words.first() {
        Some(line) => {
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg(std::ffi::OsStr::from_bytes(line));
            command
        }
        None => Command::new(own.unwrap_or_else(|| "/bin/sh".into())),
    };
    let status = command
        .status()
        .map_err(|error| Failure::new(Exit::LocalFile, format!("cannot run a shell: {error}")))?;
    if status.success() || words.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(
            Exit::LocalFile,
            format!("the command ended with {status}"),
        ))
    }
}

fn help(output: &Output, words: &Words) -> Result<(), Failure> {
    if words.is_empty() {
        print(
            output,
            "Commands may be shortened; `help COMMAND` explains one.",
        );
        for row in COMMANDS {
            print(output, &format!("  {:<12} {}", row.name, row.help));
        }
        return Ok(());
    }
    for word in words {
        let row = look_up(text(word)?.as_bytes())?;
        print(
            output,
            &format!("{} {}\t{}", row.name, row.syntax, row.help),
        );
    }
    Ok(())
}
