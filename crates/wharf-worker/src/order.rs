//! What a worker is told before it serves: whose files, from where, and how. Pure.

use wharf_storage::{Fsync, LocalOptions, Uploads};

use crate::packet::{In, Malformed, Out};

/// The most groups of a user that travel; Linux itself has a limit of 65536 (`NGROUPS_MAX`), people have a dozen.
const GROUPS: u16 = 4096;

/// The longest path of a directory (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;

/// The longest name of a user.
const LONGEST_NAME: usize = 256;

/// Whose files a worker serves. The first packet that it gets; with every one after it comes a connection to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// The user's name, for the log.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The primary group's.
    pub gid: u32,
    /// All groups, the primary one included.
    pub groups: Vec<u32>,
    /// What is served, on this host.
    pub directory: Vec<u8>,
    /// Whether that is for reading only.
    pub read_only: bool,
    /// How it is served.
    pub options: LocalOptions,
    /// Permissions that new files do not get.
    pub umask: u32,
    /// Go on although this kernel cannot lock it in wholly.
    pub best_effort: bool,
}

impl Post {
    /// As a packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Out::default();
        out.bytes(self.name.as_bytes());
        out.four(self.uid).four(self.gid);
        out.count(self.groups.len());
        for group in &self.groups {
            out.four(*group);
        }
        out.bytes(&self.directory).switch(self.read_only);
        let LocalOptions {
            resume,
            fsync,
            uploads,
        } = self.options;
        out.switch(resume).byte(match fsync {
            Fsync::None => 0,
            Fsync::Data => 1,
            Fsync::Full => 2,
        });
        out.switch(uploads == Uploads::Direct);
        out.four(self.umask).switch(self.best_effort);
        out.0
    }

    /// From a packet.
    ///
    /// # Errors
    /// Whatever [`encode`](Self::encode) would not have written.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut rest = In(packet);
        let name = rest.text(LONGEST_NAME)?;
        let (uid, gid) = (rest.four()?, rest.four()?);
        let count = rest.two()?;
        if count > GROUPS {
            return Err(Malformed("too many groups"));
        }
        let post = Self {
            name,
            uid,
            gid,
            groups: (0..count).map(|_| rest.four()).collect::<Result<_, _>>()?,
            directory: rest.bytes(LONGEST_PATH)?.to_vec(),
            read_only: rest.switch()?,
            options: LocalOptions {
                resume: rest.switch()?,
                fsync: match rest.byte()? {
                    0 => Fsync::None,
                    1 => Fsync::Data,
                    2 => Fsync::Full,
                    _ => return Err(Malformed("no such fsync")),
                },
                uploads: if rest.switch()? {
                    Uploads::Direct
                } else {
                    Uploads::Atomic
                },
            },
            umask: rest.four()?,
            best_effort: rest.switch()?,
        };
        rest.end()?;
        Ok(post)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (fsync, uploads) in [
            (Fsync::None, Uploads::Atomic),
            (Fsync::Data, Uploads::Direct),
            (Fsync::Full, Uploads::Atomic),
        ] {
            let post = Post {
                name: "anna".to_owned(),
                uid: 1001,
                gid: 100,
                groups: vec![100, 27],
                directory: b"/home/anna".to_vec(),
                read_only: false,
                options: LocalOptions {
                    resume: true,
                    fsync,
                    uploads,
                },
                umask: 0o022,
                best_effort: true,
            };
            let packet = post.encode();
            assert_eq!(Post::decode(&packet), Ok(post));
            for end in 0..packet.len() {
                assert!(Post::decode(&packet[..end]).is_err(), "{end}");
            }
            assert!(Post::decode(&[&packet[..], &[0]].concat()).is_err());
        }
    }
}
