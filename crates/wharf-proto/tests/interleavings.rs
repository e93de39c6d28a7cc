//! Every order in which the events of a transfer can arrive: the verdict is stable, never better than what was seen,
//! and the abort is asked for at most once and never after the final reply.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use expect_test::expect;
use wharf_proto::Reply;
use wharf_proto::user_transfer::{
    Checked, DataEvent, Direction, Step, Timeout, UserTransfer, Verdict,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Begun,
    Connected,
    DataEnd,
    DataBroken,
    Complete,
    Failed,
    OpeningTimeout,
    StallTimeout,
    ReplyTimeout,
    ConfirmationTimeout,
    CheckedFits,
    CheckedOther,
    CheckedNothing,
    Abort,
    ControlLost,
}
use Event::{
    Abort, Begun, CheckedFits, CheckedNothing, CheckedOther, Complete, ConfirmationTimeout,
    Connected, ControlLost, DataBroken, DataEnd, Failed, OpeningTimeout, ReplyTimeout,
    StallTimeout,
};

const BYTES: u64 = 1_000;

/// Length of the remote file before the transfer.
const BASE: u64 = 50;

fn feed(transfer: &mut UserTransfer, event: Event) -> Step {
    match event {
        Begun => transfer.on_reply(&Reply::new(150, "begun")),
        Connected => transfer.on_data(DataEvent::Connected),
        DataEnd => transfer.on_data(DataEvent::Ended { bytes: BYTES }),
        DataBroken => transfer.on_data(DataEvent::Broken { bytes: BYTES }),
        Complete => transfer.on_reply(&Reply::new(226, "complete")),
        Failed => transfer.on_reply(&Reply::new(451, "failed")),
        OpeningTimeout => transfer.on_timeout(Timeout::Opening),
        StallTimeout => transfer.on_timeout(Timeout::Stalled),
        ReplyTimeout => transfer.on_timeout(Timeout::Reply),
        ConfirmationTimeout => transfer.on_timeout(Timeout::Confirmation),
        CheckedFits => transfer.on_checked(Checked::Length(BASE + BYTES)),
        CheckedOther => transfer.on_checked(Checked::Length(BASE + 7)),
        CheckedNothing => transfer.on_checked(Checked::Nothing),
        Abort => transfer.on_abort(),
        ControlLost => transfer.on_control_lost(),
    }
}

/// Calls `visit` with every ordered selection of the events, the empty one included.
fn orders(events: &[Event], chosen: &mut Vec<Event>, visit: &mut impl FnMut(&[Event])) {
    visit(chosen);
    for event in events {
        if !chosen.contains(event) {
            chosen.push(*event);
            orders(events, chosen, visit);
            chosen.pop();
        }
    }
}

fn run(direction: Direction, expected: Option<u64>, order: &[Event]) -> Option<Verdict> {
    check(
        UserTransfer::new(direction, expected),
        direction,
        expected,
        order,
    )
}

/// Runs one order and checks what must hold in all of them.
fn check(
    mut transfer: UserTransfer,
    direction: Direction,
    expected: Option<u64>,
    order: &[Event],
) -> Option<Verdict> {
    let mut verdict = None;
    let mut aborts = 0;
    for (place, event) in order.iter().enumerate() {
        let seen = &order[..=place];
        let before = |event: Event| seen.contains(&event);
        let final_reply = before(Complete) || before(Failed);
        let step = feed(&mut transfer, *event);
        let told = match step {
            Step::Wait => None,
            Step::Check => {
                assert!(!final_reply, "a check after the final reply: {seen:?}");
                assert!(
                    before(DataEnd) && (before(ReplyTimeout) || before(ControlLost)),
                    "a check without need: {seen:?}"
                );
                None
            }
            Step::Done(told) => Some(told),
            Step::Abort(told) => {
                aborts += 1;
                assert!(!final_reply, "abort after the final reply: {seen:?}");
                assert!(
                    !before(ControlLost),
                    "abort without a control connection: {seen:?}"
                );
                Some(told)
            }
        };
        if let Some(old) = verdict {
            assert_eq!(told, Some(old), "the verdict changed: {seen:?}");
        } else if let Some(new) = told {
            justify(new, direction, expected, seen);
            verdict = Some(new);
        }
        assert_eq!(transfer.verdict(), verdict, "{seen:?}");
    }
    assert!(aborts <= 1, "{aborts} aborts: {order:?}");
    verdict
}

/// What a verdict claims must have been seen.
fn justify(verdict: Verdict, direction: Direction, expected: Option<u64>, seen: &[Event]) {
    let before = |event: Event| seen.contains(&event);
    let first = |one: Event, other: Event| {
        let place = |event: Event| {
            seen.iter()
                .position(|known| *known == event)
                .unwrap_or(usize::MAX)
        };
        place(one) < place(other)
    };
    let says_complete = before(Complete) && !first(Failed, Complete);
    let says_failed = before(Failed) && !first(Complete, Failed);
    let ended = before(DataEnd) && !first(DataBroken, DataEnd);
    let broken = before(DataBroken) && !first(DataEnd, DataBroken);
    let data = before(Connected) || ended || broken;
    let fine = match verdict {
        Verdict::Complete { bytes } => {
            says_complete
                && (ended || broken && expected == Some(bytes))
                && expected.is_none_or(|expected| expected == bytes)
        }
        Verdict::WrongSize {
            bytes,
            expected: promised,
        } => {
            let by_reply = says_complete && expected == Some(promised);
            let by_check = direction == Direction::Download
                && (before(CheckedOther) && promised == 7
                    || before(CheckedFits) && expected == Some(promised));
            ended && promised != bytes && (by_reply || by_check)
        }
        Verdict::Verified { bytes } => {
            let announced = direction == Direction::Download && expected == Some(bytes);
            ended
                && bytes == BYTES
                && (before(CheckedFits) && expected.is_none_or(|it| it == bytes)
                    || before(CheckedNothing) && announced)
        }
        Verdict::CutShort => says_complete && direction == Direction::Upload && !ended && !broken,
        Verdict::Refused { code } => {
            says_failed && code == 451 && !ended && !broken && !before(Begun)
        }
        Verdict::Failed { code, bytes } => {
            says_failed
                && code == 451
                && if ended || broken {
                    bytes == BYTES
                } else {
                    bytes == 0 && before(Begun)
                }
        }
        Verdict::Broken { .. } => broken,
        Verdict::Unconfirmed { .. } => {
            ended
                && !says_complete
                && !says_failed
                && (before(ReplyTimeout) || before(ConfirmationTimeout) || before(ControlLost))
        }
        Verdict::NoDataConnection { .. } => !data && before(OpeningTimeout),
        Verdict::Stalled => before(Connected) && !ended && !broken && before(StallTimeout),
        Verdict::ControlLost => before(ControlLost) && !ended && !broken,
        Verdict::Aborted => before(Abort),
        _ => false,
    };
    assert!(
        fine,
        "{verdict:?} after {seen:?} ({direction:?}, expected {expected:?})"
    );
}

fn name(verdict: Option<Verdict>) -> String {
    verdict.map_or("open".to_owned(), |verdict| {
        let text = format!("{verdict:?}");
        text.split(' ').next().unwrap_or_default().to_owned()
    })
}

#[test]
fn every_order_of_the_common_events_has_one_justified_verdict() {
    let events = [
        Begun,
        Connected,
        DataEnd,
        Complete,
        Failed,
        OpeningTimeout,
        Abort,
    ];
    let mut told = String::new();
    for (direction, expected) in [
        (Direction::Download, None),
        (Direction::Download, Some(BYTES)),
        (Direction::Download, Some(65_536)),
        (Direction::Upload, None),
    ] {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        orders(&events, &mut Vec::new(), &mut |order| {
            *counts
                .entry(name(run(direction, expected, order)))
                .or_default() += 1;
        });
        let _ = writeln!(told, "{direction:?} {expected:?}: {counts:?}");
    }
    expect![[r#"
        Download None: {"Aborted": 4892, "Complete": 2040, "Failed": 1443, "NoDataConnection": 2852, "Refused": 2348, "open": 125}
        Download Some(1000): {"Aborted": 4892, "Complete": 2040, "Failed": 1443, "NoDataConnection": 2852, "Refused": 2348, "open": 125}
        Download Some(65536): {"Aborted": 4892, "Failed": 1443, "NoDataConnection": 2852, "Refused": 2348, "WrongSize": 2040, "open": 125}
        Upload None: {"Aborted": 4360, "Complete": 1508, "CutShort": 1138, "Failed": 1443, "NoDataConnection": 2852, "Refused": 2348, "open": 51}
    "#]].assert_eq(&told);
}

#[test]
fn every_order_with_breaks_stalls_and_a_lost_control_connection_is_justified() {
    let events = [
        Connected,
        DataEnd,
        DataBroken,
        Complete,
        StallTimeout,
        ReplyTimeout,
        ControlLost,
        Abort,
    ];
    for direction in [Direction::Download, Direction::Upload] {
        for expected in [None, Some(BYTES), Some(1)] {
            orders(&events, &mut Vec::new(), &mut |order| {
                run(direction, expected, order);
            });
        }
    }
}

#[test]
fn every_order_of_checks_timeouts_and_late_replies_is_justified() {
    let events = [
        DataEnd,
        Complete,
        ReplyTimeout,
        ConfirmationTimeout,
        ControlLost,
        CheckedFits,
        CheckedOther,
        CheckedNothing,
    ];
    let mut told = String::new();
    for direction in [Direction::Download, Direction::Upload] {
        for expected in [None, Some(BYTES), Some(1)] {
            if direction == Direction::Upload && expected.is_some() {
                continue;
            }
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            orders(&events, &mut Vec::new(), &mut |order| {
                // Without `comparable` a check tells nothing.
                let plain = run(direction, expected, order);
                let none = !matches!(plain, Some(Verdict::Verified { .. }));
                assert!(none, "{order:?}");
                let mut transfer = UserTransfer::new(direction, expected).comparable(BASE);
                transfer.on_data(DataEvent::Connected);
                let verdict = check(transfer, direction, expected, order);
                *counts.entry(name(verdict)).or_default() += 1;
            });
            let _ = writeln!(told, "{direction:?} {expected:?}: {counts:?}");
        }
    }
    expect![[r#"
        Download None: {"Complete": 60575, "Unconfirmed": 10635, "Verified": 10635, "WrongSize": 10635, "open": 17121}
        Download Some(1000): {"Complete": 57606, "Unconfirmed": 8889, "Verified": 17778, "WrongSize": 8889, "open": 16439}
        Download Some(1): {"Unconfirmed": 10635, "WrongSize": 81845, "open": 17121}
        Upload None: {"Complete": 22839, "CutShort": 53822, "Unconfirmed": 13219, "Verified": 13219, "open": 6502}
    "#]].assert_eq(&told);
}

#[test]
fn a_download_without_trouble_is_complete_in_every_order() {
    // the data connection cannot end before it was there, nor the server conclude before it began
    let possible = |order: &[Event]| {
        let place = |event: Event| order.iter().position(|known| *known == event);
        order.len() == 4 && place(Connected) < place(DataEnd) && place(Begun) < place(Complete)
    };
    let mut seen = 0;
    orders(
        &[Begun, Connected, DataEnd, Complete],
        &mut Vec::new(),
        &mut |order| {
            if possible(order) {
                seen += 1;
                assert_eq!(
                    run(Direction::Download, Some(BYTES), order),
                    Some(Verdict::Complete { bytes: BYTES }),
                    "{order:?}"
                );
            }
        },
    );
    assert_eq!(seen, 6);
}

#[test]
fn once_everything_has_been_seen_nothing_stays_open() {
    let events = [Begun, Connected, DataEnd, Complete, ReplyTimeout];
    orders(&events, &mut Vec::new(), &mut |order| {
        if order.len() == events.len() {
            assert!(run(Direction::Download, None, order).is_some(), "{order:?}");
            assert!(run(Direction::Upload, None, order).is_some(), "{order:?}");
        }
    });
}

/// The verdict on each order in which the real events of one download can arrive, told for the reader.
#[test]
fn the_verdicts_by_example() {
    let table: [&[Event]; 16] = [
        &[Begun, Connected, DataEnd, Complete],
        &[Connected, DataEnd, Begun, Complete],
        &[Begun, Complete, Connected, DataEnd],
        &[Failed],
        &[Connected, Failed],
        &[Begun, Connected, Failed, DataEnd],
        &[Begun, Connected, DataEnd, Failed],
        &[Begun, Connected, DataBroken, Failed],
        &[Begun, Connected, DataBroken, Complete],
        &[Begun, OpeningTimeout],
        &[Begun, Complete, OpeningTimeout],
        &[Begun, Connected, StallTimeout],
        &[Begun, Connected, DataEnd, ReplyTimeout],
        &[Begun, Connected, DataEnd, ControlLost],
        &[Begun, Connected, Abort, Failed],
        &[Begun, Connected, Complete, Abort],
    ];
    let mut told = String::new();
    for order in table {
        let _ = writeln!(
            told,
            "{order:?} -> {:?}",
            run(Direction::Download, None, order).unwrap()
        );
    }
    expect![[r"
        [Begun, Connected, DataEnd, Complete] -> Complete { bytes: 1000 }
        [Connected, DataEnd, Begun, Complete] -> Complete { bytes: 1000 }
        [Begun, Complete, Connected, DataEnd] -> Complete { bytes: 1000 }
        [Failed] -> Refused { code: 451 }
        [Connected, Failed] -> Refused { code: 451 }
        [Begun, Connected, Failed, DataEnd] -> Failed { code: 451, bytes: 0 }
        [Begun, Connected, DataEnd, Failed] -> Failed { code: 451, bytes: 1000 }
        [Begun, Connected, DataBroken, Failed] -> Failed { code: 451, bytes: 1000 }
        [Begun, Connected, DataBroken, Complete] -> Broken { bytes: 1000 }
        [Begun, OpeningTimeout] -> NoDataConnection { code: None }
        [Begun, Complete, OpeningTimeout] -> NoDataConnection { code: None }
        [Begun, Connected, StallTimeout] -> Stalled
        [Begun, Connected, DataEnd, ReplyTimeout] -> Unconfirmed { bytes: 1000 }
        [Begun, Connected, DataEnd, ControlLost] -> Unconfirmed { bytes: 1000 }
        [Begun, Connected, Abort, Failed] -> Aborted
        [Begun, Connected, Complete, Abort] -> Aborted
    "]]
    .assert_eq(&told);
}
