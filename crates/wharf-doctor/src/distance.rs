//! On whose side of the way a packet ends: packets to a port that does not answer are compared, hop by hop, with packets
//! to the control port, which does.
//!
//! A router at which the limit on hops is used up says so before it looks at its rules. So the last router that speaks up
//! for the silent port is the one that drops, or the silence begins right behind it.

use wharf_net::Touch;

use crate::errand::NEAR;
use crate::facts::Seen;

/// Where packets to a passive port end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// On this machine or in the first routers.
    OurSide,
    /// At the last router before the server, or at the server.
    ServerSide,
    /// The host that answers is not the server but stands in front of it: its address, not its port.
    InFrontOfServer,
    /// It cannot be told.
    Unknown,
}

/// Where they end, and what shows it.
pub(crate) fn end(seen: &Seen) -> (End, Option<String>) {
    let arrives = first(&seen.near, Touch::Open);
    if let Some(refused) = first(&seen.far, Touch::Refused) {
        return refused_at(refused, arrives);
    }
    let last_far = last(&seen.far, Touch::Unreachable);
    let last_near = last(&seen.near, Touch::Unreachable);
    let passed = last_far.unwrap_or(0);
    if seen.far.is_empty() || last_far.is_none() && last_near.is_none() {
        return (End::Unknown, None);
    }
    let control_goes_on = last_near.is_some_and(|hops| hops > passed)
        || arrives.is_some_and(|hops| hops > passed + 1);
    match arrives {
        Some(server) if passed + 1 >= server && passed > 1 => (
            End::ServerSide,
            Some(format!(
                "packets to the silent port pass all {passed} routers on the way and end at the server or the last router before it"
            )),
        ),
        _ if passed <= 2 && control_goes_on => (
            End::OurSide,
            Some(match passed {
                0 => "packets to the silent port do not even reach the first router, those to the control port do".to_owned(),
                _ => format!(
                    "packets to the silent port end at router {passed} of the way, those to the control port go on"
                ),
            }),
        ),
        None if passed > NEAR => (
            End::ServerSide,
            Some(format!(
                "packets to the silent port pass {passed} routers: they leave this network"
            )),
        ),
        _ => (End::Unknown, None),
    }
}

fn refused_at(refused: u8, arrives: Option<u8>) -> (End, Option<String>) {
    match arrives {
        Some(server) if refused + 1 == server => (
            End::InFrontOfServer,
            Some(format!(
                "the refusal comes from {refused} hops away, the control connection is answered from {server} hops away"
            )),
        ),
        Some(server) if refused < server => (
            End::OurSide,
            Some(format!(
                "the refusal comes from {refused} hops away, the server is {server} hops away"
            )),
        ),
        Some(_) => (
            End::ServerSide,
            Some(format!(
                "the refusal comes from as far away as the server, {refused} hops"
            )),
        ),
        None if refused <= 2 => (
            End::OurSide,
            Some(format!(
                "the refusal comes from {refused} hops away, the server is farther away"
            )),
        ),
        None => (End::Unknown, None),
    }
}

fn first(hops: &[(u8, Touch)], wanted: Touch) -> Option<u8> {
    let of_it = hops.iter().filter(|(_, touch)| *touch == wanted);
    of_it.map(|(hops, _)| *hops).min()
}

fn last(hops: &[(u8, Touch)], wanted: Touch) -> Option<u8> {
    let of_it = hops.iter().filter(|(_, touch)| *touch == wanted);
    of_it.map(|(hops, _)| *hops).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::software::{Program, Software};

    /// A way of `routers`: `u` unreachable, `s` silent, `r` refused, `o` open, by hops.
    fn hops(text: &str) -> Vec<(u8, Touch)> {
        (1..)
            .zip(text.chars().map(|it| match it {
                'u' => Touch::Unreachable,
                'r' => Touch::Refused,
                'o' => Touch::Open,
                _ => Touch::Silent,
            }))
            .collect()
    }

    #[test]
    fn the_last_router_that_speaks_tells_the_side() {
        for (near, far, expected) in [
            // Client's gateway, server's gateway, server
            ("uuooo", "uussssssssss", End::ServerSide),
            ("uuooo", "usssssssssss", End::OurSide),
            ("uuooo", "ssssssssssss", End::OurSide),
            ("uuooo", "urrrrrrrrrrr", End::InFrontOfServer),
            ("uuooo", "uurrrrrrrrrr", End::ServerSide),
            // One router only: it, or the server
            ("uoooo", "usssssssssss", End::Unknown),
            // The internet
            ("uuuuu", "uuuuuuuuusss", End::ServerSide),
            ("uuuuu", "usssssssssss", End::OurSide),
            ("uuuuu", "uurrrrrrrrrr", End::Unknown),
            ("uuuuu", "urrrrrrrrrrr", End::OurSide),
            ("uuuuu", "uuuussssssss", End::Unknown),
            // Routers that do not speak
            ("ssooo", "ssssssssssss", End::Unknown),
            ("susss", "susssusussss", End::ServerSide),
            ("", "", End::Unknown),
        ] {
            let software = Software {
                program: Program::Unknown,
                version: None,
            };
            let peer = "203.0.113.130:21".parse().unwrap();
            let mut seen = Seen::new(peer, "198.51.100.130".parse().unwrap(), software);
            (seen.near, seen.far) = (hops(near), hops(far));
            let (end, why) = end(&seen);
            assert_eq!(end, expected, "near {near}, far {far}");
            assert_eq!(
                why.is_none(),
                expected == End::Unknown,
                "near {near}, far {far}"
            );
        }
    }
}
