//! Addresses that stand for names which only the proxy can resolve.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{PoisonError, RwLock};

/// `240.0.0.0/8`: reserved since RFC 1112 §4 and routed by nobody.
const BLOCK: u8 = 240;

/// More names than anybody types in one run; the table must not grow without an end.
const MOST: usize = 4096;

/// Whether an address stands for a name.
pub fn is_stand_in(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.octets()[0] == BLOCK)
}

/// Which stands for which.
#[derive(Debug, Default)]
pub(super) struct StandIns(RwLock<Vec<String>>);

impl StandIns {
    /// What stands for this name: always the same. `None`: there are too many.
    pub(super) fn stand_in(&self, name: &str) -> Option<Ipv4Addr> {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = names.iter().position(|it| it.eq_ignore_ascii_case(name));
        let at = match known {
            Some(at) => at,
            None if names.len() < MOST => {
                names.push(name.to_owned());
                names.len() - 1
            }
            None => return None,
        };
        let [_, _, high, low] = u32::try_from(at + 1).ok()?.to_be_bytes();
        Some(Ipv4Addr::new(BLOCK, 0, high, low))
    }

    /// The name that an address stands for.
    pub(super) fn name(&self, address: IpAddr) -> Option<String> {
        let IpAddr::V4(v4) = address else {
            return None;
        };
        let [BLOCK, 0, high, low] = v4.octets() else {
            return None;
        };
        let at = usize::from(u16::from_be_bytes([high, low])).checked_sub(1)?;
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.get(at).cloned()
    }
}
