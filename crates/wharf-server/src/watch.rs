//! A transfer as STAT tells it while it runs (RFC 959 §4.1.3).

use std::fmt;

use tokio::time::Instant;
use wharf_net::pump::Progress;

/// What a running transfer is and how far it is
pub(crate) struct Watch {
    what: &'static str,
    /// Octets on the data connection
    pub(crate) progress: Progress,
    /// Octets of the file, where known
    pub(crate) expected: Option<u64>,
    pub(crate) began: Instant,
}

impl Watch {
    pub(crate) fn new(what: &'static str, expected: Option<u64>) -> Self {
        Self {
            what,
            progress: Progress::new(),
            expected,
            began: Instant::now(),
        }
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moved = self.progress.moved();
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let rate = moved.saturating_mul(1000) / millis.max(1);
        write!(f, "{} in progress: {moved}", self.what)?;
        if let Some(expected) = self.expected {
            write!(f, " of {expected}")?;
        }
        write!(f, " bytes, {rate} bytes/s")?;
        match (self.expected, rate) {
            (Some(expected), 1..) => {
                let left = expected.saturating_sub(moved).div_ceil(rate);
                write!(f, ", {left} s left")
            }
            _ => write!(f, ", time left unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stat_tells_bytes_rate_and_time_left() {
        let known = Watch::new("RETR", Some(10_000));
        let unknown = Watch::new("STOR", None);
        assert_eq!(
            known.to_string(),
            "RETR in progress: 0 of 10000 bytes, 0 bytes/s, time left unknown"
        );
        known.progress.add(2000);
        unknown.progress.add(2000);
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(
            known.to_string(),
            "RETR in progress: 2000 of 10000 bytes, 500 bytes/s, 16 s left"
        );
        assert_eq!(
            unknown.to_string(),
            "STOR in progress: 2000 bytes, 500 bytes/s, time left unknown"
        );
    }
}
