//! The bytes of a message: numbers in network order, texts and names with their length before them.
//!
//! Pure. Nothing here knows what the fields mean; what is left over or missing is [`Malformed`].

use std::time::{Duration, SystemTime};

use wharf_proto::Pathname;

/// The longest packet in bytes. A listing with more comes in several.
pub const LONGEST: usize = 60 * 1024;

/// The packet makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) &'static str);

/// A packet on its way out.
#[derive(Default)]
pub(crate) struct Out(pub(crate) Vec<u8>);

impl Out {
    pub(crate) fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    pub(crate) fn switch(&mut self, on: bool) -> &mut Self {
        self.byte(u8::from(on))
    }

    pub(crate) fn two(&mut self, number: u16) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(crate) fn four(&mut self, number: u32) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(crate) fn eight(&mut self, number: u64) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// What is longer than a field can be is cut; no field of ours is.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let count = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.two(count);
        let kept = bytes.get(..usize::from(count)).unwrap_or_default();
        self.0.extend_from_slice(kept);
        self
    }

    pub(crate) fn path(&mut self, path: &Pathname) -> &mut Self {
        self.bytes(path.as_bytes())
    }

    /// Seconds since 1970, rounded down, and nanoseconds after them.
    pub(crate) fn time(&mut self, time: SystemTime) -> &mut Self {
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
    pub(crate) fn optional<T>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Self, T),
    ) -> &mut Self {
        self.switch(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
        self
    }
}

/// A packet as far as it has not been read.
pub(crate) struct In<'a>(pub(crate) &'a [u8]);

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

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn switch(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("neither yes nor no")),
        }
    }

    pub(crate) fn two(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn four(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn eight(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn bytes(&mut self, most: usize) -> Result<&'a [u8], Malformed> {
        let count = usize::from(self.two()?);
        if count > most {
            return Err(Malformed("a field is too long"));
        }
        self.take(count)
    }

    pub(crate) fn text(&mut self, most: usize) -> Result<String, Malformed> {
        let bytes = self.bytes(most)?.to_vec();
        String::from_utf8(bytes).map_err(|_| Malformed("not text"))
    }

    pub(crate) fn path(&mut self) -> Result<Pathname, Malformed> {
        let bytes = self.bytes(Pathname::MAX_LENGTH)?;
        Pathname::new(bytes).map_err(|_| Malformed("not a pathname"))
    }

    pub(crate) fn time(&mut self) -> Result<SystemTime, Malformed> {
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

    pub(crate) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        if self.switch()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed("the packet is too long"))
        }
    }
}
