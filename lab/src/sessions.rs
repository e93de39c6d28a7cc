//! `wharf ftp` in a pseudo-terminal with foreign servers: the sessions that the tests play against wharf's own.

use std::fs;
use std::path::{Path, PathBuf};

use crate::namespace::Namespace;
use crate::payload::Workspace;
use crate::server::{self, Kind, PASSWORD, Place, ServerPlan, USER};
use crate::tally::{Matrix, Tally, concurrently};
use crate::{Result, Settings, topology};

#[path = "../../crates/wharf/tests/program/play.rs"]
mod play;

use play::{Session, Stage};

/// Those that the sessions are played against; pyftpdlib has no session of its own kind to add.
const SERVERS: [Kind; 4] = [Kind::Wharf, Kind::Vsftpd, Kind::ProFtpd, Kind::PureFtpd];

/// Every session with every server.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let sessions = sessions()?;
    let mut columns = vec!["session"];
    columns.extend(SERVERS.iter().map(|kind| kind.name()));
    let mut matrix = Matrix::new(&columns);
    let rows: Vec<&(String, String)> = sessions
        .iter()
        .filter(|(name, _)| settings.wants(name))
        .collect();
    // A namespace for each of them, so that every server has port 21.
    let played = concurrently(&rows, 3, |(name, text)| {
        SERVERS
            .map(|kind| {
                let session = Session { name, text };
                let wanted =
                    !session.wants_two() && session.only().is_none_or(|only| only == kind.name());
                wanted.then(|| play_with(settings, kind, &session))
            })
            .into_iter()
            .collect::<Vec<_>>()
    });
    for ((name, _), cells) in rows.iter().zip(played) {
        let mut shown = Vec::new();
        for (kind, cell) in SERVERS.iter().zip(cells) {
            shown.push(match cell {
                None => "-".to_owned(),
                Some(Ok(())) => {
                    tally.pass();
                    "as written".to_owned()
                }
                Some(Err(why)) => {
                    tally.fail(&format!("{name} / {}", kind.name()), &why.to_string());
                    "FAIL".to_owned()
                }
            });
        }
        matrix.push(name, shown);
    }
    matrix.print("sessions of wharf ftp (- says what one server says, or needs two)");
    Ok(())
}

fn sessions() -> Result<Vec<(String, String)>> {
    let directory =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/wharf/tests/program/sessions");
    let mut paths = Vec::new();
    for entry in fs::read_dir(&directory)? {
        paths.push(entry?.path());
    }
    paths.sort();
    let read = |path: &PathBuf| -> Result<(String, String)> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok((name.into_owned(), fs::read_to_string(path)?))
    };
    paths.iter().map(read).collect()
}

fn play_with(settings: &Settings, kind: Kind, session: &Session<'_>) -> Result<()> {
    let work = Workspace::create(&format!("{}-{}", kind.name(), session.name), false)?;
    let directory = work.directory("stage")?;
    let files = work.directory("stage/files")?;
    let space = Namespace::create("sessions")?;
    let server = server::start(
        kind,
        Place::Namespace(&space),
        &ServerPlan {
            wharf: &settings.wharf,
            directory: &files,
            work: &work.directory("server")?,
            port: 21,
            user: USER,
            password: PASSWORD,
            passive: topology::RANGE,
            advertise: None,
            max_sessions: 0,
            // One session is about TLS, the others do without.
            further: &["--tls", "allowed"],
            lines: &[],
            tls: None,
        },
    )?;
    let stage = Stage {
        directory: &directory,
        wharf: &settings.wharf,
        host: "127.0.0.1".to_owned(),
        port: "21".to_owned(),
        port2: String::new(),
        user: USER.to_owned(),
        password: PASSWORD.to_owned(),
    };
    // What is started there is there.
    let played = space.inside(|| session.play(&stage))?;
    drop(server);
    played.map_err(Into::into)
}
