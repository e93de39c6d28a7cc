//! `wharf serve`: what it prints, who gets in, how it stops and starts anew.

use crate::boundary::{Place, Running, Server};

#[test]
fn without_configuration_it_makes_a_user_and_says_everything_needed() {
    let place = Place::new();
    place.write("files/a", "abc");
    let mut server = Server::start_bare(&place, &[]);
    let url = server.running.complains("fetch ");
    let url = url.split_whitespace().last().unwrap().replace("NAME", "a");
    assert!(url.starts_with("ftp://wharf:"), "{url}");
    server.running.complains("firewall ");
    let cat = place.run(["cat", &url]).expect(0);
    assert_eq!(cat.text(), "abc");
    let wrong = format!("ftp://wharf:guess@{}/", server.address);
    place.run(["ls", &wrong]).expect(4);
}

#[test]
fn each_address_gets_one_line_on_stdout_and_nothing_else_goes_there() {
    let place = Place::new();
    let mut server = Server::start_bare(&place, &["--listen", "127.0.0.1:0", "--anonymous"]);
    let second = server.running.says("listening on 127.0.0.1:");
    let url = second.replace("listening on ", "ftp://") + "/";
    place.run(["ls", &url]).expect(0);
    place.run(["ls", &server.url("")]).expect(0);
    server.running.signal("TERM");
    let ended = server.running.end().expect(0);
    let lines: Vec<String> = ended.text().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.starts_with("listening on ")));
}

#[test]
fn anonymous_reads_and_writes_only_when_allowed() {
    let place = Place::new();
    place.write("files/a", "abc");
    place.write("b", "b");
    let server = Server::start_bare(&place, &["--anonymous"]);
    place.run(["cat", &server.url("a")]).expect(0);
    place.run(["put", "b", &server.url("")]).expect(6);
    drop(server);
    let server = Server::start_bare(&place, &["--anonymous", "--writable"]);
    place.run(["put", "b", &server.url("")]).expect(0);
    assert_eq!(place.read("files/b"), b"b");
}

#[test]
fn read_only_holds_for_everybody() {
    let place = Place::new();
    place.write("files/a", "abc");
    place.write("b", "b");
    let server = Server::start_with(&place, &["--read-only"]);
    place.run(["cat", &server.url("a")]).expect(0);
    place.run(["put", "b", &server.url("")]).expect(6);
    place.run(["rm", &server.url("a")]).expect(6);
}

#[test]
fn passwords_come_from_the_environment_too() {
    let place = Place::new();
    place.write("files/a", "abc");
    std::fs::create_dir_all(place.path("files")).unwrap();
    let mut command = place.command(["serve", "files", "--user", "eve", "--listen", "127.0.0.1:0"]);
    command.env("WHARF_PASSWORD", "from outside");
    let mut server = Running::start(command);
    let address = server.says("listening on ").replace("listening on ", "");
    let mut cat = place.command(["cat", &format!("ftp://eve@{address}/a")]);
    cat.env("WHARF_PASSWORD", "from outside");
    let ended = Running::start(cat).end().expect(0);
    assert_eq!(ended.text(), "abc");
    // No password, no terminal.
    let ended = place
        .run(["cat", &format!("ftp://eve@{address}/a")])
        .expect(4);
    assert!(ended.stderr.contains("hint: "), "{}", ended.stderr);
    let netrc = place.write(
        ".netrc",
        "machine 127.0.0.1 login eve password \"from outside\"\n",
    );
    std::fs::set_permissions(&netrc, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    place.run(["cat", &format!("ftp://{address}/a")]).expect(0);
}

#[test]
fn flags_may_be_given_as_variables() {
    let place = Place::new();
    place.write("files/a", "abc");
    let mut command = place.command(["serve"]);
    command
        .current_dir(place.path("files"))
        .env("WHARF_LISTEN", "127.0.0.1:0,127.0.0.1:0")
        .env("WHARF_ANONYMOUS", "yes")
        .env("WHARF_WRITABLE", "0")
        .env("WHARF_LOG_FORMAT", "json");
    let mut server = Running::start(command);
    server.says("listening on ");
    let address = server.says("listening on ").replace("listening on ", "");
    place.run(["cat", &format!("ftp://{address}/a")]).expect(0);
    let line = server.complains("logged in");
    let json: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
    assert_eq!(json["level"], "INFO");
}

#[test]
fn a_reload_changes_users_and_settings_for_new_sessions() {
    let place = Place::new();
    place.write("files/a", "abc");
    place.write(
        "wharf.toml",
        "directory = \"files\"\nlisten = \"127.0.0.1:0\"\n[login]\nanonymous = true\n",
    );
    let mut server = Running::start(place.command(["serve", "--config", "wharf.toml"]));
    let address = server.says("listening on ").replace("listening on ", "");
    let url = format!("ftp://{address}/");
    place.write("b", "b");
    place.run(["put", "b", &url]).expect(6);
    place.write("wharf.toml", "directory = \"files\"\nlisten = \"127.0.0.1:0\"\n[login]\nanonymous = true\nwritable = true\n");
    server.signal("HUP");
    server.complains("reloaded");
    place.run(["put", "b", &url]).expect(0);
    // A broken file changes nothing.
    place.write("wharf.toml", "directory = 7\n");
    server.signal("HUP");
    server.complains("not reloaded");
    place.run(["ls", &url]).expect(0);
    server.signal("TERM");
    server.end().expect(0);
}

#[test]
fn transfers_are_written_to_the_transfer_log() {
    let place = Place::new();
    place.write("files/a b", "abc");
    let server = Server::start_with(&place, &["--xferlog", "xferlog", "--trace", "trace"]);
    place.run(["cat", &server.url("a%20b")]).expect(0);
    server.running.signal("TERM");
    server.running.end().expect(0);
    let log = String::from_utf8(place.read("xferlog")).unwrap();
    assert!(
        log.contains(" 127.0.0.1 3 /a_b b _ o r tester ftp 0 * c"),
        "{log}"
    );
    let trace = String::from_utf8(place.read("trace")).unwrap();
    assert!(trace.contains("> RETR a b"), "{trace}");
    assert!(!trace.contains("geheim"), "{trace}");
}

#[test]
fn a_log_in_json_is_json_from_its_first_line() {
    let place = Place::new();
    place.write("files/a", "abc");
    let more = ["--log-format", "json"];
    for user in [true, false] {
        let server = if user {
            Server::start_with(&place, &more)
        } else {
            Server::start_bare(&place, &more)
        };
        place.run(["ls", &server.url("")]);
        server.running.signal("TERM");
        let ended = server.running.end().expect(0);
        for line in ended.stderr.lines() {
            let read: Result<serde_json::Value, _> = serde_json::from_str(line);
            assert!(read.is_ok(), "{line}");
        }
        // Nobody could log in without the password that was made up.
        assert_eq!(
            ended.stderr.contains("password "),
            !user,
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains("serving"), "{}", ended.stderr);
    }
}

#[test]
fn a_named_user_may_be_called_writable() {
    let place = Place::new();
    place.write("b", "b");
    let mut server = Server::start_with(&place, &["--writable"]);
    // curl asks for a password only with a name as an option.
    server.running.complains("curl --user tester ftp://");
    place.run(["put", "b", &server.url("")]).expect(0);
}
