//! RFC 959 §4.1.3, the transfers: RETR STOR STOU APPE ALLO REST ABOR.
//!
//! Every transfer opens its file before the 150, so that a missing file is a 550 and not a data
//! connection that ends at once; and says 226 when the data connection is closed and an upload
//! stands under its name.

use wharf_net::Flow;
use wharf_net::pump::Conversion;
use wharf_proto::{Pathname, Reply};
use wharf_storage::Write;

use crate::dtp::Received;
use crate::failure::{AtPath, Failure, Outcome};
use crate::log::{self, Direction};
use crate::session::Session;

/// 226 of an upload that may have been cut
const UNPROVED: &str = "Transfer complete as far as can be told: it ended without a TLS close_notify (server setting tls.truncation = \"lenient\")";

impl Session {
    pub(super) async fn retr(&mut self, path: &Pathname) -> Outcome {
        self.claim_data_port()?;
        let conversion = self.conversion()?;
        let at = self.restart_marker(conversion)?;
        let full = self.pi.resolve(path);
        let reader = self.storage()?.open(&full, at).await.at(path)?;
        let expected = reader.length().map(|length| length.saturating_sub(at));
        let opening = match expected {
            // Clients read the length from here (lftp, wget, GNU ftp).
            Some(bytes) if conversion == Conversion::Verbatim => {
                format!(
                    "Opening data connection for {} ({bytes} bytes)",
                    path.display()
                )
            }
            _ => format!("Opening data connection for {}", path.display()),
        };
        let dtp = self.dtp("RETR", Flow::Outgoing, conversion, expected);
        let opening = Reply::new(150, opening);
        let result = self.send_file(reader, path, opening, &dtp).await;
        let outcome = log::Outcome::of(result.is_ok());
        self.tell(Direction::Download, &full, &dtp, outcome);
        result?;
        Ok(Reply::new(226, "Transfer complete"))
    }

    pub(super) async fn stor(&mut self, path: &Pathname) -> Outcome {
        self.claim_data_port()?;
        let conversion = self.conversion()?;
        let how = match self.restart_marker(conversion)? {
            0 => Write::Replace,
            at => Write::At(at),
        };
        self.upload("STOR", path, how, conversion).await
    }

    pub(super) async fn appe(&mut self, path: &Pathname) -> Outcome {
        self.claim_data_port()?;
        let conversion = self.conversion()?;
        // APPE knows its place; a marker in front of it means nothing.
        let _ = self.pi.take_restart_marker();
        self.upload("APPE", path, Write::Append, conversion).await
    }

    async fn upload(
        &mut self,
        word: &'static str,
        path: &Pathname,
        how: Write,
        conversion: Conversion,
    ) -> Outcome {
        let announced = self.announced.take();
        if path.as_bytes().ends_with(b"/") {
            // `STOR folder/` means the folder, and a file of that name would stand in its way.
            return Err(Failure::Refused(Reply::new(
                553,
                format!("{}: a file name does not end in /", path.display()),
            )));
        }
        let full = self.pi.resolve(path);
        let upload = self.storage()?.create(&full, how).await.at(path)?;
        let dtp = self.dtp(word, Flow::Incoming, conversion, None);
        let opening = Reply::new(150, format!("Ready to receive {}", path.display()));
        let result = self.receive_file(upload, path, opening, &dtp).await;
        self.tell(Direction::Upload, &full, &dtp, arrived(&result));
        let Received { moved, unproved } = result?;
        if let Some(announced) = announced.filter(|bytes| *bytes > moved.file) {
            tracing::warn!(path = %full.display(), announced, received = moved.file, "upload is shorter than ALLO said");
        }
        Ok(Reply::new(
            226,
            if unproved {
                UNPROVED
            } else {
                "Transfer complete"
            },
        ))
    }

    /// The name is told as RFC 1123 §4.1.2.9 wants it, and as Perl's Net::FTP reads it
    pub(super) async fn stou(&mut self, path: Option<&Pathname>) -> Outcome {
        self.claim_data_port()?;
        let conversion = self.conversion()?;
        let _ = self.pi.take_restart_marker();
        let here = self.pi.cwd().clone();
        let (directory, prefix) = match path.map(|path| self.pi.resolve(path)) {
            None => (here, Vec::new()),
            Some(wanted) => (
                wanted.parent().unwrap_or_else(Pathname::root),
                wanted.file_name().unwrap_or_default().to_vec(),
            ),
        };
        let named = path.unwrap_or(&directory);
        let upload = self
            .storage()?
            .create(&directory, Write::Unique { prefix })
            .await
            .at(named)?;
        let full = upload.name().clone();
        let name = match path.and_then(Pathname::parent) {
            // As the client can use it from where it is: the directory it named, and the new name.
            Some(parent) => parent.join(&base(&full)),
            None => base(&full),
        };
        let dtp = self.dtp("STOU", Flow::Incoming, conversion, None);
        let mut opening = b"FILE: ".to_vec();
        opening.extend_from_slice(name.as_bytes());
        let opening = Reply::new(150, opening);
        let result = self.receive_file(upload, &name, opening, &dtp).await;
        self.tell(Direction::Upload, &full, &dtp, arrived(&result));
        let mut text = if result?.unproved {
            UNPROVED.as_bytes().to_vec()
        } else {
            b"Transfer complete".to_vec()
        };
        text.extend_from_slice(b" (unique file name: ");
        text.extend_from_slice(name.as_bytes());
        text.push(b')');
        Ok(Reply::new(226, text))
    }

    /// Nothing is reserved; but a client that asks first is told when it does not fit
    pub(super) async fn allo(&mut self, bytes: u64) -> Outcome {
        self.announced = None;
        let here = self.pi.cwd().clone();
        match self.storage()?.free_space(&here).await.at(&here)? {
            Some(free) if free < bytes => Err(Failure::Refused(Reply::new(
                552,
                format!("{bytes} bytes do not fit: {free} are free"),
            ))),
            free => {
                self.announced = Some(bytes);
                Ok(match free {
                    Some(free) => Reply::new(200, format!("{free} bytes are free")),
                    None => Reply::new(202, "No allocation needed"),
                })
            }
        }
    }

    pub(super) fn rest(&mut self, at: u64) -> Outcome {
        self.pi.set_restart_marker(at);
        Ok(Reply::new(350, format!("Restarting at {at}")))
    }

    /// The transfer, if there was one, ended when this line came in: see `dtp.rs`
    pub(super) fn abor(&mut self) -> Outcome {
        match self.data_port.take() {
            Some(_) => Ok(Reply::new(225, "No transfer; data port closed")),
            None => Ok(Reply::new(226, "No transfer in progress any more")),
        }
    }

    /// What the last PASV, EPSV, PORT or EPRT left is good for one transfer command
    pub(super) fn claim_data_port(&mut self) -> Result<(), Failure> {
        self.claimed_port = self.data_port.take();
        self.claimed = true;
        match self.claimed_port {
            Some(_) => Ok(()),
            None => Err(Failure::NoDataPort),
        }
    }

    /// How the representation type is carried out
    fn conversion(&self) -> Result<Conversion, Failure> {
        let representation = self.pi.representation();
        Conversion::of(representation)
            .ok_or_else(|| Failure::parameter(format!("TYPE {representation} is not offered")))
    }

    /// Where REST wants the transfer to begin
    ///
    /// In TYPE A the marker counts octets with network line ends (RFC 3659 §5.3), which no file
    /// position answers to; rather than to guess, it is refused.
    fn restart_marker(&mut self, conversion: Conversion) -> Result<u64, Failure> {
        match (conversion, self.pi.take_restart_marker()) {
            (Conversion::NvtAscii, 1..) => Err(Failure::Refused(Reply::new(
                550,
                "Restart is not offered in TYPE A; use TYPE I",
            ))),
            (_, at) => Ok(at),
        }
    }
}

fn arrived(result: &Result<Received, Failure>) -> log::Outcome {
    match result {
        Ok(received) if received.unproved => log::Outcome::Unknown,
        result => log::Outcome::of(result.is_ok()),
    }
}

/// The last component as a pathname of its own
fn base(path: &Pathname) -> Pathname {
    path.file_name()
        .and_then(|name| Pathname::new(name).ok())
        .unwrap_or_else(Pathname::root)
}
