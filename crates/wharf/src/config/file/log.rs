//! `[log]`: what is written down.

use super::Setting;
use super::toml_value::{path, text};
use crate::logging;

pub(super) const KEYS: &[Setting] = &[
    Setting {
        key: "log.format",
        example: "\"human\"",
        help: "human or json, on stderr.",
        set: |s, v, _| {
            text(v, |text| {
                <logging::LogFormat as clap::ValueEnum>::from_str(text, false)
                    .map_err(|_| format!("`{text}` is not a log format: expected human or json"))
            })
            .map(|format| s.log.format = Some(format))
        },
    },
    Setting {
        key: "log.level",
        example: "\"info\"",
        help: "error, warn, info, debug, trace, off, or rules like info,wharf_net=debug.",
        set: |s, v, _| {
            text(v, |text| {
                logging::parse_filter(text).map(|_| text.to_owned())
            })
            .map(|level| s.log.level = Some(level))
        },
    },
    Setting {
        key: "log.xferlog",
        example: "\"/var/log/wharf/xferlog\"",
        help: "One line a transfer in the wu-ftpd format, which log analysers read.",
        set: |s, v, base| path(v, base).map(|path| s.log.xferlog = Some(path)),
    },
    Setting {
        key: "log.trace",
        example: "\"/var/log/wharf/trace\"",
        help: "Transcript of every dialogue, passwords masked. For finding faults; it grows fast.",
        set: |s, v, base| path(v, base).map(|path| s.log.trace = Some(path)),
    },
];
