//! SIGUSR1 and SIGUSR2 change the rate of a running transfer, as they do in tnftp.

use std::num::NonZeroU64;

use tokio::signal::unix::{SignalKind, signal};
use wharf_net::{LEAST_RATE, RateLimit};

use crate::exit::{Exit, Failure};
use crate::output::{Output, human_bytes};

/// A step is this part of the rate that was asked for.
const STEPS: u64 = 4;

/// A limit of this rate, which the signals change from now on.
pub(crate) fn limit(rate: NonZeroU64, output: &Output) -> Result<RateLimit, Failure> {
    let catch = |kind| {
        signal(kind)
            .map_err(|error| Failure::new(Exit::Software, format!("cannot catch signals: {error}")))
    };
    let (mut faster, mut slower) = (
        catch(SignalKind::user_defined1())?,
        catch(SignalKind::user_defined2())?,
    );
    let limit = RateLimit::new(Some(rate));
    let (shared, output) = (limit.clone(), output.clone());
    tokio::spawn(async move {
        let mut now = rate;
        loop {
            let up = tokio::select! {
                Some(()) = faster.recv() => true,
                Some(()) = slower.recv() => false,
                else => return,
            };
            now = stepped(rate, now, up);
            shared.set(Some(now));
            output.note(&format!("rate: {}/s", human_bytes(now.get())));
        }
    });
    Ok(limit)
}

fn stepped(asked: NonZeroU64, now: NonZeroU64, up: bool) -> NonZeroU64 {
    let step = (asked.get() / STEPS).max(1);
    let next = if up {
        now.get().saturating_add(step)
    } else {
        now.get().saturating_sub(step).max(LEAST_RATE)
    };
    NonZeroU64::new(next).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_a_quarter_and_end_at_the_least_rate() {
        let rate = |it| NonZeroU64::new(it).unwrap();
        assert_eq!(stepped(rate(8000), rate(8000), true), rate(10_000));
        assert_eq!(stepped(rate(8000), rate(4000), false), rate(2000));
        assert_eq!(stepped(rate(8000), rate(2000), false), rate(LEAST_RATE));
        assert_eq!(
            stepped(rate(8000), rate(LEAST_RATE), false),
            rate(LEAST_RATE)
        );
    }
}
