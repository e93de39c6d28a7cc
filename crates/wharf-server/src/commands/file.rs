//! RFC 959 §4.1.3, files and directories: RNFR RNTO DELE RMD MKD PWD; RFC 3659: SIZE MDTM; and
//! the ways clients have found to set a time: MDTM with a time, MFMT and MFF
//! (draft-somers-ftp-mfxx).

use wharf_proto::{Pathname, Reply, Text, Timestamp};

use crate::failure::{AtPath, Failure, Outcome};
use crate::session::Session;

impl Session {
    pub(super) async fn rnfr(&mut self, path: &Pathname) -> Outcome {
        let full = self.pi.resolve(path);
        self.storage()?.link_metadata(&full).await.at(path)?;
        self.pi.set_rename_marker(full);
        Ok(Reply::new(350, "Ready for RNTO"))
    }

    pub(super) async fn rnto(&mut self, path: &Pathname) -> Outcome {
        let Some(from) = self.pi.take_rename_marker() else {
            return Err(Failure::Refused(Reply::new(503, "Send RNFR first")));
        };
        let to = self.pi.resolve(path);
        self.storage()?.rename(&from, &to).await.at(path)?;
        tracing::info!(from = %from.display(), to = %to.display(), "renamed");
        Ok(Reply::new(250, "Renamed"))
    }

    pub(super) async fn dele(&mut self, path: &Pathname) -> Outcome {
        let full = self.pi.resolve(path);
        self.storage()?.remove_file(&full).await.at(path)?;
        tracing::info!(path = %full.display(), "deleted");
        Ok(Reply::new(250, "Deleted"))
    }

    pub(super) async fn rmd(&mut self, path: &Pathname) -> Outcome {
        let full = self.pi.resolve(path);
        self.storage()?.remove_dir(&full).await.at(path)?;
        tracing::info!(path = %full.display(), "directory removed");
        Ok(Reply::new(250, "Directory removed"))
    }

    /// The reply quotes the absolute pathname (RFC 959 §4.1.3 and Appendix II)
    pub(super) async fn mkd(&mut self, path: &Pathname) -> Outcome {
        let full = self.pi.resolve(path);
        self.storage()?.create_dir(&full).await.at(path)?;
        tracing::info!(path = %full.display(), "directory made");
        let mut text = full.quoted();
        text.extend_from_slice(b" created");
        Ok(Reply::new(257, text))
    }

    pub(super) fn pwd(&mut self) -> Outcome {
        let mut text = self.pi.cwd().quoted();
        text.extend_from_slice(b" is the working directory");
        Ok(Reply::new(257, text))
    }

    /// In TYPE A the size on the wire is only known after reading the file (RFC 3659 §4); a wrong
    /// number would break clients that compare, so it is refused
    pub(super) async fn size(&mut self, path: &Pathname) -> Outcome {
        let full = self.pi.resolve(path);
        let found = self.storage()?.metadata(&full).await.at(path)?;
        if !found.is_file() {
            return Err(Failure::file(path, "not a plain file"));
        }
        if !self.pi.representation().is_binary() {
            return Err(Failure::file(
                path,
                "SIZE is not told in TYPE A; use TYPE I",
            ));
        }
        Ok(Reply::new(213, found.size.to_string()))
    }

    pub(super) async fn mdtm(&mut self, path: &Pathname) -> Outcome {
        let full = self.pi.resolve(path);
        let found = self.storage()?.metadata(&full).await.at(path)?;
        let time = Timestamp::from(found.modified).whole_seconds();
        Ok(Reply::new(213, time.to_wire()))
    }

    /// MDTM with a time in front of the name: not in the RFC, sent by many clients
    pub(super) async fn mdtm_set(&mut self, time: Timestamp, path: &Pathname) -> Outcome {
        self.set_modified(time, path).await?;
        Ok(Reply::new(213, format!("Modify={}", time.to_wire())))
    }

    pub(super) async fn mfmt(&mut self, time: Timestamp, path: &Pathname) -> Outcome {
        self.set_modified(time, path).await?;
        let mut text = format!("Modify={}; ", time.to_wire()).into_bytes();
        text.extend_from_slice(path.as_bytes());
        Ok(Reply::new(213, text))
    }

    /// All facts are understood before the first one is set
    pub(super) async fn mff(&mut self, facts: &[(Text, Text)], path: &Pathname) -> Outcome {
        enum Change {
            Modified(Timestamp),
            Mode(u32),
        }
        let mut changes = Vec::new();
        for (name, value) in facts {
            let change = if name.is_word("modify") {
                Timestamp::from_wire(value.as_bytes())
                    .ok()
                    .map(Change::Modified)
            } else if name.is_word("UNIX.mode") {
                value
                    .as_str()
                    .and_then(|digits| u32::from_str_radix(digits, 8).ok())
                    .filter(|mode| *mode <= 0o7777)
                    .map(Change::Mode)
            } else {
                return Err(Failure::parameter(format!("The fact {name} cannot be set")));
            };
            let Some(change) = change else {
                return Err(Failure::argument(format!(
                    "Not a value for {name}: {value}"
                )));
            };
            changes.push(change);
        }
        let full = self.pi.resolve(path);
        let storage = self.storage()?;
        let mut text = Vec::new();
        for change in changes {
            match change {
                Change::Modified(time) => {
                    storage.set_modified(&full, time.into()).await.at(path)?;
                    text.extend_from_slice(format!("Modify={};", time.to_wire()).as_bytes());
                }
                Change::Mode(mode) => {
                    storage.set_mode(&full, mode).await.at(path)?;
                    text.extend_from_slice(format!("UNIX.mode={mode:04o};").as_bytes());
                }
            }
        }
        text.push(b' ');
        text.extend_from_slice(path.as_bytes());
        Ok(Reply::new(213, text))
    }

    pub(super) async fn set_modified(
        &mut self,
        time: Timestamp,
        path: &Pathname,
    ) -> Result<(), Failure> {
        let full = self.pi.resolve(path);
        self.storage()?
            .set_modified(&full, time.into())
            .await
            .at(path)
    }
}
