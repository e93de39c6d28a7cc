//! The configuration file and `wharf check`.

use expect_test::expect;

use crate::boundary::Place;

#[test]
fn all_mistakes_are_reported_at_once() {
    let place = Place::new();
    place.write(
        "wharf.toml",
        "directory = \"files\"\n\
         passive_ports = \"50000-50100\"\n\
         [data]\n\
         advertise = [\"203.0.113.300\"]\n\
         active = \"yes\"\n\
         [limits]\n\
         idle_timout = \"5m\"\n\
         [log]\n\
         format = \"xml\"\n",
    );
    for command in ["check", "serve"] {
        let ended = place.run([command, "--config", "wharf.toml"]).expect(78);
        assert_eq!(ended.text(), "");
        expect![[r"
            error[WF-7800]: wharf.toml has 5 problems
              line 2: passive_ports: unknown key; did you mean `data.passive_ports`?
              line 4: data.advertise: `203.0.113.300` is neither an IP address nor a host name
              line 5: data.active: expected true or false, found a string
              line 7: limits.idle_timout: unknown key; did you mean `limits.idle_timeout`?
              line 9: log.format: `xml` is not a log format: expected human or json
            hint: `wharf help config` prints every key with its meaning
        "]]
        .assert_eq(&ended.stderr);
    }
}

#[test]
fn check_opens_everything_and_leaves_nothing_behind() {
    let place = Place::new();
    place.write("files/a", "");
    place.write("password", "geheim\n");
    place.write(
        "wharf.toml",
        "directory = \"files\"\n\
         listen = \"127.0.0.1:0\"\n\
         [login]\n\
         user = \"eve\"\n\
         password_file = \"password\"\n\
         [data]\n\
         active_port = 0\n\
         [log]\n\
         xferlog = \"xferlog\"\n",
    );
    let ended = place.run(["check", "--config", "wharf.toml"]).expect(0);
    let text = ended.text();
    for part in [
        "directory",
        "address 127.0.0.1:0",
        "password file",
        "transfer log",
    ] {
        let good = text
            .lines()
            .any(|line| line.starts_with("ok: ") && line.contains(part));
        assert!(good, "{part} is not in: {text}");
    }
    assert!(!place.path("xferlog").exists());
}

#[test]
fn check_reports_everything_that_is_broken() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = place
        .run([
            "check",
            "no-such-directory",
            "--listen",
            &address,
            "--users",
            "no-such-file",
            "--xferlog",
            "no/such/directory",
            "--anonymous",
        ])
        .expect(78);
    for part in ["no-such-directory", address.as_str(), "no/such/directory"] {
        let told = ended
            .stderr
            .lines()
            .any(|line| line.starts_with("error[WF-") && line.contains(part));
        assert!(told, "{part} is not in: {}", ended.stderr);
    }
}

#[test]
fn the_example_is_accepted() {
    let place = Place::new();
    let example = place.run(["help", "config"]).expect(0);
    place.write("wharf.toml", example.stdout);
    place
        .run(["check", "--config", "wharf.toml", "--listen", "127.0.0.1:0"])
        .expect(0);
}
