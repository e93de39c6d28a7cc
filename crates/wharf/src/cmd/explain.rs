//! `wharf explain`: what an error's code means and what may be done, in the user's language.

use std::io::Write;

use wharf_proto::visible;

use crate::args::ExplainArgs;
use crate::catalogue::{self, Cause};
use crate::exit::{Exit, Failure};
use crate::language::Language;

pub(crate) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let language = Language::current();
    let text = if args.codes.is_empty() {
        catalogue::list(language)
    } else {
        let told = args.codes.iter().map(|code| {
            catalogue::explanation(code, language).ok_or_else(|| {
                let shown = visible(code.as_bytes());
                Failure::of(Cause::NoSuchWord, format!("no such code: {shown}"))
                    .with_hint("`wharf explain` lists them")
            })
        });
        told.collect::<Result<Vec<_>, _>>()?.join("\n")
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        // `wharf explain | head` is no failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::LocalFile,
            format!("cannot write to stdout: {error}"),
        )),
        _ => Ok(()),
    }
}
