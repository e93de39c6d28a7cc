//! One line of the session: look the command up, complete its arguments, do it.

use wharf_client::DataModeChoice;
use wharf_proto::{Format, Pathname, RepresentationType, visible};

use super::connection::text;
use super::local::system_shell;
use super::table::{self, Action, COMMANDS, Listing, NotFound, Row};
use super::{Shell, print, words};
use crate::exit::Failure;
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
    let row = look_up(&words.remove(0))?;
    command(shell, row, words).await
}

/// Executes a command with its words.
pub(super) async fn command(
    shell: &mut Shell,
    row: &'static Row,
    mut words: Vec<Vec<u8>>,
) -> Result<(), Failure> {
    if row.connected {
        shell.client()?;
    }
    if shell.interactive
        && let Some(client) = &mut shell.now.client
    {
        client.search_again(); // who has read why may have changed something
    }
    shell.complete(row, &mut words).await?;
    execute(shell, row, &words).await
}

pub(super) fn look_up(word: &[u8]) -> Result<&'static Row, Failure> {
    table::find(word).map_err(|error| {
        let shown = visible(word);
        match error {
            NotFound::Unknown => {
                Failure::usage(format!("?Invalid command: {shown}")).with_hint("help")
            }
            NotFound::Ambiguous(names) => {
                Failure::usage(format!("?Ambiguous command: {shown}")).with_hint(names.join(", "))
            }
        }
    })
}

impl Shell {
    /// Asks for arguments that are missing.
    pub(super) async fn complete(
        &mut self,
        row: &Row,
        words: &mut Vec<Vec<u8>>,
    ) -> Result<(), Failure> {
        let usage = || Failure::usage(format!("usage: {} {}", row.name, row.syntax));
        while words.len() < row.required.len() {
            if !self.interactive {
                return Err(usage());
            }
            let question = format!("({}) ", row.required[words.len()]);
            let answer = self.question(&question).await?.unwrap_or_default();
            let more = words::split(&answer).map_err(|_| usage())?;
            if more.is_empty() {
                return Err(usage());
            }
            words.extend(more);
        }
        Ok(())
    }
}

async fn execute(shell: &mut Shell, row: &Row, words: &Words) -> Result<(), Failure> {
    match row.action {
        Action::Account => shell.account(words).await,
        Action::Active => {
            shell.data_mode(DataModeChoice::Active);
            Ok(())
        }
        Action::Append => shell.append(words).await,
        Action::Ascii => shell.set_type(RepresentationType::Ascii(Format::NonPrint)),
        Action::Auth => shell.auth(words).await,
        Action::Auto => {
            shell.data_mode(DataModeChoice::Auto);
            Ok(())
        }
        Action::Binary => shell.set_type(RepresentationType::Image),
        Action::Buffer(which) => shell.buffer(which, words),
        Action::Bye => bye(shell).await,
        Action::Cat => shell.cat(words).await,
        Action::Ccc => shell.ccc().await,
        Action::Cd => shell.cd(words).await,
        Action::Cdup => {
            let client = shell.client()?;
            client.change_dir_up().await.map(drop).map_err(failed)
        }
        Action::Chmod => shell.chmod(words).await,
        Action::Close => {
            shell.close().await;
            Ok(())
        }
        Action::Delete => shell.delete(words).await,
        Action::Dir => shell.list(words, Listing::Lines).await,
        Action::Epsv => shell.epsv(row.name, words),
        Action::Family(family) => {
            shell.family(family);
            Ok(())
        }
        Action::Features => shell.verb("FEAT", words).await,
        Action::Fget => shell.fget(words).await,
        Action::Form => shell.only("format", "non-print", words),
        Action::Gate => shell.gate(words),
        Action::Get => shell.get(words, false).await,
        Action::Hash => shell.hash(words),
        Action::Help => help(&shell.output, words),
        Action::Idle => shell.site("IDLE", words).await,
        Action::LocalCd => shell.local_cd(words),
        Action::LocalPage => shell.local_page(words),
        Action::LocalPwd => shell.local_pwd(),
        Action::Macdef => shell.macdef(words).await,
        Action::Macro => shell.execute_macro(words).await,
        Action::Mdelete => shell.mdelete(words).await,
        Action::Mdir(what) => shell.list_several(words, what).await,
        Action::Mget => shell.mget(words, false).await,
        Action::Mkdir => shell.make_directory(words).await,
        Action::Mlst => shell.verb("MLST", words).await,
        Action::Modtime => shell.modtime(words).await,
        Action::Mput => shell.mput(words).await,
        Action::Mreget => shell.mget(words, true).await,
        Action::NameMap => shell.map_names(words),
        Action::Newer => shell.newer(words).await,
        Action::NameList => shell.list(words, Listing::Names).await,
        Action::Open => shell.open(words).await,
        Action::OtherServer => shell.proxy(words).await,
        Action::Page => shell.page(words).await,
        Action::Paged(what) => shell.paged(words, what).await,
        Action::Passive => shell.passive(words),
        Action::Prot => shell.prot(words).await,
        Action::Put => shell.put(words, false).await,
        Action::Pwd => shell.pwd().await,
        Action::Quote => shell.quote(words).await,
        Action::Rate => shell.rate(words),
        Action::RawFacts => shell.list(words, Listing::Facts).await,
        Action::Reget => shell.get(words, true).await,
        Action::RemoteHelp => shell.remote_help(words).await,
        Action::RemoteOptions => shell.verb("OPTS", words).await,
        Action::RemoteStatus => shell.verb("STAT", words).await,
        Action::Rename => shell.rename(words).await,
        Action::Reput => shell.put(words, true).await,
        Action::Reset => shell.client()?.abort().await.map_err(failed),
        Action::Restart => shell.restart(words),
        Action::Rmdir => shell.remove_directory(words).await,
        Action::Sendport => shell.sendport(words),
        Action::Set => shell.set_option(words),
        Action::Shell => system_shell(words),
        Action::Site => shell.site("", words).await,
        Action::Size => shell.size(words).await,
        Action::Status => {
            shell.status();
            Ok(())
        }
        Action::Structure => shell.only("structure", "file", words),
        Action::System => shell.system().await,
        Action::Tenex => shell.set_type(RepresentationType::Local(8)),
        Action::Tick => shell.tick(words),
        Action::Toggle(toggle) => shell.toggle(toggle, words),
        Action::TransferMode => shell.only("mode", "stream", words),
        Action::Translate => shell.translate(words),
        Action::Type => shell.representation(words),
        Action::Umask => shell.site("UMASK", words).await,
        Action::Unset => shell.unset_option(words),
        Action::Usage => usage(&shell.output, words),
        Action::User => shell.user(words).await,
    }
}

pub(super) fn failed(error: wharf_client::Error) -> Failure {
    session::failure(&error)
}

/// A word of the line as the server's name for something.
pub(super) fn pathname(word: &[u8]) -> Result<Pathname, Failure> {
    Pathname::new(word).map_err(|error| Failure::usage(format!("`{}`: {error}", visible(word))))
}

async fn bye(shell: &mut Shell) -> Result<(), Failure> {
    shell.hang_up().await;
    shell.done = true;
    Ok(())
}

fn help(output: &Output, words: &Words) -> Result<(), Failure> {
    if words.is_empty() {
        print(
            output,
            "Commands may be abbreviated; `help COMMAND` explains one.",
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

/// `usage command...`; without words how `usage` itself is written.
fn usage(output: &Output, words: &Words) -> Result<(), Failure> {
    let own = [b"usage".to_vec()];
    let words = if words.is_empty() { &own[..] } else { words };
    for word in words {
        let row = look_up(word)?;
        print(output, &format!("usage: {} {}", row.name, row.syntax));
    }
    Ok(())
}
