//! Keys of no table: what is served, and where.

use std::net::SocketAddr;

use super::Setting;
use super::toml_value::{list, path, text};
use crate::args::{user_name, value};

pub(super) const KEYS: &[Setting] = &[
    Setting {
        key: "directory",
        example: "\"/srv/ftp\"",
        help: "The directory that is served. Nothing outside it can be reached, not even through symbolic links. Default: the current directory. Relative paths in this file start at the file's own directory.",
        set: |s, v, base| path(v, base).map(|path| s.directory = path),
    },
    Setting {
        key: "listen",
        example: "[\"[::]:21\"]",
        help: "Addresses for control connections. [::] takes IPv4, too. Default: port 21 on every address when it may be bound, else port 2121.",
        set: |s, v, _| list(v, value::listen).map(|list: Vec<SocketAddr>| s.listen = list),
    },
    Setting {
        key: "greeting",
        example: "\"wharf FTP server ready\"",
        help: "Text of the 220 greeting.",
        set: |s, v, _| {
            text(v, |text| {
                if text.contains(['\r', '\n', '\0']) {
                    return Err("must be one line".to_owned());
                }
                Ok(text.to_owned())
            })
            .map(|greeting| s.greeting = Some(greeting))
        },
    },
    Setting {
        key: "run_as",
        example: "\"ftp\"",
        help: "User as whom a server that root starts talks to the network, without capabilities. Default: the owner of `directory`.",
        set: |s, v, _| text(v, user_name).map(|user| s.run_as = Some(user)),
    },
    Setting {
        key: "sandbox",
        example: "\"best-effort\"",
        help: "strict, best-effort or off: whether the process that talks to the network must be locked in wholly (files below `directory`, own ports, no processes), as far as this system can, or not at all.",
        set: |s, v, _| text(v, value::sandbox).map(|level| s.sandbox = level),
    },
];
