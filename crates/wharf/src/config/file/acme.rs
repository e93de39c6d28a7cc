//! `[acme]`: certificates from an authority.

use super::Setting;
use super::toml_value::{list, text};
use crate::args::{serve_acme as acme, value};

pub(super) const KEYS: &[Setting] = &[
    Setting {
        key: "acme.domains",
        example: "[\"ftp.example.org\"]",
        help: "Names for which an authority is to sign a certificate (ACME, HTTP-01) that is renewed in time. They must lead to this host. Whoever sets this agrees to the authority's terms. Default: none.",
        set: |s, v, _| list(v, acme::domain).map(|names| s.acme.domains = names),
    },
    Setting {
        key: "acme.email",
        example: "\"admin@example.org\"",
        help: "Where the authority writes to when something is wrong. Default: nowhere.",
        set: |s, v, _| text(v, acme::email).map(|email| s.acme.email = Some(email)),
    },
    Setting {
        key: "acme.directory",
        example: "\"https://acme-v02.api.letsencrypt.org/directory\"",
        help: "The authority's directory.",
        set: |s, v, _| text(v, acme::directory).map(|url| s.acme.directory = url),
    },
    Setting {
        key: "acme.http",
        example: "\"[::]:80\"",
        help: "Where the authority's question is answered over HTTP. It asks at port 80 of every name.",
        set: |s, v, _| text(v, value::listen).map(|at| s.acme.http = at),
    },
];
