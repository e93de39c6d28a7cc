//! `wharf completions` and `wharf man`: what an installation takes from the program itself.

use std::io::Write;
use std::path::Path;

use clap_mangen::Man;
use wharf_proto::visible;

use crate::args::{self, CompletionsArgs, ManArgs};
use crate::catalogue::Cause;
use crate::exit::{Exit, Failure, table_text};

/// Prints the completions for a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut args::wharf(), "wharf", &mut text);
    print(&text)
}

/// Prints a manual page, or writes all of them.
pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    let mut command = args::wharf();
    command.build();
    if let Some(directory) = &args.install {
        return install(&command, directory);
    }
    let page = match args.command.as_deref() {
        None | Some("wharf") => page(&command),
        Some(name) => match command.find_subcommand(name) {
            Some(sub) => page(sub),
            None => {
                let shown = visible(name.as_bytes());
                return Err(
                    Failure::of(Cause::NoSuchWord, format!("no such command: {shown}"))
                        .with_hint("`wharf --help` lists them"),
                );
            }
        },
    };
    print(&page)
}

fn install(command: &clap::Command, directory: &Path) -> Result<(), Failure> {
    let fault = |path: &Path, error: std::io::Error| {
        let path = visible(path.as_os_str().as_encoded_bytes());
        Failure::new(Exit::LocalFile, format!("cannot write {path}: {error}"))
    };
    std::fs::create_dir_all(directory).map_err(|error| fault(directory, error))?;
    let subs = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    for page_of in std::iter::once(command).chain(subs) {
        let path = directory.join(format!("{}.1", title(page_of)));
        std::fs::write(&path, page(page_of)).map_err(|error| fault(&path, error))?;
    }
    Ok(())
}

/// `wharf-get`, as clap has it once it is built.
fn title(command: &clap::Command) -> String {
    command
        .get_display_name()
        .unwrap_or(command.get_name())
        .to_owned()
}

/// A page: what clap knows, and for wharf(1) what all commands share.
fn page(command: &clap::Command) -> Vec<u8> {
    let mut page = Vec::new();
    let man = Man::new(command.clone()).title(title(command));
    // Writing into memory cannot fail.
    let _ = man.render(&mut page);
    if command.get_name() == "wharf" {
        let sections = [
            ("EXIT STATUS", table_text()),
            (
                "ENVIRONMENT",
                "Every flag has a variable WHARF_FLAG; `wharf help environment` lists them. WHARF_LANG, LC_ALL, LC_MESSAGES and \
                 LANG choose the language of messages (English; simplified Chinese with zh_CN)."
                    .to_owned(),
            ),
            (
                "ERRORS",
                "Every failure has a code, error[WF-0701]; `wharf explain CODE` says what it means and what may be done."
                    .to_owned(),
            ),
        ];
        for (name, text) in sections {
            page.extend(section(name, &text).into_bytes());
        }
    }
    page
}

/// Lines as they are, under a heading.
fn section(name: &str, text: &str) -> String {
    let mut out = format!(".SH {name}\n.nf\n");
    if !text.contains('\n') {
        out = format!(".SH \"{name}\"\n");
    }
    for line in text.lines() {
        let line = line.replace('\\', "\\\\").replace('-', "\\-");
        // A line must not begin like a request.
        if line.starts_with(['.', '\'']) {
            out.push_str("\\&");
        }
        out.push_str(&line);
        out.push('\n');
    }
    if text.contains('\n') {
        out.push_str(".fi\n");
    }
    out
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    match std::io::stdout().write_all(bytes) {
        // `wharf man | head` is no failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::LocalFile,
            format!("cannot write to stdout: {error}"),
        )),
        _ => Ok(()),
    }
}
