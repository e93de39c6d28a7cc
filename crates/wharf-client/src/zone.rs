//! In which zone the times of a server's LIST are: found out with MDTM of one file, two where summer time may be between.

use wharf_proto::Pathname;
use wharf_proto::listing::zone::Zone;

use crate::client::Client;
use crate::entry::{Entry, EntryKind, Modified};
use crate::error::Result;
use crate::verbs::is_about_the_file;

/// Most files of a session that are asked for their exact time.
const MOST: u8 = 4;

impl Client {
    /// What is known of the zone of this server's LIST; nothing before [`learn_zone`](Self::learn_zone).
    pub fn zone(&self) -> Zone {
        self.listings.zone
    }

    /// Puts the times of entries that [`list`](Self::list) brought from `directory` (`None`: the current one) into UTC, and
    /// those of all later listings of this client. Where the server's zone is not known, one of the files is asked for its
    /// exact time (MDTM), at most four of a session. Without MDTM, and with MLSD, whose times are UTC, nothing is asked and
    /// nothing changed.
    ///
    /// # Errors
    /// Those of a lost connection. That the server does not tell is none.
    pub async fn learn_zone(
        &mut self,
        directory: Option<&Pathname>,
        entries: &mut [Entry],
    ) -> Result<()> {
        for entry in &*entries {
            let Some(Modified::Listed(listed)) = entry.modified else {
                continue;
            };
            let asks = entry.kind == EntryKind::File
                && self.listings.zone.is_told_by(listed)
                && self.listings.asked < MOST
                && self.offers("MDTM");
            let path = match directory {
                Some(directory) => directory.child(&entry.name),
                None => Pathname::new(entry.name.as_slice()),
            };
            let (true, Ok(path)) = (asks, path) else {
                continue;
            };
            self.listings.asked += 1;
            match self.modified(&path).await {
                Ok(Some(exact)) => {
                    self.listings.zone.learn(listed, exact);
                }
                Ok(None) => {}
                Err(error) if is_about_the_file(&error) => {}
                Err(error) => return Err(error),
            }
        }
        for entry in entries {
            entry.modified = entry.modified.map(|it| it.in_zone(&self.listings.zone));
        }
        Ok(())
    }
}
