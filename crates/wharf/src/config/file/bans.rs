//! `[bans]`: who is not even asked.

use super::Setting;
use super::toml_value::{integer, list, path, time};
use crate::args::value;

pub(super) const KEYS: &[Setting] = &[
    Setting {
        key: "bans.after",
        example: "10",
        help: "Failed logins from one address (IPv6: one /64) after which it is banned; 0 is never. A failure counts half after `half_life`. Users who have logged in from that address before are let in there all the same.",
        set: |s, v, _| integer(v, 0, 100_000).map(|n| s.bans.after = u32::try_from(n).ok()),
    },
    Setting {
        key: "bans.users_after",
        example: "50",
        help: "Failed logins with one user name, from addresses where that user is not known, after which only known addresses may try it; 0 is never.",
        set: |s, v, _| integer(v, 0, 100_000).map(|n| s.bans.users_after = u32::try_from(n).ok()),
    },
    Setting {
        key: "bans.half_life",
        example: "\"10m\"",
        help: "After this time a failure counts half.",
        set: |s, v, _| time(v, value::positive_duration).map(|time| s.bans.half_life = Some(time)),
    },
    Setting {
        key: "bans.first",
        example: "\"5m\"",
        help: "How long the first ban lasts; each further one twice as long as the one before.",
        set: |s, v, _| time(v, value::positive_duration).map(|time| s.bans.first = Some(time)),
    },
    Setting {
        key: "bans.longest",
        example: "\"24h\"",
        help: "How long a ban lasts at most, and how long it is remembered after its end.",
        set: |s, v, _| time(v, value::positive_duration).map(|time| s.bans.longest = Some(time)),
    },
    Setting {
        key: "bans.trusted",
        example: "[\"127.0.0.0/8\", \"::1/128\"]",
        help: "Networks that are never banned, except by hand (`wharf ban add`). Put a proxy or a NAT there that all clients come through.",
        set: |s, v, _| list(v, value::network).map(|networks| s.bans.trusted = Some(networks)),
    },
    Setting {
        key: "bans.list",
        example: "\"/var/lib/wharf/bans\"",
        help: "File of bans, which servers and `wharf ban` share. Default: wharf/bans/list in the state directory ($XDG_STATE_HOME or ~/.local/state).",
        set: |s, v, base| path(v, base).map(|path| s.bans.list = Some(path)),
    },
];
