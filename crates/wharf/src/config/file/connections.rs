//! Keys of no table: control and data connections alike.

use super::Setting;
use super::toml_value::{list, time};
use crate::args::value;

pub(super) const KEYS: &[Setting] = &[
    Setting {
        key: "keepalive",
        example: "\"30s\"",
        help: "Silence after which a control connection is probed (TCP keepalive), so that no NAT forgets it; every 2 s in transfers of more than a second. \"0\" is never.",
        set: |s, v, _| time(v, value::duration).map(|time| s.keepalive = Some(time)),
    },
    Setting {
        key: "proxy_protocol",
        example: "[\"10.0.0.0/24\"]",
        help: "Networks of balancers whose connections, control and data, begin with a PROXY protocol header (v1 or v2) that is believed. All other connections must not have one. Default: none.",
        set: |s, v, _| list(v, value::network).map(|networks| s.proxy_protocol = networks),
    },
];
