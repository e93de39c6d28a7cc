//! `[limits]`: how much and how long.

use super::Setting;
use super::toml_value::{count, integer, time};
use crate::args::value;

pub(super) const KEYS: &[Setting] = &[
    Setting {
        key: "limits.sessions",
        example: "10000",
        help: "Control connections at once; 0 is no limit.",
        set: |s, v, _| count(v).map(|count| s.limits.sessions = Some(count)),
    },
    Setting {
        key: "limits.sessions_per_address",
        example: "100",
        help: "Control connections at once from one client address; 0 is no limit.",
        set: |s, v, _| count(v).map(|count| s.limits.sessions_per_address = Some(count)),
    },
    Setting {
        key: "limits.login_attempts",
        example: "5",
        help: "Wrong passwords before the connection is closed.",
        set: |s, v, _| {
            integer(v, 1, 1000).map(|count| s.limits.login_attempts = u32::try_from(count).ok())
        },
    },
    Setting {
        key: "limits.login_timeout",
        example: "\"60s\"",
        help: "Time to log in.",
        set: |s, v, _| {
            time(v, value::positive_duration).map(|time| s.limits.login_timeout = Some(time))
        },
    },
    Setting {
        key: "limits.idle_timeout",
        example: "\"10m\"",
        help: "Time without a command before 421.",
        set: |s, v, _| {
            time(v, value::positive_duration).map(|time| s.limits.idle_timeout = Some(time))
        },
    },
    Setting {
        key: "limits.stall_timeout",
        example: "\"2m\"",
        help: "Time without a byte before a transfer is given up with 426.",
        set: |s, v, _| {
            time(v, value::positive_duration).map(|time| s.limits.stall_timeout = Some(time))
        },
    },
    Setting {
        key: "limits.stop_timeout",
        example: "\"30s\"",
        help: "Time transfers may take to finish after SIGTERM.",
        set: |s, v, _| time(v, value::duration).map(|time| s.limits.stop_timeout = Some(time)),
    },
];
