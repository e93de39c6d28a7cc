//! The drill: what an attacker can do who has taken over the process that talks to the network.
//!
//! A build of wharf with the feature `drill` runs an attempt for whoever says `SITE DRILL`, inside that process. Each row
//! is an attempt; the columns are the ways in which `wharf serve` can be started. In all of them with a sandbox the attempt
//! must be refused, unless the row says what a server without a broker cannot do without. The columns without a sandbox are
//! the witness: there the attempt must succeed where it can, so that a refusal is wharf's doing and not a hook's fault.

mod ending;
mod ground;
mod rows;

use std::path::PathBuf;

use ground::{Ground, Seat, Way};
use rows::{ROWS, Row};

use crate::tally::{Matrix, Tally};
use crate::{Result, Settings};

/// All attempts in all ways.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let ground = Ground::lay(&program(settings)?)?;
    let mut heads = vec!["attempt"];
    heads.extend(Way::ALL.iter().map(|way| way.head()));
    let mut matrix = Matrix::new(&heads);
    let mut seats = Way::ALL
        .iter()
        .map(|way| Seat::take(&ground, *way))
        .collect::<Result<Vec<_>>>()?;
    let (mut open, mut granted) = (Vec::new(), Vec::new());
    for row in ROWS.iter().filter(|row| settings.wants(row.name)) {
        let mut cells = Vec::new();
        for seat in &mut seats {
            let (cell, verdict) = judged(row, seat);
            match verdict {
                Ok(()) => tally.pass(),
                Err(why) => tally.fail(
                    &format!("drill / {} / {}", row.name, seat.way.head()),
                    &why.to_string(),
                ),
            }
            cells.push(cell);
        }
        matrix.push(row.name, cells);
        if let Some(why) = row.alone {
            open.push(format!("{}: {why}", row.name));
        }
        if let Some(why) = row.granted {
            granted.push(format!("{}: {why}", row.name));
        }
    }
    matrix.print("an attacker's code in the process that talks to the network");
    told("without a broker", &open);
    told("with one", &granted);
    drop(seats);
    ending::run(&ground, tally);
    Ok(())
}

/// What is not refused, and why.
fn told(when: &str, lines: &[String]) {
    println!("\n{when}:");
    for line in lines {
        println!("  {line}");
    }
}

/// Beside the program under test: `target/drill/wharf`. It has PAM, too, where the part `system-users` is asked for.
pub(crate) fn program(settings: &Settings) -> Result<PathBuf> {
    let folder = settings.wharf.parent().and_then(|it| it.parent());
    let path = folder.unwrap_or(&settings.wharf).join("drill/wharf");
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "{}: the build with the hook is not there\nhint: cargo xtask lab drill",
        path.display()
    )
    .into())
}

/// What a cell shows, and whether it may.
fn judged(row: &Row, seat: &mut Seat<'_>) -> (String, Result<()>) {
    let came = match (row.attempt)(seat) {
        Ok(Some(came)) => came,
        Ok(None) => return ("-".to_owned(), Ok(())),
        Err(failure) => return ("?".to_owned(), Err(failure)),
    };
    let may = match seat.way {
        way if way.is_witness() => true,
        way if way.has_broker() => row.granted.is_some(),
        _ => row.alone.is_some(),
    };
    let must = match seat.way {
        Way::RootOff => row.works.as_root(),
        Way::UserOff => row.works.as_user(),
        _ => false,
    };
    let verdict = if came.done && !may {
        Err(format!("not refused: {}", came.said).into())
    } else if !came.done && must {
        Err(format!("the witness failed: {}", came.said).into())
    } else {
        Ok(())
    };
    (came.cell(), verdict)
}
