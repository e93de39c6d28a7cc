//! `wharf ladder`: draws a recorded session.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use wharf_ladder::render::{self, Look};
use wharf_ladder::source::{Source, SourceError};
use wharf_ladder::{Ladder, Options};

use crate::args::{LadderArgs, LadderFormat};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::terminal;

/// A longer file is not read: a picture of it would be of no use.
const LONGEST: u64 = 256 << 20;

pub(crate) fn run(args: &LadderArgs, output: &Output) -> Result<(), Failure> {
    let name = if args.file.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        args.file.display().to_string()
    };
    let local = |message: String| Failure::new(Exit::LocalFile, message);
    let bytes = bytes_of(&args.file)
        .map_err(|error| local(format!("cannot read {name}: {error}")))?
        .ok_or_else(|| {
            local(format!("{name} is longer than {} MiB", LONGEST >> 20)).with_hint(
                "cut it: tcpdump -r FILE -w SHORTER host ADDRESS, or a part of the trace's lines",
            )
        })?;
    let source = Source::open(&bytes).map_err(|error| {
        let failure = local(format!("{name}: {error}"));
        match error {
            SourceError::Neither { .. } => failure
                .with_hint("`wharf get --trace FILE` and `wharf serve --trace FILE` write traces"),
            _ => failure,
        }
    })?;
    if let Some((line, text)) = &source.first_unread {
        let text: String = text.chars().take(60).collect();
        output.warning(&format!(
            "{name}: {} not understood, the first is line {line}: {text}",
            match source.unread {
                1 => "1 line".to_owned(),
                lines => format!("{lines} lines"),
            }
        ));
    }
    let ladder = Ladder::from_events(
        &source.events,
        &Options {
            all: args.all,
            session: args.session,
            ..Options::default()
        },
    );
    if let (Some(session), true) = (args.session, ladder.sessions.is_empty()) {
        return Err(Failure::usage(format!("{name} has no session {session}")));
    }
    if ladder.left_out > 0 {
        output.note(&format!(
            "{} rungs are not drawn; --session N draws one session alone",
            ladder.left_out
        ));
    }
    let look = Look {
        times: args.times,
        ascii: args.ascii || !terminal::speaks_utf8(),
        ..terminal::look(io::stdout().is_terminal())
    };
    let picture = match args.format {
        LadderFormat::Text => render::text(&ladder, &look),
        LadderFormat::Svg => render::svg(&ladder, &look),
        LadderFormat::Mermaid => render::mermaid(&ladder, &look),
    };
    match io::stdout().write_all(picture.as_bytes()) {
        // `wharf ladder x | head` is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(local(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// The whole file, unless it is too long.
fn bytes_of(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        io::stdin()
            .lock()
            .take(LONGEST + 1)
            .read_to_end(&mut bytes)?;
    } else {
        File::open(path)?
            .take(LONGEST + 1)
            .read_to_end(&mut bytes)?;
    }
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= LONGEST);
    Ok(fits.then_some(bytes))
}
