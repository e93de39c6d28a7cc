//! Whatever a file holds: no panic, and a picture not much longer than it.

use proptest::prelude::*;
use wharf_ladder::render::{self, Look};
use wharf_ladder::source::Source;
use wharf_ladder::{Ladder, Options};

/// A rung has at most so many bytes in any format, a session's head counted as rungs.
const RUNG: usize = 4_000;

fn draw(bytes: &[u8], all: bool, width: usize, ascii: bool) {
    let Ok(source) = Source::open(bytes) else {
        return;
    };
    let options = Options {
        all,
        most: 50,
        ..Options::default()
    };
    let ladder = Ladder::from_events(&source.events, &options);
    let rungs: usize = ladder.sessions.iter().map(|it| it.rungs.len()).sum();
    assert!(rungs <= 50);
    assert!(ladder.sessions.len() <= 51);
    let look = Look {
        width,
        ascii,
        colour: true,
        times: true,
    };
    for picture in [
        render::text(&ladder, &look),
        render::svg(&ladder, &look),
        render::mermaid(&ladder, &look),
    ] {
        let bound = 10_000 + RUNG * (rungs + 5 * ladder.sessions.len());
        assert!(picture.len() <= bound, "{} bytes", picture.len());
    }
}

/// Lines that are nearly of the format.
fn line() -> impl Strategy<Value = String> {
    let address = prop_oneof![
        Just("192.0.2.7:40000".to_owned()),
        Just("[2001:db8::9]:21".to_owned()),
        Just("203.0.113.9:21".to_owned()),
        Just("nonsense".to_owned()),
    ];
    let opener = prop_oneof![Just("user"), Just("server")];
    let number = 0u64..100_000;
    let event = prop_oneof![
        (opener.clone(), address.clone(), address.clone())
            .prop_map(|(side, a, b)| format!("+ {side} {a} {b}")),
        "> (USER|PASS|PORT|EPSV|PASV|RETR|STOR|ABOR|QUIT|TYPE|SITE) ?[ -~]{0,80}",
        "> PORT [0-9]{1,3},[0-9]{1,3},0,2,[0-9]{1,3},[0-9]{1,3}",
        "< [1-6][0-9][0-9][- ].{0,200}",
        "< (227|229) [^\n]{0,10}\\([0-9,|]{0,30}\\)",
        (opener.clone(), address.clone()).prop_map(|(who, at)| format!("! awaited {who} {at}")),
        (opener.clone(), address.clone(), address.clone())
            .prop_map(|(who, a, b)| format!("! opened {who} {a} {b}")),
        (opener, address.clone(), "[^\n]{0,100}")
            .prop_map(|(who, at, why)| format!("! failed {who} {at} {why}")),
        address.prop_map(|at| format!("! stranger {at}")),
        (any::<u64>(), "(end|broken|aborted|stalled)")
            .prop_map(|(bytes, end)| format!("! closed {bytes} {end}")),
        "[-#] [^\n]{0,100}",
    ];
    (number, 1u64..4, event).prop_map(|(at, session, event)| {
        format!("@{}.{:03} s{session} {event}", at / 1000, at % 1000)
    })
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400), all: bool) {
        draw(&bytes, all, 80, false);
    }

    #[test]
    fn anything_that_looks_like_a_trace(
        lines in proptest::collection::vec(line(), 0..80),
        all: bool,
        width in 0usize..200,
        ascii: bool,
    ) {
        draw(lines.join("\n").as_bytes(), all, width, ascii);
    }
}

#[test]
fn a_long_trace_of_many_sessions_stays_short() {
    let sessions: Vec<String> = (0..20_000)
        .map(|session| format!("@0.0 s{session} + user 192.0.2.7:1 192.0.2.9:21"))
        .collect();
    let text = sessions.join("\n");
    draw(text.as_bytes(), false, 80, false);
    let long = format!("> RETR {}\n", "x".repeat(1 << 20)).repeat(3);
    draw(long.as_bytes(), true, usize::MAX, true);
}
