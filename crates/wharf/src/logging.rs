//! The one tracing subscriber of the process: human lines or JSON, always on stderr.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::output::color_wanted;

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// One readable line an event.
    #[default]
    Human,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Installs the subscriber. `filter` is the text of `WHARF_LOG` / `--log-level`: a level (`debug`)
/// or rules like `info,wharf_net=trace`. A second call does nothing.
pub(crate) fn init(format: LogFormat, filter: &str) -> Result<(), String> {
    let targets = parse_filter(filter)?;
    let registry = tracing_subscriber::registry();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(color_wanted(std::io::stderr().is_terminal()));
    let done = match format {
        LogFormat::Human => registry
            .with(layer.with_target(false).with_filter(targets))
            .try_init(),
        LogFormat::Json => registry
            .with(
                layer
                    .json()
                    .flatten_event(true)
                    .with_ansi(false)
                    .with_filter(targets),
            )
            .try_init(),
    };
    // Already installed: only possible in tests, where the first one serves as well.
    let _ = done;
    Ok(())
}

/// Checks the text of a filter without installing anything.
pub(crate) fn parse_filter(filter: &str) -> Result<Targets, String> {
    if let Ok(level) = filter.parse::<LevelFilter>() {
        return Ok(Targets::new().with_default(level));
    }
    // A bare word would be taken for a module name and silence everything else.
    let rules = filter.contains('=') || filter.contains(',');
    match filter.parse::<Targets>() {
        Ok(targets) if rules => Ok(targets),
        _ => Err(format!(
            "`{filter}` is not a log level: expected error, warn, info, debug, trace, off, or rules like `info,wharf_net=debug`"
        )),
    }
}

/// The filter a number of `-v` stands for, when nothing was said explicitly.
pub(crate) fn filter_for(base: &'static str, verbose: u8) -> &'static str {
    match (base, verbose) {
        (base, 0) => base,
        ("warn", 1) => "info",
        ("info", 1) | ("warn", 2) => "debug",
        _ => "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_or_rules() {
        for good in ["off", "info", "WARN", "info,wharf_net=trace"] {
            assert!(parse_filter(good).is_ok(), "{good}");
        }
        for bad in ["loud", "wharf_net=loud"] {
            assert!(parse_filter(bad).is_err(), "{bad}");
        }
    }
}
