//! `[data]`: data connections.

use super::Setting;
use super::toml_value::{boolean, integer, list, narrow_port, text, time};
use crate::args::value;

pub(super) const KEYS: &[Setting] = &[
    Setting {
        key: "data.passive_ports",
        example: "\"50000-50999\"",
        help: "Ports for passive data connections, never left. A firewall must let them in.",
        set: |s, v, _| text(v, value::ports).map(|ports| s.data.passive_ports = ports),
    },
    Setting {
        key: "data.one_port",
        example: "\"auto\"",
        help: "Data connections to the control port itself, so that it is the only port to be opened: on, off, or auto (for clients to which the passive ports did not work).",
        set: |s, v, _| text(v, value::one_port).map(|when| s.data.one_port = when),
    },
    Setting {
        key: "data.port",
        example: "\"2120\"",
        help: "A port, or a few (LO-HI), that all passive data connections share, instead of `passive_ports`. Each serves any number of client addresses, one transfer of each at a time. Default: none.",
        set: |s, v, _| text(v, value::ports).map(|ports| s.data.port = Some(ports)),
    },
    Setting {
        key: "data.shared_address",
        example: "\"one-user\"",
        help: "Who may use the control port for data behind one client address: one-user (nobody while different users are logged in from it) or any-user.",
        set: |s, v, _| text(v, value::shared_address).map(|who| s.data.shared_address = who),
    },
    Setting {
        key: "data.address_pools",
        example: "[]",
        help: "Networks of carrier NATs that give the connections of one client different addresses: all addresses of such a network count as one client when a data connection is paired with its session.",
        set: |s, v, _| list(v, value::network).map(|pools| s.data.address_pools = pools),
    },
    Setting {
        key: "data.advertise",
        example: "[\"203.0.113.7\", \"192.168.0.0/16=192.168.1.5\"]",
        help: "Address or name told to passive clients when the server stands behind a NAT; NET=ADDR holds for clients of that network only. \"auto\" finds it out: a public address that clients have reached, else what the router says. Default: the address the client reached.",
        set: |s, v, _| list(v, value::advertise).map(|rules| s.data.advertise = rules),
    },
    Setting {
        key: "data.active",
        example: "true",
        help: "Offer active data connections (PORT, EPRT): the server connects to the client.",
        set: |s, v, _| boolean(v).map(|on| s.data.active = on),
    },
    Setting {
        key: "data.digests",
        example: "true",
        help: "Offer digests of files (HASH, XCRC, XMD5, XSHA1, XSHA256, XSHA512): the server reads the file for each.",
        set: |s, v, _| boolean(v).map(|on| s.data.digests = on),
    },
    Setting {
        key: "data.active_port",
        example: "20",
        help: "Local port of active data connections when it may be bound (RFC 959 says 20); 0 is any.",
        set: |s, v, _| integer(v, 0, 65_535).map(|port| s.data.active_port = narrow_port(port)),
    },
    Setting {
        key: "data.port_policy",
        example: "\"refuse\"",
        help: "What becomes of a PORT with a private address from a public client: refuse, or repair (connect to the address the client comes from).",
        set: |s, v, _| text(v, value::port_policy).map(|policy| s.data.port_policy = policy),
    },
    Setting {
        key: "data.timeout",
        example: "\"10s\"",
        help: "How long to wait for a data connection before 425.",
        set: |s, v, _| time(v, value::positive_duration).map(|time| s.data.timeout = Some(time)),
    },
];
