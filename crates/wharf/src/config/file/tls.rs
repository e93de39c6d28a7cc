//! `[tls]`: when there is TLS, whose certificates, and what a data connection must prove.

use std::net::SocketAddr;

use super::Setting;
use super::toml_value::{boolean, list, path, paths, text};
use crate::args::{serve_tls as tls, value};

pub(super) const KEYS: &[Setting] = &[
    Setting {
        key: "tls.control",
        example: "\"allowed\"",
        help: "TLS on control connections (AUTH TLS): off, allowed, or required (no password is taken in clear).",
        set: |s, v, _| text(v, tls::requirement).map(|when| s.tls.control = when),
    },
    Setting {
        key: "tls.data",
        example: "\"allowed\"",
        help: "TLS on data connections (PROT P): off, allowed, or required. Default: as `control`.",
        set: |s, v, _| text(v, tls::requirement).map(|when| s.tls.data = Some(when)),
    },
    Setting {
        key: "tls.certificate",
        example: "\"/etc/wharf/cert.pem\"",
        help: "The certificate with its chain, PEM; needs `key`. Several as an array, with `key` another one in the same order: a client that names a host gets the first that is for it. New files are noticed while the server runs. Default: one that the server makes for itself and keeps.",
        set: |s, v, base| paths(v, base).map(|paths| s.tls.certificates = paths),
    },
    Setting {
        key: "tls.key",
        example: "\"/etc/wharf/key.pem\"",
        help: "The key of the certificate, PEM.",
        set: |s, v, base| paths(v, base).map(|paths| s.tls.keys = paths),
    },
    Setting {
        key: "tls.client_certificates",
        example: "\"allowed\"",
        help: "Whether clients show a certificate to log in: off, allowed, or required (no TLS and no login without one). Whose it is stands in the users file. Default: allowed where `client_ca` is set, else off.",
        set: |s, v, _| text(v, tls::requirement).map(|when| s.tls.client_certificates = Some(when)),
    },
    Setting {
        key: "tls.client_ca",
        example: "\"/etc/wharf/clients-ca.pem\"",
        help: "Who signs the certificates of clients, PEM. A client's own certificate in it is believed itself. Default: none.",
        set: |s, v, base| path(v, base).map(|path| s.tls.client_ca = Some(path)),
    },
    Setting {
        key: "tls.client_crl",
        example: "\"/etc/wharf/clients-crl.pem\"",
        help: "Lists of revoked certificates of clients (CRL), PEM or DER. With it every certificate needs a list of its authority that has not ended. Read again on SIGHUP. Default: none.",
        set: |s, v, base| path(v, base).map(|path| s.tls.client_crl = Some(path)),
    },
    Setting {
        key: "tls.data_session",
        example: "\"require\"",
        help: "Whether a data connection must resume the TLS session of its control connection, which proves whose it is: require, prefer (others are judged by their address), or off.",
        set: |s, v, _| text(v, tls::data_session).map(|when| s.tls.data_session = when),
    },
    Setting {
        key: "tls.truncation",
        example: "\"strict\"",
        help: "What becomes of an upload that ends without saying so (TLS close_notify), as one that somebody has cut does: strict (426, not complete) or lenient (226).",
        set: |s, v, _| text(v, tls::truncation).map(|policy| s.tls.truncation = policy),
    },
    Setting {
        key: "tls.ccc",
        example: "false",
        help: "Let clients take the control connection out of TLS again (CCC), for NATs that must read along.",
        set: |s, v, _| boolean(v).map(|on| s.tls.ccc = on),
    },
    Setting {
        key: "tls.exceptions",
        example: "[\"10.0.0.0/8 data_session=prefer\", \"backup control=required data=required\"]",
        help: "What is different for a network, an address or a user: its name and one or more of control, data, data_session and truncation. The last one that fits wins.",
        set: |s, v, _| list(v, tls::exception).map(|list| s.tls.exceptions = list),
    },
    Setting {
        key: "tls.implicit_listen",
        example: "[\"[::]:990\"]",
        help: "Addresses for control connections that are in TLS from their first byte (implicit TLS). Default: none.",
        set: |s, v, _| {
            list(v, value::listen).map(|list: Vec<SocketAddr>| s.tls.implicit_listen = list)
        },
    },
];
