//! The client's part: the operations of the file, each with a line that tells what came of it.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use wharf_client::{
    Client, Endpoint, Entry, EntryKind, Error, FileOptions, Login, Moved, Options, connect,
};
use wharf_net::Net;
use wharf_proto::{Format, Pathname, RepresentationType, Secret, Text, Timestamp};

use super::{escape, unescape};

pub(crate) async fn play(
    net: Arc<dyn Net>,
    options: Options,
    operations: Vec<String>,
) -> Vec<String> {
    let mut seen = Vec::new();
    let login = Login::new(
        Text::new("u").unwrap(),
        Secret::new(Text::new("p").unwrap()),
    );
    let began = Instant::now();
    let client = match connect(net, &Endpoint::new("server", 21), options).await {
        Ok(greeting) => greeting.login(login).await,
        Err(error) => Err(error),
    };
    let mut client = match client {
        Ok(client) => client,
        Err(error) => {
            seen.push(told(Err(error), began));
            return seen;
        }
    };
    let disk = Disk::new();
    for operation in operations {
        let began = Instant::now();
        let (verb, rest) = operation.split_once(' ').unwrap_or((&operation, ""));
        seen.push(told(act(&mut client, &disk, verb, rest).await, began));
    }
    seen
}

fn told(outcome: Result<String, Error>, began: Instant) -> String {
    let text = match outcome {
        Ok(text) => format!("ok {text}"),
        Err(error) => format!("{error:?}").replace('\n', " |"),
    };
    let seconds = began.elapsed().as_secs_f64();
    if seconds >= 1.0 {
        format!("{} after {seconds:.1} s", text.trim_end())
    } else {
        text.trim_end().to_owned()
    }
}

async fn act(client: &mut Client, disk: &Disk, verb: &str, rest: &str) -> Result<String, Error> {
    let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
    let path = || Pathname::new(unescape(first)).unwrap();
    let directory = (!first.is_empty()).then(path);
    let text =
        |it: &wharf_proto::Reply| escape(&it.to_bytes()).trim_end_matches("\\r\\n").to_owned();
    Ok(match verb {
        "retrieve" => {
            let offset = if second.is_empty() {
                0
            } else {
                second.parse().unwrap()
            };
            let mut download = client.retrieve(&path(), offset).await?;
            let mut bytes = Vec::new();
            if let Err(error) = download.read_to_end(&mut bytes).await {
                return Err(download.explain(error).await);
            }
            let received = download.finish().await?;
            let shown = if bytes.len() <= 40 {
                escape(&bytes)
            } else {
                format!("{} bytes", bytes.len())
            };
            format!(
                "{shown}{}",
                if received.verified { " (verified)" } else { "" }
            )
        }
        "retrieve-and-drop" => {
            let mut download = client.retrieve(&path(), 0).await?;
            let mut byte = [0];
            let n = download.read(&mut byte).await.unwrap();
            format!("{n} byte")
        }
        "store" => {
            let mut upload = client.store(&path(), 0).await?;
            if let Err(error) = upload.write_all(&unescape(second)).await {
                return Err(upload.explain(error).await);
            }
            let stored = upload.finish().await?;
            format!(
                "{}{}",
                stored.bytes,
                if stored.verified { " (verified)" } else { "" }
            )
        }
        "store-zeros" => {
            let mut upload = client.store(&path(), 0).await?;
            if let Err(error) = upload.write_all(&vec![0; second.parse().unwrap()]).await {
                return Err(upload.explain(error).await);
            }
            upload.finish().await?.bytes.to_string()
        }
        "store-and-drop" => {
            let mut upload = client.store(&path(), 0).await?;
            upload.write_all(&unescape(second)).await.unwrap();
            upload.flush().await.unwrap();
            String::new()
        }
        "store-unique" => {
            let mut upload = client.store_unique(None).await?;
            upload.write_all(&unescape(rest)).await.unwrap();
            let stored = upload.finish().await?;
            format!(
                "{} as {}",
                stored.bytes,
                stored.name.map_or("?".to_owned(), |it| escape(&it))
            )
        }
        "append" => {
            let mut upload = client.append(&path()).await?;
            upload.write_all(&unescape(second)).await.unwrap();
            let stored = upload.finish().await?;
            format!(
                "{}{}",
                stored.bytes,
                if stored.verified { " (verified)" } else { "" }
            )
        }
        "list" => {
            let entries = client.list(directory.as_ref()).await?;
            entries.iter().map(entry).collect::<Vec<_>>().join(", ")
        }
        "list-in-utc" => {
            let mut entries = client.list(directory.as_ref()).await?;
            client.learn_zone(directory.as_ref(), &mut entries).await?;
            let timed = |it: &Entry| match it.modified {
                Some(time) if time.is_utc() => {
                    format!("{} {}Z", entry(it), time.timestamp().to_wire())
                }
                Some(time) => format!("{} {}", entry(it), time.timestamp().to_wire()),
                None => entry(it),
            };
            entries.iter().map(timed).collect::<Vec<_>>().join(", ")
        }
        "nlst" => {
            let names = client.nlst(directory.as_ref()).await?;
            names
                .iter()
                .map(|it| escape(it))
                .collect::<Vec<_>>()
                .join(", ")
        }
        "entry" => entry(&client.entry(&path()).await?),
        "size" => format!("{:?}", client.size(&path()).await?),
        "modified" => client
            .modified(&path())
            .await?
            .map_or("unknown".to_owned(), Timestamp::to_wire),
        "set-modified" => text(
            &client
                .set_modified(&path(), Timestamp::from_wire(second.as_bytes()).unwrap())
                .await?,
        ),
        "mkdir" => client.make_dir(&path()).await?.display().to_string(),
        "rmdir" => text(&client.remove_dir(&path()).await?),
        "delete" => text(&client.remove_file(&path()).await?),
        "rename" => text(
            &client
                .rename(&path(), &Pathname::new(second).unwrap())
                .await?,
        ),
        "chmod" => text(
            &client
                .chmod(&path(), u32::from_str_radix(second, 8).unwrap())
                .await?,
        ),
        "cd" => text(&client.change_dir(&path()).await?),
        "pwd" => client.current_dir().await?.display().to_string(),
        "system" => text(&client.system().await?),
        "noop" => text(&client.noop().await?),
        "quote" => text(&client.quote(Text::new(rest).unwrap()).await?),
        "sleep" => {
            tokio::time::sleep(std::time::Duration::from_secs(rest.parse().unwrap())).await;
            String::new()
        }
        "mode" => {
            client.set_data_mode(rest.parse().unwrap());
            String::new()
        }
        "search-again" => {
            client.search_again();
            String::new()
        }
        "abort" => client.abort().await.map(|()| String::new())?,
        "cancel-retrieve" => {
            let path = path();
            let patience = std::time::Duration::from_millis(1700);
            match tokio::time::timeout(patience, client.retrieve(&path, 0)).await {
                Err(_) => "dropped".to_owned(),
                Ok(begun) => begun.map(|_| "begun".to_owned())?,
            }
        }
        "cancel-noop" => {
            // The future is dropped while it waits for its reply.
            let waited =
                tokio::time::timeout(std::time::Duration::from_millis(100), client.noop()).await;
            if waited.is_err() {
                "dropped".to_owned()
            } else {
                "answered".to_owned()
            }
        }
        "type" => {
            let wanted = if rest == "a" {
                RepresentationType::Ascii(Format::NonPrint)
            } else {
                RepresentationType::Image
            };
            client.set_type(wanted).map(|()| String::new())?
        }
        "local" => {
            disk.write(first, second);
            String::new()
        }
        "local-time" => {
            disk.date(first, second);
            String::new()
        }
        "link" => {
            std::os::unix::fs::symlink(disk.at(second), disk.at(first)).unwrap();
            String::new()
        }
        "disk" => disk.show(),
        "get" => moved(
            client
                .retrieve_to_file(&path(), &disk.at(first), &FileOptions::default())
                .await?,
        ),
        "continue-get" => {
            let how = FileOptions {
                resume: true,
                ..FileOptions::default()
            };
            moved(
                client
                    .retrieve_to_file(&path(), &disk.at(first), &how)
                    .await?,
            )
        }
        "put" => moved(
            client
                .store_from_file(
                    &disk.at(first),
                    &path(),
                    &FileOptions {
                        keep_time: false,
                        ..FileOptions::default()
                    },
                )
                .await?,
        ),
        "put-with-time" => moved(
            client
                .store_from_file(&disk.at(first), &path(), &FileOptions::default())
                .await?,
        ),
        "continue-put" => {
            let how = FileOptions {
                resume: true,
                keep_time: false,
                ..FileOptions::default()
            };
            moved(
                client
                    .store_from_file(&disk.at(first), &path(), &how)
                    .await?,
            )
        }
        "warnings" => client.take_warnings().join(" | "),
        "protect" => client
            .protect_data(rest == "p")
            .await
            .map(|()| String::new())?,
        "enter-tls" => client.enter_tls().await.map(|()| String::new())?,
        "leave-tls" => client.leave_tls().await.map(|()| String::new())?,
        "notes" => client.take_notes().join(" | "),
        _ => panic!("unknown operation: {verb}"),
    })
}

fn entry(entry: &Entry) -> String {
    let kind = match &entry.kind {
        EntryKind::File => "file".to_owned(),
        EntryKind::Directory => "dir".to_owned(),
        EntryKind::Symlink { target } => {
            format!("link to {}", escape(target.as_deref().unwrap_or(b"?")))
        }
        EntryKind::Other => "other".to_owned(),
    };
    let size = entry.size.map_or(String::new(), |it| format!(" {it}"));
    let time = entry
        .modified_utc()
        .map_or(String::new(), |it| format!(" {}", it.to_wire()));
    format!("{} {kind}{size}{time}", escape(&entry.name))
}

/// A directory of the local disk, empty at first.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let bytes = match text.strip_prefix("zeros ") {
            Some(count) => vec![0; count.parse().unwrap()],
            None => unescape(text),
        };
        std::fs::write(self.at(name), bytes).unwrap();
    }

    fn date(&self, name: &str, time: &str) {
        let time = Timestamp::from_wire(time.as_bytes()).unwrap();
        let file = std::fs::File::options()
            .write(true)
            .open(self.at(name))
            .unwrap();
        file.set_modified(time.into()).unwrap();
    }

    /// Every file with its content and, unless it is from today, its time.
    fn show(&self) -> String {
        let mut files: Vec<_> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|it| it.unwrap().path())
            .collect();
        files.sort();
        let describe = |path: &std::path::PathBuf| {
            let bytes = std::fs::read(path).unwrap();
            let text = if bytes.len() > 40 {
                format!("{} bytes", bytes.len())
            } else {
                escape(&bytes)
            };
            let modified = std::fs::metadata(path).unwrap().modified().unwrap();
            let old = modified.elapsed().is_ok_and(|it| it.as_secs() > 3600);
            let time = if old {
                format!(" of {}", Timestamp::from(modified).to_wire())
            } else {
                String::new()
            };
            format!(
                "{}: {text}{time}",
                path.file_name().unwrap().to_string_lossy()
            )
        };
        files.iter().map(describe).collect::<Vec<_>>().join(", ")
    }
}

fn moved(moved: Moved) -> String {
    let resumed = if moved.resumed_at > 0 {
        format!(" from {}", moved.resumed_at)
    } else {
        String::new()
    };
    let verified = if moved.verified { " (verified)" } else { "" };
    let before = if moved.complete_before {
        " nothing to do"
    } else {
        ""
    };
    format!("{}{resumed}{verified}{before}", moved.length)
}
