//! Progress bars, on a terminal and nowhere else; elsewhere one line for each finished file.

use std::future::Future;
use std::io::IsTerminal;
use std::pin::pin;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use wharf_net::pump::Progress;

use crate::output::{Output, human_bytes};

/// How often a bar looks at the counter.
const TICK: Duration = Duration::from_millis(100);

/// Whether bars are drawn at all: a person looks on, and nothing else is written there.
pub(crate) fn wanted(output: &Output) -> bool {
    !output.is_quiet() && output.verbosity() == 0 && std::io::stderr().is_terminal()
}

/// Does `work` and shows meanwhile what `progress` counts. `total` is what it will count in the end,
/// if that is known; `name` is fit for a terminal.
pub(crate) async fn watch<F: Future>(
    output: &Output,
    name: &str,
    total: Option<u64>,
    progress: &Progress,
    work: F,
) -> F::Output {
    if !wanted(output) {
        return work.await;
    }
    let bar = output.bars().add(bar(name, total));
    let mut tick = tokio::time::interval(TICK);
    let mut work = pin!(work);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            _ = tick.tick() => bar.set_position(progress.moved()),
        }
    };
    bar.finish_and_clear();
    output.bars().remove(&bar);
    result
}

fn bar(name: &str, total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => {
            "{prefix:.bold} {wide_bar} {bytes:>10}/{total_bytes} {bytes_per_sec:>12} {eta:>4}"
        }
        None => "{prefix:.bold} {spinner} {bytes:>10} {bytes_per_sec:>12}",
    };
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    bar
}

/// `NAME: 3.0 MiB in 0.5 s, 6.0 MiB/s`
pub(crate) fn summary(name: &str, bytes: u64, began: Instant) -> String {
    let took = began.elapsed();
    let tenths = took.as_millis() / 100;
    let rate = u128::from(bytes) * 1000 / took.as_millis().max(1);
    format!(
        "{name}: {} in {}.{} s, {}/s",
        human_bytes(bytes),
        tenths / 10,
        tenths % 10,
        human_bytes(u64::try_from(rate).unwrap_or(u64::MAX))
    )
}
