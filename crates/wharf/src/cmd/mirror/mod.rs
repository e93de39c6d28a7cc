//! `wharf mirror`: flags become rules, operands become stores, and the library does the rest.

pub(crate) mod sides;
pub(crate) mod telling;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use wharf_client::mirror::{
    Compare, Delete, Failed, Filter, How, Links, Mirror, Only, Outcome, PatternError, Rules,
};
use wharf_proto::Pathname;
use wharf_storage::{Storage, Write};

use self::sides::{Make, Operand, check_apart};
use self::telling::{Teller, exit_of, reason, summary, watched};
use crate::args::ClientArgs;
use crate::args::mirror::{LinksArg, MirrorArgs, MirrorHow, Pattern, Patterns};
use crate::event::Event;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::rate_signals;
use crate::session::Connector;

pub(crate) async fn run(args: MirrorArgs, output: &Output) -> Result<(), Failure> {
    let began = Instant::now();
    let source = Operand::read(&args.source)?;
    let destination = Operand::read(&args.destination)?;
    check_apart(&source, &destination)?;
    let rules = rules(&args.how)?;
    let dry_run = args.dry_run || args.check;
    let connector = connector(&args.client, &args.how, output)?;
    let jobs = args.how.jobs;
    let from = source.open(Make::No, jobs, &connector, output).await?;
    let make = if dry_run { Make::Pretend } else { Make::Yes };
    let to = destination.open(make, jobs, &connector, output).await?;
    from.tell(output);
    to.tell(output);
    let local = !destination.is_server();
    let how = How {
        jobs,
        dry_run,
        max_delete: args.how.max_delete,
        attempts: args.how.attempts(),
        first_pause: args.how.retry_delay,
        case_blind: local && !dry_run && is_case_blind(&*to.store).await,
        foreign_names: local && source.is_server(),
    };
    let teller = Teller::new(output);
    let (a, b) = (Arc::clone(&from.store), Arc::clone(&to.store));
    let mirror = Mirror::new(a, b, rules, how, teller.clone());
    let totals = mirror.totals();
    let outcome = watched(output, &totals, mirror.run(to.exists)).await;
    let silent = args.check && output.is_quiet();
    if !silent && !args.client.json {
        teller.print_plan();
    }
    from.close(output).await;
    to.close(output).await;
    let outcome = outcome.map_err(|failed| top_failed(&failed, &source))?;
    output.event(&ended(&outcome));
    output.info(&summary(&outcome, dry_run, began));
    settle(&outcome, args.check)
}

/// The top of a tree cannot be listed.
pub(crate) fn top_failed(failed: &Failed, source: &Operand) -> Failure {
    let message = format!(
        "cannot {} {}: {}",
        failed.doing,
        source.shown(),
        reason(&failed.error)
    );
    Failure::new(exit_of(&failed.error), message)
}

/// The status that an outcome comes to.
fn settle(outcome: &Outcome, check: bool) -> Result<(), Failure> {
    if outcome.failed > 0 || outcome.refused > 0 || (outcome.spared > 0 && !check) {
        return Err(Failure::told(Exit::Partial));
    }
    if check && outcome.differences() > 0 {
        return Err(Failure::told(Exit::Differs));
    }
    Ok(())
}

/// The way to servers, all of them together held to the rate.
pub(crate) fn connector(
    client: &ClientArgs,
    how: &MirrorHow,
    output: &Output,
) -> Result<Connector, Failure> {
    let mut connector = Connector::new(client, output)?;
    if let Some(rate) = how.limit_rate {
        let limit = rate_signals::limit(rate, output)?;
        let options = connector.options_mut();
        options.download_limit = Some(limit.clone());
        options.upload_limit = Some(limit);
    }
    Ok(connector)
}

/// What the library is told to do.
pub(crate) fn rules(args: &MirrorHow) -> Result<Rules, Failure> {
    let now = SystemTime::now();
    let compare = match (args.checksum, args.size_only) {
        (true, _) => Compare::Content,
        (false, true) => Compare::Size,
        (false, false) => Compare::SizeAndTime,
    };
    let only = match (args.only_newer, args.only_missing, args.only_existing) {
        (true, _, _) => Only::Newer,
        (_, true, _) => Only::Missing,
        (_, _, true) => Only::Existing,
        _ => Only::Differing,
    };
    let delete = match (args.delete_before, args.delete) {
        (true, _) => Delete::Before,
        (false, true) => Delete::After,
        (false, false) if args.delete_excluded => Delete::After,
        (false, false) => Delete::Never,
    };
    Ok(Rules {
        filter: filter(&args.patterns)?,
        compare,
        modify_window: args.modify_window,
        only,
        links: match args.links {
            LinksArg::Skip => Links::Skip,
            LinksArg::Follow => Links::Follow,
            LinksArg::Keep => Links::Keep,
        },
        times: !args.no_times,
        permissions: args.perms,
        delete,
        delete_excluded: args.delete_excluded,
        min_size: args.min_size,
        max_size: args.max_size,
        newer_than: args.newer_than.map(|age| age.before(now)),
        older_than: args.older_than.map(|age| age.before(now)),
        max_depth: args.max_depth,
        any_names: args.any_names,
    })
}

fn filter(patterns: &Patterns) -> Result<Filter, Failure> {
    let mut filter = Filter::new();
    let wrong = |error: PatternError| Failure::usage(error.to_string());
    for pattern in &patterns.0 {
        match pattern {
            Pattern::Exclude(glob) => filter.exclude(glob).map_err(wrong)?,
            Pattern::Include(glob) => filter.include(glob).map_err(wrong)?,
            Pattern::ExcludeRegex(regex) => filter.exclude_regex(regex).map_err(wrong)?,
            Pattern::IncludeRegex(regex) => filter.include_regex(regex).map_err(wrong)?,
            Pattern::ExcludeFrom(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| {
                    Failure::usage(format!("cannot read {}: {error}", file.display()))
                })?;
                filter.lines(&text).map_err(wrong)?;
            }
        }
    }
    Ok(filter)
}

pub(crate) fn ended(outcome: &Outcome) -> Event {
    Event::MirrorEnd {
        copied: outcome.copied,
        bytes: outcome.bytes,
        same: outcome.same,
        made: outcome.made,
        links: outcome.links,
        adjusted: outcome.adjusted,
        deleted: outcome.removed,
        not_deleted: outcome.spared,
        left_out: outcome.left_out,
        refused: outcome.refused,
        failed: outcome.failed,
        changed: outcome.changed,
    }
}

/// Whether `a` and `A` are one name there: one is made and the other looked for.
pub(crate) async fn is_case_blind(store: &dyn Storage) -> bool {
    let (Ok(made), Ok(other)) = (
        Pathname::new("/case.0000000000000000.wharf-part"),
        Pathname::new("/CASE.0000000000000000.WHARF-PART"),
    ) else {
        return false;
    };
    let Ok(upload) = store.create(&made, Write::Replace).await else {
        return false;
    };
    let blind = upload.commit().await.is_ok() && store.metadata(&other).await.is_ok();
    let _ = store.remove_file(&made).await;
    blind
}
