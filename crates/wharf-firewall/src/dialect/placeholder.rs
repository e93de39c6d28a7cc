//! Addresses for documentation (RFC 5737, RFC 3849) in the place of one that only the reader knows: for dialects that
//! have no variables and stand on another machine than the one they are about.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::deployment::Family;

/// The server, or the client, whose address nobody told
pub(super) fn host(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(192, 0, 2, 1).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    }
}

/// What to do about them
pub(super) fn remark(whose: &str, families: &[Family]) -> String {
    let hosts: Vec<String> = families.iter().map(|it| host(*it).to_string()).collect();
    format!(
        "Put the {whose}'s address in the place of {}.",
        hosts.join(" and ")
    )
}
