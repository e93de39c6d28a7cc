//! `wharf doctor`: what the doctor finds out, on stdout; the exit status says whether any data path works.

use std::io::{IsTerminal, Write};

use wharf_doctor::report::{self, Look, Report};

use crate::args::DoctorArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Output, color_wanted};

#[allow(clippy::unused_async, reason = "until the doctor is there")]
pub(crate) async fn run(args: DoctorArgs, output: &Output) -> Result<(), Failure> {
    if args.host.server || args.host.listen.is_some() {
        return super::doctor_host::run(&args.host, args.json, output).await;
    }
    let Some(_url) = &args.url else {
        return Err(Failure::usage("no address").with_hint("wharf doctor ftp://USER@HOST/"));
    };
    Err(Failure::new(Exit::Software, "not built yet"))
}

/// Prints a report; the exit status is 7 where no data path works.
#[allow(dead_code, reason = "until the doctor is there")]
pub(crate) fn print(report: &Report, json: bool) -> Result<(), Failure> {
    let text = if json {
        format!("{}\n", report::json(report))
    } else {
        let color = color_wanted(std::io::stdout().is_terminal());
        report::text(report, Look { color })
    };
    // A closed pipe is no reason to complain.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    if report.verdict.works {
        Ok(())
    } else {
        Err(Failure::told(Exit::DataConnection))
    }
}
