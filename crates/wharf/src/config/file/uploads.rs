//! Keys of no table: where uploads are written and what of them is on the disk.

use super::Setting;
use super::toml_value::{boolean, text};
use crate::args::value;

pub(super) const KEYS: &[Setting] = &[
    Setting {
        key: "resume_uploads",
        example: "false",
        help: "Keep what has arrived of a broken upload so that the client can resume it (REST or APPE). Off: a broken upload leaves nothing.",
        set: |s, v, _| boolean(v).map(|on| s.resume_uploads = on),
    },
    Setting {
        key: "uploads",
        example: "\"atomic\"",
        help: "Where uploads are written until they are complete: atomic (a name stands for the old file or for the whole new one, whatever crashes or is cut) or direct (into the file under the name: readers see it grow, links and owner stay, what is cut leaves what has arrived).",
        set: |s, v, _| text(v, value::upload_policy).map(|policy| s.uploads = policy),
    },
    Setting {
        key: "fsync",
        example: "\"none\"",
        help: "What of an upload is on the disk when it is told as complete: none (a power failure may lose files of the last half minute, a crash of the server none), data (never a file with other content than was sent) or full (no file that was told as complete is lost).",
        set: |s, v, _| text(v, value::fsync).map(|what| s.fsync = what),
    },
];
