//! What a person sees of a transfer that runs: a bar, marks (`hash`), a counter (`tick`), and, when asked with SIGQUIT, how
//! fast it goes. And the line at its end.

use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use wharf_net::pump::Progress;

use super::Shell;
use super::settings::Toggle;
use crate::output::{Output, human_bytes};
use crate::progress;

/// How often marks and counters look at what has come.
const LOOK: Duration = Duration::from_millis(100);

/// Somebody wants to know how fast the transfer is.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<Notify>);

impl Asked {
    pub(super) fn ask(&self) {
        self.0.notify_waiters();
    }
}

#[derive(Clone, Copy)]
enum Shown {
    Nothing,
    Bar,
    /// A `#` for each so many bytes.
    Marks(u64),
    Counter,
}

pub(super) struct Meter {
    output: Output,
    shown: Shown,
    asked: Asked,
}

impl Meter {
    /// Whether it helps to know beforehand how much there is.
    pub(super) fn wants_total(&self) -> bool {
        matches!(self.shown, Shown::Bar) && progress::wanted(&self.output)
    }

    /// Does `work` and shows meanwhile what `progress` counts.
    pub(super) async fn watch<F: Future>(
        &self,
        name: &str,
        total: Option<u64>,
        progress: &Progress,
        work: F,
    ) -> F::Output {
        let began = Instant::now();
        let work = async {
            let mut work = std::pin::pin!(work);
            let mut look = tokio::time::interval(LOOK);
            let mut marks = 0;
            let result = loop {
                tokio::select! {
                    result = &mut work => break result,
                    _ = look.tick() => self.show(progress.moved(), &mut marks),
                    () = self.asked.0.notified() => {
                        self.output.line(&format!("{name}: {}", speed(progress.moved(), began)));
                    }
                }
            };
            self.show(progress.moved(), &mut marks);
            if !matches!(self.shown, Shown::Nothing | Shown::Bar) && progress.moved() > 0 {
                self.write("\n");
            }
            result
        };
        match self.shown {
            Shown::Bar => progress::watch(&self.output, name, total, progress, work).await,
            _ => work.await,
        }
    }

    fn show(&self, moved: u64, marks: &mut u64) {
        match self.shown {
            Shown::Marks(size) => {
                let all = moved / size.max(1);
                let new = usize::try_from(all - *marks).unwrap_or(usize::MAX);
                *marks = all;
                // A mark size chosen far too small shall not drown the terminal.
                self.write(&"#".repeat(new.min(4096)));
            }
            Shown::Counter => self.write(&format!("\rBytes transferred: {moved}")),
            Shown::Nothing | Shown::Bar => {}
        }
    }

    fn write(&self, text: &str) {
        self.output.bars().suspend(|| {
            let mut stderr = std::io::stderr().lock();
            let _ = stderr.write_all(text.as_bytes());
            let _ = stderr.flush();
        });
    }
}

/// `65536 bytes in 0.5 s (128.0 KiB/s)`
fn speed(bytes: u64, began: Instant) -> String {
    told(bytes, "", began.elapsed())
}

/// `65536 bytes received in 0.5 s (128.0 KiB/s)`; `way` is empty, or a word with a blank behind it.
fn told(bytes: u64, way: &str, took: Duration) -> String {
    let tenths = took.as_millis() / 100;
    let rate = u128::from(bytes) * 1000 / took.as_millis().max(1);
    let rate = human_bytes(u64::try_from(rate).unwrap_or(u64::MAX));
    let (whole, tenth) = (tenths / 10, tenths % 10);
    format!("{bytes} bytes {way}in {whole}.{tenth} s ({rate}/s)")
}

impl Shell {
    pub(super) fn meter(&self) -> Meter {
        let seen = self.switches.verbose() || self.interactive;
        let shown = match (self.settings.hash, self.settings.tick) {
            _ if self.output.is_quiet() || !seen => Shown::Nothing,
            (Some(size), _) => Shown::Marks(size),
            (None, true) => Shown::Counter,
            (None, false) if self.is_on(Toggle::Progress) => Shown::Bar,
            (None, false) => Shown::Nothing,
        };
        Meter {
            output: self.output.clone(),
            shown,
            asked: self.asked.clone(),
        }
    }

    /// A file has arrived: the line that says so, and the bell.
    pub(super) fn moved(&self, bytes: u64, way: &str, began: Instant) {
        if self.switches.verbose() {
            self.output
                .info(&told(bytes, &format!("{way} "), began.elapsed()));
        }
        if self.is_on(Toggle::Bell) {
            let mut stderr = std::io::stderr().lock();
            let _ = stderr.write_all(b"\x07");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_told_as_ever() {
        let took = Duration::from_millis(2500);
        assert_eq!(
            told(10_240, "received ", took),
            "10240 bytes received in 2.5 s (4.0 KiB/s)"
        );
        assert_eq!(
            told(0, "sent ", Duration::ZERO),
            "0 bytes sent in 0.0 s (0 B/s)"
        );
    }
}
