//! `wharf doctor`: what the doctor finds out, on stdout; the exit status says whether any data path works.

use std::io::{IsTerminal, Write};

use wharf_doctor::Doctor;
use wharf_doctor::remedy::Wording;
use wharf_doctor::report::{self, Look, Report};
use wharf_firewall::dialect::DIALECTS;

use crate::args::DoctorArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Output, color_wanted};
use crate::session::{self, Connector, failure};

pub(crate) async fn run(args: DoctorArgs, output: &Output) -> Result<(), Failure> {
    if args.host.server || args.host.listen.is_some() {
        return super::doctor_host::run(&args.host, args.client.json, output).await;
    }
    let Some(url) = &args.url else {
        return Err(Failure::usage("no address").with_hint("wharf doctor ftp://USER@HOST/"));
    };
    let target = session::target(url)?;
    let wording = Wording::new(&args.dialect).ok_or_else(|| {
        let known: Vec<&str> = DIALECTS.iter().map(|it| it.name).collect();
        Failure::usage(format!("no dialect: {}", args.dialect))
            .with_hint(format!("one of {}", known.join(", ")))
    })?;
    let connector = Connector::new(&args.client, output)?;
    let door = connector.door(&(target.scheme(), target.endpoint().clone()))?;
    let doctor = Doctor {
        net: door.net,
        endpoint: target.endpoint().clone(),
        login: connector.logins.login(&target, output)?,
        options: door.options,
        wording,
        idle: args.idle,
    };
    if let Some(time) = args.idle {
        output.note(&format!(
            "the idle test leaves a control connection silent for {} s",
            time.as_secs()
        ));
    }
    match doctor.examine().await {
        Ok(report) => print(&report, args.client.json),
        Err(stopped) => {
            let told = print(&stopped.report, args.client.json);
            debug_assert!(told.is_err(), "without a session nothing works");
            // The exit status says what every client command says of it.
            Err(failure(&stopped.error))
        }
    }
}

/// Writes a report to stdout.
pub(crate) fn say(report: &Report, json: bool) {
    let text = if json {
        format!("{}\n", report::json(report))
    } else {
        let color = color_wanted(std::io::stdout().is_terminal());
        report::text(report, Look { color })
    };
    // A closed pipe is no reason to complain.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Prints a report; the exit status is 7 where no data path works.
pub(crate) fn print(report: &Report, json: bool) -> Result<(), Failure> {
    say(report, json);
    if report.verdict.works {
        Ok(())
    } else {
        Err(Failure::told(Exit::DataConnection))
    }
}
