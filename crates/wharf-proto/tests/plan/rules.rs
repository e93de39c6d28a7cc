//! The small rules: patience, which addresses are followed, which replies are evidence.

use std::time::Duration;

use wharf_proto::Reply;
use wharf_proto::data_connection::Offer;
use wharf_proto::data_connection::path::Path;
use wharf_proto::data_connection::plan::{Asked, Evidence, patience};
use wharf_proto::data_connection::policy::{DataHost, PathPolicy};

use super::network::*;

#[test]
fn patience_covers_a_lost_syn() {
    for (millis, expected) in [
        (0, 1300),
        (20, 1300),
        (100, 1300),
        (200, 1600),
        (600, 2800),
        (2000, 3000),
    ] {
        assert_eq!(
            patience(Duration::from_millis(millis)),
            Duration::from_millis(expected)
        );
    }
}

#[test]
fn addresses_in_a_227_are_followed_only_where_allowed() {
    let following = || PathPolicy {
        data_host: DataHost::Reply,
        ..auto()
    };
    let trusting = || PathPolicy {
        trusted: vec!["10.0.0.0/8".parse().unwrap()],
        ..auto()
    };
    let (peer, replied) = (Path::PASV, Path::PASV_AS_REPLIED);
    let at = "203.0.113.9:5000";
    let table = [
        (auto(), peer, at, Some((at, None))),
        (auto(), Path::EPSV, at, Some((at, None))),
        (auto(), peer, "192.168.77.5:5000", Some((at, None))),
        (
            auto(),
            peer,
            "198.51.100.1:5000",
            Some((at, Some("198.51.100.1:5000"))),
        ),
        (
            auto(),
            peer,
            "198.51.100.1:22",
            Some(("203.0.113.9:22", None)),
        ),
        (auto(), peer, "127.0.0.1:5000", Some((at, None))),
        (auto(), peer, "0.0.0.0:5000", Some((at, None))),
        (auto(), peer, "0.1.2.3:5000", Some((at, None))),
        (auto(), peer, "224.0.0.1:5000", Some((at, None))),
        (auto(), peer, "203.0.113.9:0", None),
        (
            auto(),
            replied,
            "198.51.100.1:5000",
            Some(("198.51.100.1:5000", None)),
        ),
        (auto(), replied, "192.168.77.5:5000", None),
        (following(), peer, "198.51.100.1:5000", Some((at, None))),
        (
            following(),
            replied,
            "192.168.77.5:5000",
            Some(("192.168.77.5:5000", None)),
        ),
        (
            following(),
            replied,
            "192.168.77.5:22",
            Some(("192.168.77.5:22", None)),
        ),
        (following(), replied, "0.0.0.0:5000", Some((at, None))),
        (following(), replied, "127.0.0.1:5000", None),
        (following(), replied, "224.0.0.1:5000", None),
        (following(), replied, "255.255.255.255:5000", None),
        (following(), replied, "0.1.2.3:5000", None),
        (
            trusting(),
            peer,
            "10.1.2.3:5000",
            Some((at, Some("10.1.2.3:5000"))),
        ),
        (trusting(), peer, "192.168.1.3:5000", Some((at, None))),
    ];
    for (policy, path, named, want) in table {
        let got = policy.targets(path, named.parse().unwrap()).ok();
        let want = want.map(|(first, beside): (&str, Option<&str>)| {
            (first.parse().unwrap(), beside.map(|it| it.parse().unwrap()))
        });
        assert_eq!(got.map(|it| (it.first, it.beside)), want, "{path} {named}");
    }
}

#[test]
fn replies_about_files_and_logins_are_no_evidence() {
    let refused = |code| Some(Evidence::CommandRefused { code });
    let address = |code| {
        Some(Evidence::AddressRefused {
            code,
            outside: None,
        })
    };
    let no_data = |code| Some(Evidence::NoDataConnection { code });
    let told = Evidence::AddressRefused {
        code: 500,
        outside: Some(ip("198.51.100.1")),
    };
    let family = Some(Evidence::FamilyRefused);
    let table = [
        (Offer::Epsv, Asked::Offer, 229, "", None),
        (Offer::Epsv, Asked::Offer, 500, "", refused(500)),
        (Offer::Epsv, Asked::Offer, 522, "", family),
        (Offer::Pasv, Asked::Offer, 425, "", refused(425)),
        (Offer::Pasv, Asked::Offer, 421, "", None),
        (Offer::Pasv, Asked::Offer, 530, "", None),
        (
            Offer::Port,
            Asked::Offer,
            500,
            "Unknown command.",
            refused(500),
        ),
        (
            Offer::Port,
            Asked::Offer,
            502,
            "Active mode is not offered here",
            refused(502),
        ),
        (
            Offer::Port,
            Asked::Offer,
            500,
            "Illegal PORT command.",
            address(500),
        ),
        (
            Offer::Port,
            Asked::Offer,
            500,
            "Illegal PORT rejected (address wrong).",
            address(500),
        ),
        (
            Offer::Port,
            Asked::Offer,
            500,
            "I won't open a connection to 192.168.10.2 (only to 198.51.100.1)",
            Some(told),
        ),
        (Offer::Port, Asked::Offer, 501, "", address(501)),
        (Offer::Port, Asked::Offer, 504, "", address(504)),
        (
            Offer::Eprt,
            Asked::Offer,
            500,
            "Illegal EPRT command.",
            address(500),
        ),
        (Offer::Eprt, Asked::Offer, 500, "Bad EPRT protocol.", family),
        (Offer::Eprt, Asked::Offer, 522, "", family),
        (Offer::Lprt, Asked::Offer, 502, "", refused(502)),
        (Offer::Epsv, Asked::Transfer, 150, "", None),
        (Offer::Epsv, Asked::Transfer, 425, "", no_data(425)),
        (Offer::Port, Asked::Transfer, 426, "", no_data(426)),
        (Offer::Epsv, Asked::Transfer, 550, "", None),
        (Offer::Epsv, Asked::Transfer, 522, "", None),
    ];
    for (offer, asked, code, text, want) in table {
        let got = Evidence::from_reply(offer, asked, &Reply::new(code, text));
        assert_eq!(got, want, "{offer} {asked:?} {code} {text}");
    }
}
