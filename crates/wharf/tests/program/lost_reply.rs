//! The control connection ends behind the data, and no final reply comes.

use crate::boundary::{Place, Running, noise};
use crate::fake_server::Fake;

const NOTE: &str = "note: file: complete, verified by size; control connection lost (idle NAT?)\n";

fn fake() -> Fake {
    Fake {
        lost: true,
        ..Fake::default()
    }
}

#[test]
fn a_transfer_of_the_right_size_is_complete_and_says_so_once() {
    let place = Place::new();
    place.write("local", noise(100));
    let url = fake().url();
    for words in [
        vec!["get", &url],
        vec!["put", "local", &url],
        vec!["cat", &url],
    ] {
        let ended = place.run(&words).expect(0);
        assert_eq!(ended.stderr.matches(NOTE).count(), 1, "{}", ended.stderr);
        let quiet = [&words[..1], &["-q"], &words[1..]].concat();
        assert_eq!(place.run(quiet).expect(0).stderr, "", "{words:?}");
    }
    assert_eq!(place.read("file"), [b'x'; 100]);
}

#[test]
fn a_transfer_of_another_size_is_not() {
    let place = Place::new();
    place.write("local", noise(99));
    let url = fake().url();
    let upload = ["put", "--timeout", "1s", "local", &url];
    let ended = place.run(upload).expect(3);
    assert!(
        ended.stderr.contains("the server holds 100 bytes"),
        "{}",
        ended.stderr
    );
    let short = Fake { sent: 60, ..fake() }.url();
    let ended = place.run(["get", &short]).expect(10);
    assert!(
        ended.stderr.contains("60 of 100 bytes came"),
        "{}",
        ended.stderr
    );
    assert!(!place.path("file").exists());
}

#[test]
fn the_interactive_client_goes_on_with_the_new_connection() {
    let place = Place::new();
    let url = fake().url();
    let port = url
        .rsplit(':')
        .next()
        .and_then(|rest| rest.split('/').next())
        .unwrap();
    let script = "user u p\nget file\nsize file\nascii\nget file other\n";
    let mut command = place.command(["ftp", "-n", "127.0.0.1", port]);
    command.stdin(std::process::Stdio::piped());
    let mut running = Running::start(command);
    running.feed(script.as_bytes()).unwrap();
    let ended = running.end().expect(3);
    assert_eq!(ended.stderr.matches(NOTE).count(), 1, "{}", ended.stderr);
    assert!(ended.text().contains("file\t100"), "{}", ended.text());
    assert!(
        ended
            .stderr
            .contains("nothing tells whether the file is complete"),
        "{}",
        ended.stderr
    );
    assert!(!place.path("other").exists());
}
