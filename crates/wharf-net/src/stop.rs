//! How the sessions of a server or a proxy are told to end: now if they rest, with a last moment for transfers.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Whether sessions are to end; handed to them through a [`watch`] channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// They go on.
    No,
    /// They end now, those with a transfer when it is done or at this moment.
    By(Instant),
}

impl Stop {
    /// The same with this last moment, or an earlier one that was said before: a second call hurries the first.
    #[must_use]
    pub fn at_latest(self, by: Instant) -> Self {
        match self {
            Self::No => Self::By(by),
            Self::By(earlier) => Self::By(earlier.min(by)),
        }
    }

    /// The moment at which sessions without a transfer end. Never comes when nobody is left who could say so.
    pub async fn stopping(stop: &mut watch::Receiver<Self>) {
        if stop.wait_for(|stop| *stop != Self::No).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The moment at which transfers are cut.
    pub async fn cut(stop: &mut watch::Receiver<Self>) {
        loop {
            let now = *stop.borrow_and_update();
            let changed = match now {
                Self::No => stop.changed().await,
                Self::By(at) => tokio::select! {
                    () = sleep_until(at) => return,
                    changed = stop.changed() => changed,
                },
            };
            if changed.is_err() {
                match now {
                    Self::No => return std::future::pending().await,
                    Self::By(at) => return sleep_until(at).await,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_word_hurries_the_first_and_never_delays_it() {
        let began = Instant::now();
        let (say, mut heard) = watch::channel(Stop::No);
        let waiting = tokio::spawn(async move {
            Stop::stopping(&mut heard).await;
            Stop::cut(&mut heard).await;
            began.elapsed()
        });
        for seconds in [60, 5, 30] {
            say.send_modify(|it| *it = it.at_latest(began + Duration::from_secs(seconds)));
        }
        assert_eq!(waiting.await.unwrap().as_secs(), 5);
    }
}
