//! Files there and back, in every data mode, from the first byte and from the middle.

use crate::boundary::{Place, Running, Server, noise};
use crate::fake_server::Fake;

#[test]
fn files_go_there_and_come_back_unchanged() {
    let place = Place::new();
    let server = Server::start(&place);
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("one", vec![b'\n']),
        ("text", b"a\nb\r\nc\r".to_vec()),
        ("large", noise(3 << 20)),
    ] {
        place.write(name, &bytes);
        place.run(["put", name, &server.url("")]).expect(0);
        assert_eq!(place.read(format!("files/{name}")), bytes, "{name}");
        place
            .run(["get", "-o", "back", &server.url(name)])
            .expect(0);
        assert_eq!(place.read("back"), bytes, "{name}");
        let cat = place.run(["cat", &server.url(name)]).expect(0);
        assert_eq!(cat.stdout, bytes, "{name}");
        assert!(!place.path("back.part").exists());
    }
}

#[test]
fn every_data_mode_carries_a_file() {
    let place = Place::new();
    let server = Server::start(&place);
    let bytes = noise(100_000);
    place.write("files/down", &bytes);
    place.write("up", &bytes);
    for mode in ["auto", "passive", "active", "epsv", "pasv", "eprt", "port"] {
        let (down, up) = (server.url("down"), server.url("up"));
        place
            .run(["get", "--mode", mode, "-o", mode, &down])
            .expect(0);
        assert_eq!(place.read(mode), bytes, "{mode}");
        let ended = place
            .run(["put", "-v", "--mode", mode, "up", &up])
            .expect(0);
        assert_eq!(place.read("files/up"), bytes, "{mode}");
        if !["auto", "passive", "active"].contains(&mode) {
            let sent = format!("> {}", mode.to_uppercase());
            assert!(ended.stderr.contains(&sent), "{}", ended.stderr);
        }
    }
}

#[test]
fn several_addresses_go_to_a_directory_and_the_status_tells_of_one_that_failed() {
    let place = Place::new();
    let server = Server::start(&place);
    place.write("files/a", "A");
    place.write("files/b", "B");
    let (a, missing, b) = (server.url("a"), server.url("missing"), server.url("b"));
    let ended = place.run(["get", "-O", "into", &a, &missing, &b]).expect(1);
    assert!(ended.stderr.contains("error[WF-"), "{}", ended.stderr);
    assert_eq!(place.names("into"), ["a", "b"]);
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let place = Place::new();
    let server = Server::start(&place);
    let bytes = noise(1 << 20);
    place.write("files/big", &bytes);
    place.write("big.part", &bytes[..300_000]);
    let ended = place.run(["get", "-v", "-c", &server.url("big")]).expect(0);
    assert!(ended.stderr.contains("> REST "), "{}", ended.stderr);
    assert_eq!(place.read("big"), bytes);
    let ended = place.run(["get", "-c", &server.url("big")]).expect(0);
    assert!(
        ended.stderr.contains("complete already"),
        "{}",
        ended.stderr
    );
}

#[test]
fn another_file_of_the_same_length_is_not_called_complete() {
    let place = Place::new();
    let server = Server::start(&place);
    place.write("files/a", "one version");
    place.write("a", "the other 1");
    let ended = place.run(["get", "-c", &server.url("a")]).expect(15);
    assert!(ended.stderr.contains("without -c"), "{}", ended.stderr);
    assert_eq!(place.read("a"), b"the other 1");
    place.run(["get", &server.url("a")]).expect(0);
    assert_eq!(place.read("a"), b"one version");
}

#[test]
fn a_server_that_cannot_go_on_in_the_middle_is_no_dead_end() {
    let place = Place::new();
    let fake = Fake {
        size: "213 200000",
        ..Fake::default()
    };
    place.write("file.part", noise(150_000));
    let ended = place.run(["get", "-c", &fake.url()]).expect(6);
    assert!(ended.stderr.contains("REST "), "{}", ended.stderr);
    assert!(ended.stderr.contains("without -c"), "{}", ended.stderr);
    assert_eq!(place.read("file.part").len(), 150_000);
}

#[test]
fn what_is_kept_of_a_broken_download_is_told() {
    let place = Place::new();
    let fake = Fake {
        sent: 10,
        ..Fake::default()
    };
    let ended = place.run(["get", &fake.url()]).expect(10);
    let hint = "hint: file.part is kept";
    assert!(ended.stderr.contains(hint), "{}", ended.stderr);
}

#[test]
fn a_broken_upload_goes_on_where_it_stopped() {
    let place = Place::new();
    let server = Server::start_with(&place, &["--resume-uploads"]);
    let bytes = noise(1 << 20);
    place.write("big", &bytes);
    place.write("files/big", &bytes[..300_000]);
    let ended = place
        .run(["put", "-v", "-c", "big", &server.url("")])
        .expect(0);
    let resumed = ended.stderr.contains("> REST ") || ended.stderr.contains("> APPE ");
    assert!(resumed, "{}", ended.stderr);
    assert_eq!(place.read("files/big"), bytes);
}

#[test]
fn standard_input_is_uploaded_and_standard_output_takes_a_download() {
    let place = Place::new();
    let server = Server::start(&place);
    let bytes = noise(200_000);
    let mut command = place.command(["put", "-", &server.url("piped")]);
    command.stdin(std::process::Stdio::piped());
    let mut put = Running::start(command);
    put.feed(&bytes).unwrap();
    put.end().expect(0);
    assert_eq!(place.read("files/piped"), bytes);
    let ended = place
        .run(["get", "-o", "-", &server.url("piped")])
        .expect(0);
    assert_eq!(ended.stdout, bytes);
}

#[test]
fn text_mode_converts_line_ends_and_back() {
    let place = Place::new();
    let server = Server::start(&place);
    place.write("text", "a\nb\n");
    let url = server.url("text;type=a");
    place.run(["put", "text", &url]).expect(0);
    assert_eq!(place.read("files/text"), b"a\nb\n");
    place.run(["get", "-o", "back", &url]).expect(0);
    assert_eq!(place.read("back"), b"a\nb\n");
}

#[test]
fn files_and_directories_are_made_renamed_described_and_removed() {
    let place = Place::new();
    let server = Server::start(&place);
    place.write("files/a", "abc");
    place.run(["mkdir", &server.url("d")]).expect(0);
    place.run(["mkdir", &server.url("d")]).expect(6);
    place.run(["mkdir", "-p", &server.url("d/e/f")]).expect(0);
    place.run(["mkdir", "-p", &server.url("d/e/f")]).expect(0);
    place.run(["mv", &server.url("a"), "b"]).expect(0);
    place.run(["mv", &server.url("b"), "d/"]).expect(0);
    assert_eq!(place.read("files/d/b"), b"abc");
    let stat = place.run(["stat", &server.url("d/b")]).expect(0);
    assert!(stat.text().contains("size      3\n"), "{}", stat.text());
    let stat = place.run(["stat", "--json", &server.url("d")]).expect(0);
    let json: serde_json::Value = serde_json::from_slice(&stat.stdout).unwrap();
    assert_eq!(json["kind"], "directory");
    let ls = place.run(["ls", &server.url("d")]).expect(0);
    assert_eq!(ls.text(), "b\ne\n");
    let ls = place.run(["ls", "--json", &server.url("d/")]).expect(0);
    assert_eq!(ls.text().lines().count(), 2);
    let ls = place.run(["ls", "-l", &server.url("d/b")]).expect(0);
    assert!(ls.text().ends_with(" b\n"), "{}", ls.text());
    place.run(["rmdir", &server.url("d/e")]).expect(6);
    place.run(["rmdir", &server.url("d/e/f")]).expect(0);
    place.run(["rm", &server.url("d/b")]).expect(0);
    assert_eq!(place.names("files/d"), ["e"]);
}

#[test]
fn a_trace_tells_everything_but_the_password() {
    let place = Place::new();
    let server = Server::start(&place);
    place.write("files/a", "abc");
    place
        .run(["get", "--trace", "trace", &server.url("a")])
        .expect(0);
    let trace = String::from_utf8(place.read("trace")).unwrap();
    assert!(trace.starts_with("# wharf trace 1\n"), "{trace}");
    for part in [
        "> USER tester",
        "> PASS ****",
        "> RETR a",
        "< 226",
        "! closed 3",
    ] {
        assert!(trace.contains(part), "{part} is not in:\n{trace}");
    }
    assert!(!trace.contains("geheim"), "{trace}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    let server = Server::start(&place);
    place.write("files/big", noise(3 << 20));
    let mut command = place.command(["cat", &server.url("big")]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
