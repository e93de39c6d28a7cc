//! Numbers of bytes as people of ftp write them, and rates.

/// Bytes: digits, and `b` (512), `k`, `m`, `g` or `t` behind them.
pub(crate) fn bytes(text: &[u8]) -> Option<u64> {
    let (digits, unit) = match text.split_last() {
        Some((last, digits)) if last.is_ascii_alphabetic() => (digits, last.to_ascii_lowercase()),
        _ => (text, b' '),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let unit = match unit {
        b' ' => 1,
        b'b' => 512,
        b'k' => 1 << 10,
        b'm' => 1 << 20,
        b'g' => 1 << 30,
        b't' => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// A number of bytes, for clap.
pub(crate) fn bytes_of_argument(text: &str) -> Result<u64, String> {
    let complaint = || format!("`{text}` is no number of bytes: 4096, 64k, 2m");
    bytes(text.as_bytes())
        .filter(|it| *it > 0)
        .ok_or_else(complaint)
}

/// Which transfers a rate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Get,
    Put,
    All,
}

impl Direction {
    pub(crate) fn read(word: &[u8]) -> Option<Self> {
        match word.to_ascii_lowercase().as_slice() {
            b"get" => Some(Self::Get),
            b"put" => Some(Self::Put),
            b"all" => Some(Self::All),
            _ => None,
        }
    }

    pub(crate) fn gets(self) -> bool {
        self != Self::Put
    }

    pub(crate) fn puts(self) -> bool {
        self != Self::Get
    }
}

/// How fast transfers may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) direction: Direction,
    /// Bytes a second; 0 is no limit.
    pub(crate) most: u64,
    /// By how much SIGUSR1 and SIGUSR2 change it.
    pub(crate) step: u64,
}

/// What SIGUSR1 and SIGUSR2 change a rate by, if nobody says so.
pub(crate) const STEP: u64 = 1024;

impl Wanted {
    /// From the words of `rate`: direction, most, step.
    pub(crate) fn read<W: AsRef<[u8]>>(words: &[W]) -> Option<Self> {
        let word = |at: usize| words.get(at).map(AsRef::as_ref);
        if words.len() > 3 {
            return None;
        }
        Some(Self {
            direction: Direction::read(word(0)?)?,
            most: word(1).map_or(Some(0), bytes)?,
            step: word(2).map_or(Some(STEP), bytes)?,
        })
    }

    /// `DIRECTION,MOST[,STEP]`, for clap.
    pub(crate) fn of_argument(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split(',').collect();
        let read = (words.len() > 1).then(|| Self::read(&words)).flatten();
        read.ok_or_else(|| format!("`{text}` is no rate: get,100k or put,1m,10k or all,0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("17", Some(17)),
            ("2b", Some(1024)),
            ("2k", Some(2048)),
            ("3M", Some(3 << 20)),
            ("1g", Some(1 << 30)),
            ("", None),
            ("k", None),
            ("1x", None),
            ("-1", None),
            ("1 k", None),
            ("99999999999t", None),
        ] {
            assert_eq!(bytes(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn rates_have_a_direction_a_limit_and_a_step() {
        let wanted = |direction, most, step| Wanted {
            direction,
            most,
            step,
        };
        for (text, expected) in [
            ("get,100k", Some(wanted(Direction::Get, 102_400, STEP))),
            ("put,1m,10k", Some(wanted(Direction::Put, 1 << 20, 10_240))),
            ("ALL,0", Some(wanted(Direction::All, 0, STEP))),
            ("get", None),
            ("up,1k", None),
            ("get,1k,1k,1k", None),
            ("get,x", None),
        ] {
            assert_eq!(Wanted::of_argument(text).ok(), expected, "{text}");
        }
    }
}
