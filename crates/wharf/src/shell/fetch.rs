//! What the arguments of `ftp` ask for: a session with a host, or transfers and an end.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wharf_client::{Target, local_name};
use wharf_net::pump::Progress;
use wharf_proto::Pathname;

use super::connection::{host_and_path, port};
use super::security::is_about_connecting;
use super::sink::Sink;
use super::transfer::pour;
use super::{Begun, Shell};
use crate::args::FtpArgs;
use crate::cmd::{cat, get, put};
use crate::exit::Failure;
use crate::session::{self, Sessions};

/// Hosts open a session; addresses of files are fetched.
pub(super) async fn arguments(shell: &mut Shell, args: &FtpArgs) -> Result<Begun, Failure> {
    let Some(first) = args.places.first() else {
        return Ok(Begun::Session);
    };
    let second_is_port = args.places.len() == 2 && args.places[1].parse::<u16>().is_ok();
    if !session::is_address(first) && (host_and_path(first).is_none() || second_is_port) {
        if args.places.len() > 2 || (args.places.len() == 2 && !second_is_port) {
            return Err(Failure::usage("one host and a port, or addresses")
                .with_hint("ftp HOST [PORT], ftp URL..."));
        }
        let mut words = vec![first.clone().into_bytes()];
        if let Some(word) = args.places.get(1) {
            port(word.as_bytes())?;
            words.push(word.clone().into_bytes());
        }
        begin(shell.open(&words).await, shell)?;
        return Ok(Begun::Session);
    }

    let mut targets = Vec::new();
    for place in &args.places {
        targets.push(target(shell, place)?);
    }
    if let [only] = targets.as_slice()
        && only.is_directory()
        && args.output.is_none()
    {
        let opened = shell.open_target(only).await;
        begin(opened, shell)?;
        return Ok(Begun::Session);
    }
    if args.output.is_some() && targets.len() > 1 && args.output.as_deref() != Some(Path::new("-"))
    {
        return Err(Failure::usage("-o takes one address only"));
    }
    let mut sessions = Sessions::new(shell.connector.clone());
    for (count, target) in targets.iter().enumerate() {
        let result = loop {
            let result = fetch(&mut sessions, target, args, shell).await;
            sessions.tell_notes();
            match (result, args.retry_connect) {
                (Err(failure), Some(pause)) if is_about_connecting(failure.exit) => {
                    shell.output.failure(&failure);
                    shell.output.line(&format!("Retrying in {pause} seconds."));
                    tokio::time::sleep(Duration::from_secs(pause)).await;
                    // These know the door as closed.
                    sessions = Sessions::new(shell.connector.clone());
                }
                (result, _) => break result,
            }
        };
        if let Err(failure) = result {
            // As tnftp: the first failure ends it, the status is its position.
            sessions.close().await;
            return Err(at_position(failure, count, args.strict));
        }
    }
    sessions.close().await;
    Ok(Begun::Finished)
}

/// The status is the position of the address, or what kind of failure it was (`--strict`).
fn at_position(failure: Failure, count: usize, strict: bool) -> Failure {
    if strict {
        return failure;
    }
    failure.with_code(u8::try_from(count + 1).unwrap_or(u8::MAX))
}

/// A host that cannot be reached does not end an interactive session.
fn begin(opened: Result<(), Failure>, shell: &Shell) -> Result<(), Failure> {
    match opened {
        Err(failure) if shell.interactive => {
            shell.output.failure(&failure);
            Ok(())
        }
        opened => opened,
    }
}

/// `ftp://...`, or `host:path`, where the path is taken as it is.
fn target(shell: &Shell, place: &str) -> Result<Target, Failure> {
    if session::is_address(place) {
        return session::target(place);
    }
    let Some((host, path)) = host_and_path(place) else {
        return Err(Failure::usage(format!(
            "`{}` is no address",
            wharf_proto::visible(place.as_bytes())
        )));
    };
    let endpoint = shell.endpoint(host, None)?;
    let bare = session::target(&format!("ftp://{endpoint}/"))?;
    let directory = path.is_empty() || path.ends_with('/');
    if directory {
        let encoded: Vec<String> = path
            .trim_end_matches('/')
            .split('/')
            .map(|part| crate::listing::percent(part.as_bytes()))
            .collect();
        let path = match encoded.as_slice() {
            [only] if only.is_empty() && path.starts_with('/') => "%2F".to_owned(),
            parts => parts.join("/"),
        };
        return session::target(&format!("ftp://{endpoint}/{path}/"));
    }
    let path = Pathname::new(path.as_bytes())
        .map_err(|error| Failure::usage(format!("the path: {error}")))?;
    Ok(bare.with_path(Some(path)))
}

async fn fetch(
    sessions: &mut Sessions,
    target: &Target,
    args: &FtpArgs,
    shell: &Shell,
) -> Result<(), Failure> {
    let output = args.output.as_deref();
    if target.is_directory() {
        return Err(Failure::usage(format!("{target} is a directory"))
            .with_hint("alone, it opens a session there"));
    }
    let remote = session::path_of(target)?;
    if output == Some(Path::new("-")) {
        return cat::one_target(sessions, target).await;
    }
    // A command is one because the user typed it; the server's names never get here.
    if let Some(command) = output.and_then(|it| it.as_os_str().as_bytes().strip_prefix(b"|")) {
        let client = sessions.client(target).await?;
        get::set_type(client, target)?;
        let mut sink = Sink::pipe(OsStr::from_bytes(command))?;
        let poured = pour(client, &remote, 0, &mut sink, &Progress::new()).await;
        return poured.and(sink.finish());
    }
    let local = match output {
        Some(path) => path.to_owned(),
        None => {
            let name = remote.file_name().unwrap_or_default();
            PathBuf::from(local_name(name).map_err(|error| session::failure(&error))?)
        }
    };
    let client = sessions.client(target).await?;
    get::set_type(client, target)?;
    get::download(client, &remote, &local, args.restart, &shell.output).await
}

/// `ftp -u URL file...`
pub(super) async fn upload(
    shell: &mut Shell,
    url: &str,
    files: &[String],
    strict: bool,
) -> Result<(), Failure> {
    let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    if files.is_empty() {
        return Err(Failure::usage("no file to upload").with_hint("ftp -u URL FILE..."));
    }
    let target = session::target(url)?;
    if !target.is_directory() && files.len() > 1 {
        return Err(Failure::usage(
            "several files need an address that ends in /",
        ));
    }
    let mut sessions = Sessions::new(shell.connector.clone());
    let mut result = Ok(());
    for (count, file) in files.iter().enumerate() {
        let sent = put::one(&mut sessions, &target, file, false, &shell.output).await;
        sessions.tell_notes();
        if let Err(failure) = sent {
            result = Err(at_position(failure, count, strict));
            break;
        }
    }
    sessions.close().await;
    result
}
