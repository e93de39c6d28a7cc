//! The bytes of a message: numbers in network order, texts and names with their length before them.
//!
//! Pure, and the same for every pair of wharf's processes. Nothing here knows what the fields mean; what is left over or
//! missing is [`Malformed`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::{Duration, SystemTime};

use wharf_proto::Pathname;

/// The longest packet in bytes. A listing with more comes in several.
pub const LONGEST: usize = 60 * 1024;

/// The packet makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(
    /// What is wrong with it.
    pub &'static str,
);

/// A packet on its way out.
#[derive(Default)]
pub struct Out(
    /// As far as it is written.
    pub Vec<u8>,
);

impl Out {
    /// One byte.
    pub fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    /// Yes or no, one byte.
    pub fn switch(&mut self, on: bool) -> &mut Self {
        self.byte(u8::from(on))
    }

    /// Two bytes.
    pub fn two(&mut self, number: u16) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// Four bytes.
    pub fn four(&mut self, number: u32) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// Eight bytes.
    pub fn eight(&mut self, number: u64) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// How many follow. Counts here are a handful; a packet with more would not be read.
    pub fn count(&mut self, count: usize) -> &mut Self {
        self.two(u16::try_from(count).unwrap_or(u16::MAX))
    }

    /// Bytes with their length before them. What is longer than a field can be is cut; no field of ours is.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let kept = bytes.get(..usize::from(u16::MAX)).unwrap_or(bytes);
        self.count(kept.len());
        self.0.extend_from_slice(kept);
        self
    }

    /// An address with its family before it and the port behind it.
    pub fn address(&mut self, at: SocketAddr) -> &mut Self {
        match at {
            SocketAddr::V4(v4) => {
                self.byte(4).0.extend(v4.ip().octets());
            }
            SocketAddr::V6(v6) => {
                self.byte(6).0.extend(v6.ip().octets());
                self.four(v6.scope_id());
            }
        }
        self.two(at.port())
    }

    /// A pathname, as [`bytes`](Self::bytes).
    pub fn path(&mut self, path: &Pathname) -> &mut Self {
        self.bytes(path.as_bytes())
    }

    /// Seconds since 1970, rounded down, and nanoseconds after them.
    pub fn time(&mut self, time: SystemTime) -> &mut Self {
        let (seconds, nanos) = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => (after.as_secs().cast_signed(), after.subsec_nanos()),
            Err(before) => {
                let before = before.duration();
                let whole = -before.as_secs().cast_signed();
                match before.subsec_nanos() {
                    0 => (whole, 0),
                    nanos => (whole - 1, 1_000_000_000 - nanos),
                }
            }
        };
        self.eight(seconds.cast_unsigned()).four(nanos)
    }

    /// Whether it is there, and then what it is.
    pub fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) -> &mut Self {
        self.switch(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
        self
    }
}

/// A packet as far as it has not been read.
pub struct In<'a>(
    /// What is left.
    pub &'a [u8],
);

impl<'a> In<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(Malformed("the packet is too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let taken = self.take(N)?;
        taken
            .try_into()
            .map_err(|_| Malformed("the packet is too short"))
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    /// Yes or no.
    pub fn switch(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("neither yes nor no")),
        }
    }

    /// Two bytes.
    pub fn two(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    pub fn four(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn eight(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// Bytes with their length before them, of which there may be so many.
    pub fn bytes(&mut self, most: usize) -> Result<&'a [u8], Malformed> {
        let count = usize::from(self.two()?);
        if count > most {
            return Err(Malformed("a field is too long"));
        }
        self.take(count)
    }

    /// The same in UTF-8.
    pub fn text(&mut self, most: usize) -> Result<String, Malformed> {
        let bytes = self.bytes(most)?.to_vec();
        String::from_utf8(bytes).map_err(|_| Malformed("not text"))
    }

    /// An address with its port.
    pub fn address(&mut self) -> Result<SocketAddr, Malformed> {
        match self.byte()? {
            4 => {
                let ip = Ipv4Addr::from(self.array::<4>()?);
                Ok(SocketAddr::new(IpAddr::V4(ip), self.two()?))
            }
            6 => {
                let ip = Ipv6Addr::from(self.array::<16>()?);
                let scope = self.four()?;
                Ok(SocketAddrV6::new(ip, self.two()?, 0, scope).into())
            }
            _ => Err(Malformed("no such address family")),
        }
    }

    /// A pathname, as a client could have named it.
    pub fn path(&mut self) -> Result<Pathname, Malformed> {
        let bytes = self.bytes(Pathname::MAX_LENGTH)?;
        Pathname::new(bytes).map_err(|_| Malformed("not a pathname"))
    }

    /// Seconds since 1970 and nanoseconds after them.
    pub fn time(&mut self) -> Result<SystemTime, Malformed> {
        let seconds = self.eight()?.cast_signed();
        let nanos = self.four()?;
        if nanos >= 1_000_000_000 {
            return Err(Malformed("not a time"));
        }
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let second = if seconds < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(whole)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(whole)
        };
        second
            .and_then(|second| second.checked_add(Duration::from_nanos(nanos.into())))
            .ok_or(Malformed("not a time"))
    }

    /// Whether it is there, and then what it is.
    pub fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        if self.switch()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Nothing may be left.
    pub fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed("the packet is too long"))
        }
    }
}
