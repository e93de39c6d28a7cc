//! `ftp` and `pftp`: the program under its other names, with commands from a script.

use std::process::{Command, Stdio};

use crate::boundary::{Ended, Place, Running, Server, noise};
use crate::fake_server::Fake;

#[track_caller]
fn script(mut command: Command, lines: &str) -> Ended {
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    // It may end before the last line: `bye`, or a host that is not there.
    let _ = running.feed(lines.as_bytes());
    running.end()
}

#[test]
fn a_session_does_what_its_lines_say() {
    let place = Place::new();
    let server = Server::start(&place);
    let bytes = noise(100_000);
    place.write("one", &bytes);
    place.write("two.txt", "2\n");
    place.write("three.txt", "3");
    let command = place.command_as("ftp", ["-n", "127.0.0.1", server.port()]);
    let ended = script(
        command,
        "user tester geheim\n\
         mkdir dir\n\
         cd dir\n\
         pwd\n\
         put one\n\
         put one \"with blank\"\n\
         append two.txt appended\n\
         prompt\n\
         mput *.txt\n\
         rename two.txt 2.txt\n\
         nlist\n\
         size one\n\
         mkdir empty\n\
         rmdir empty\n\
         delete three.txt\n\
         get one back\n\
         get 2.txt -\n\
         ls . listing\n\
         lcd local\n\
         mget *.txt\n\
         !echo from the shell\n\
         bye\n",
    );
    std::fs::create_dir(place.path("local")).unwrap_or_default();
    // `lcd` failed, because the directory was not there yet: the status tells it.
    assert_eq!(ended.code, Some(12), "{}", ended.stderr);
    assert_eq!(
        place.names("files/dir"),
        ["2.txt", "appended", "one", "with blank"]
    );
    assert_eq!(place.read("files/dir/with blank"), bytes);
    assert_eq!(place.read("back"), bytes);
    let listing = String::from_utf8(place.read("listing")).unwrap();
    assert!(listing.contains("with blank"), "{listing}");
    let text = ended.text();
    for line in [
        "/dir",
        "2.txt",
        "three.txt",
        "one\t100000",
        "from the shell",
    ] {
        assert!(
            text.lines().any(|it| it == line),
            "{line} is not in: {text}"
        );
    }
}

#[test]
fn replies_are_shown_when_wanted_and_passwords_never() {
    let place = Place::new();
    let server = Server::start(&place);
    let command = place.command_as("ftp", ["-nvd", "127.0.0.1", server.port()]);
    let ended = script(command, "user tester geheim\nquote NOOP\nbye\n").expect(0);
    assert!(ended.text().contains("230 "), "{}", ended.text());
    assert!(ended.text().contains("221 "), "{}", ended.text());
    assert!(ended.stderr.contains("---> PASS ****"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("geheim"), "{}", ended.stderr);
    let command = place.command_as("ftp", ["-n", "127.0.0.1", server.port()]);
    let ended = script(command, "user tester geheim\nbye\n").expect(0);
    assert_eq!(ended.text(), "");
}

#[test]
fn the_data_mode_follows_name_flags_and_commands() {
    let place = Place::new();
    place.write("files/a", "");
    let server = Server::start(&place);
    for (name, flags, lines, expected) in [
        ("pftp", "-nd", "", "---> EPSV"),
        ("ftp", "-ndp", "", "---> EPSV"),
        ("ftp", "-ndA", "", "---> PORT"),
        ("ftp", "-nd", "", "---> EPSV"),
        ("ftp", "-nd", "active\n", "---> PORT"),
        ("ftp", "-ndA", "passive on\n", "---> EPSV"),
    ] {
        let command = place.command_as(name, [flags, "127.0.0.1", server.port()]);
        let lines = format!("user tester geheim\n{lines}nlist\nbye\n");
        let ended = script(command, &lines).expect(0);
        let sent = ended.stderr.contains(expected);
        let other = ended.stderr.contains("---> EPRT") && expected.ends_with("PORT");
        assert!(sent || other, "{name} {flags}: {}", ended.stderr);
        assert_eq!(ended.text(), "a\n", "{name} {flags}");
    }
}

#[test]
fn addresses_are_fetched_and_files_sent_without_a_session() {
    let place = Place::new();
    place.write("files/sub/a", "abc");
    place.write("b", "b");
    let server = Server::start(&place);
    let run = |words: &[&str]| Running::start(place.command_as("ftp", words)).end();
    run(&[&server.url("sub/a")]).expect(0);
    assert_eq!(place.read("a"), b"abc");
    let out = run(&["-o", "-", &server.url("sub/a")]).expect(0);
    assert_eq!(out.text(), "abc");
    run(&["-u", &server.url("sub/"), "b"]).expect(0);
    assert_eq!(place.read("files/sub/b"), b"b");
    // The status is the position of the address that failed.
    run(&[
        &server.url("sub/a"),
        &server.url("nope"),
        &server.url("sub/b"),
    ])
    .expect(2);
    let session = place.command_as("ftp", [&server.url("sub/")]);
    let ended = script(session, "pwd\n").expect(0);
    assert_eq!(ended.text(), "/sub\n");
}

#[test]
fn the_first_failure_is_the_status_unless_the_classic_one_is_wanted() {
    let place = Place::new();
    let server = Server::start(&place);
    let lines = "user tester geheim\nget missing\nnot-a-command\nbye\n";
    let command = place.command_as("ftp", ["-n", "127.0.0.1", server.port()]);
    script(command, lines).expect(5);
    let words = ["--classic-exit", "-n", "127.0.0.1", server.port()];
    script(place.command_as("ftp", words), lines).expect(0);
    script(place.command_as("ftp", ["-n"]), "get x\n").expect(3);
}

#[test]
fn names_from_the_server_neither_run_commands_nor_leave_the_directory() {
    let place = Place::new();
    place.write("files/|touch executed", "x");
    let server = Server::start(&place);
    let command = place.command_as("ftp", ["-n", "127.0.0.1", server.port()]);
    script(command, "user tester geheim\nmget *\nbye\n").expect(0);
    assert!(!place.path("executed").exists());
    assert_eq!(place.read("|touch executed"), b"x");
}

#[test]
fn a_path_in_a_listing_is_no_name_for_a_pattern() {
    let place = Place::new();
    let fake = Fake {
        list: "-rw-r--r-- 1 u g 100 Jan  1  2024 x/.netrc\r\n\
               -rw-r--r-- 1 u g 100 Jan  1  2024 good\r\n",
        ..Fake::default()
    };
    let url = fake.url();
    let address = url.trim_end_matches("/file");
    let lines = format!("open {address}\nmget *\nbye\n");
    let ended = script(place.command(["ftp"]), &lines).expect(0);
    assert!(ended.stderr.contains("x/.netrc"), "{}", ended.stderr);
    assert!(place.path("good").exists());
    assert!(!place.path(".netrc").exists());
}

#[test]
fn versions_and_help_are_no_errors() {
    let place = Place::new();
    for (name, word) in [
        ("ftp", "--version"),
        ("ftp", "-h"),
        ("pftp", "-?"),
        ("wharf", "--help"),
    ] {
        let ended = Running::start(place.command_as(name, [word]))
            .end()
            .expect(0);
        assert!(!ended.stdout.is_empty());
    }
}
