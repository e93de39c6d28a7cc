//! Dialogues in which a file plays the server: `tests/transcripts/*.txt`, one test for all of them.
//!
//! A file has settings (`mode: pasv`), operations of the client (`: retrieve a`) with their results (`= ok hello`), and
//! the server's part, in order:
//!
//! | line | the server |
//! |---|---|
//! | `> RETR a` | reads this command; `*` at the end stands for anything |
//! | `< 150 go on` | sends this line; `\r`, `\n`, `\xNN` are bytes |
//! | `login` | greets and lets `u` in with `p`; FEAT gets the `features:` of the file |
//! | `login anew` | the same on a second control connection |
//! | `! listen 5000`, `! unlisten` | opens a port for data connections, closes it |
//! | `! listen-elsewhere 5000` | another host (203.0.113.80) does |
//! | `! accept`, `! connect` | takes the data connection, or opens it to the address in the last PORT or EPRT |
//! | `! stranger` | lets a third host connect to that address first, and sees it dropped |
//! | `! send TEXT`, `! zeros N`, `! expect TEXT` | moves data |
//! | `! end`, `! broken` | sees a clean end, or a reset |
//! | `! dropped` | sees a reset, whatever came before |
//! | `! close`, `! reset` | ends the data connection |
//! | `@ 2s` | waits |
//! | `hang up`, `again` | closes the control connection, takes a new one |
//! | `back` | goes on with the control connection before this one, which was kept |
//! | `scout ...` | does any of this on the second control connection |
//!
//! Time is virtual. The network: `server` (192.0.2.1) behind a filter that drops what goes to ports from 6000 on, `client`
//! (198.51.100.7; `inbound: drop` puts it behind a filter, too), 5 ms for each of the two gateways.

mod play;

use std::fmt::Write as _;
use std::path::Path;

#[test]
fn the_client_behaves_as_the_transcripts_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    files.sort();
    let mut failures = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        if let Err(why) = play::check(&text) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            writeln!(failures, "--- {name}\n{why}").unwrap();
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}
