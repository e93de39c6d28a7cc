//! How fast transfers may be (`-T`, `rate`, `throttle`), also while they run: SIGUSR1 and SIGUSR2 change it by a step. And
//! SIGQUIT (`^\`), which asks how fast one is.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use wharf_client::Options;
use wharf_net::RateLimit;

use super::meter::Asked;
use super::quantity::{Direction, STEP, Wanted};
use super::{Shell, print};
use crate::exit::{Exit, Failure};

/// The two rates of a session, shared by all its connections.
#[derive(Clone)]
pub(super) struct Rates {
    get: Rate,
    put: Rate,
}

#[derive(Clone)]
struct Rate {
    limit: RateLimit,
    step: Arc<AtomicU64>,
}

impl Rate {
    fn new() -> Self {
        Self {
            limit: RateLimit::new(None),
            step: Arc::new(AtomicU64::new(STEP)),
        }
    }

    fn set(&self, wanted: Wanted) {
        self.limit.set(NonZeroU64::new(wanted.most));
        self.step.store(wanted.step, Ordering::Relaxed);
    }

    /// A step up or down. What has no limit stays so, and no step leads to none.
    fn change(&self, up: bool) {
        let Some(now) = self.limit.rate() else {
            return;
        };
        let step = self.step.load(Ordering::Relaxed);
        let then = if up {
            now.get().saturating_add(step)
        } else {
            now.get().saturating_sub(step)
        };
        self.limit.set(NonZeroU64::new(then.max(1)));
    }

    fn told(&self) -> String {
        let step = self.step.load(Ordering::Relaxed);
        match self.limit.rate() {
            Some(rate) => format!("{rate} bytes/s, step {step}"),
            None => "no limit".to_owned(),
        }
    }
}

impl Rates {
    /// Without limits; the connections that are made with `options` obey them.
    pub(super) fn new(options: &mut Options) -> Self {
        let (get, put) = (Rate::new(), Rate::new());
        options.download_limit = Some(get.limit.clone());
        options.upload_limit = Some(put.limit.clone());
        Self { get, put }
    }

    pub(super) fn set(&self, wanted: Wanted) {
        for (rate, meant) in self.both(wanted.direction) {
            if meant {
                rate.set(wanted);
            }
        }
    }

    fn both(&self, direction: Direction) -> [(&Rate, bool); 2] {
        [(&self.get, direction.gets()), (&self.put, direction.puts())]
    }

    pub(super) fn lines(&self) -> [String; 2] {
        [
            format!("get rate: {}", self.get.told()),
            format!("put rate: {}", self.put.told()),
        ]
    }
}

/// Follows the signals as long as the program runs. SIGQUIT stays what it is where nobody types.
pub(super) fn watch_signals(rates: &Rates, asked: &Asked, person: bool) -> Result<(), Failure> {
    let catch = |kind| {
        signal(kind)
            .map_err(|error| Failure::new(Exit::Software, format!("cannot catch signals: {error}")))
    };
    let up = catch(SignalKind::user_defined1())?;
    let down = catch(SignalKind::user_defined2())?;
    let quit = if person {
        Some(catch(SignalKind::quit())?)
    } else {
        None
    };
    tokio::spawn(follow(rates.clone(), asked.clone(), up, down, quit));
    Ok(())
}

async fn follow(
    rates: Rates,
    asked: Asked,
    mut up: Signal,
    mut down: Signal,
    mut quit: Option<Signal>,
) {
    loop {
        let quitting = async {
            match &mut quit {
                Some(quit) => quit.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(()) = up.recv() => rates.both(Direction::All).iter().for_each(|(rate, _)| rate.change(true)),
            Some(()) = down.recv() => rates.both(Direction::All).iter().for_each(|(rate, _)| rate.change(false)),
            Some(()) = quitting => asked.ask(),
            else => return,
        }
    }
}

impl Shell {
    /// `rate [get|put|all [bytes [step]]]`
    pub(super) fn rate(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        if !words.is_empty() {
            let wanted = Wanted::read(words).ok_or_else(|| {
                Failure::usage("usage: rate [get|put|all [bytes [step]]]")
                    .with_hint("rate get 100k; 0 takes the limit away")
            })?;
            self.rates.set(wanted);
        }
        for line in self.rates.lines() {
            print(&self.output, &line);
        }
        Ok(())
    }
}
