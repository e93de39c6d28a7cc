//! Bookmarks, profiles, and where passwords come from.

use crate::boundary::{Place, Running, Server};
use crate::gateway::{Gateway, Rules};

/// A server with a file, and a user whose password nobody knows yet.
fn scene() -> (Place, Server, String) {
    let place = Place::new();
    let server = Server::start(&place);
    place.write("files/dir/a", "abc");
    let bare = format!("ftp://tester@{}", server.address);
    (place, server, bare)
}

#[test]
fn a_bookmark_is_an_address_wherever_one_is() {
    let (place, server, bare) = scene();
    place.write("password", "geheim\n");
    let secret = place.path("password");
    let file = format!("password_file={}", secret.display());
    let with = server.url("dir/");
    let added = place
        .run([
            "bookmark",
            "add",
            "work",
            &with,
            "--set",
            &file,
            "--set",
            "mode=pasv",
        ])
        .expect(0);
    assert!(
        added.stderr.contains("the password is left out"),
        "{}",
        added.stderr
    );
    let book = place.read("config/wharf/profiles.toml");
    assert!(
        !String::from_utf8_lossy(&book).contains("geheim"),
        "never there"
    );
    place.run(["bookmark", "add", "work", &bare]).expect(2);
    place.run(["bookmark", "add", "a b", &bare]).expect(2);
    place
        .run(["bookmark", "add", "x", &bare, "--set", "mode=bla"])
        .expect(2);
    let listed = place.run(["bookmark", "list"]).expect(0);
    assert_eq!(listed.text(), format!("{:<20} {bare}/dir/\n", "work"));

    let cat = place.run(["cat", "-v", "bookmark:work/a"]).expect(0);
    assert_eq!(cat.text(), "abc");
    assert!(cat.stderr.contains("> PASV"), "{}", cat.stderr);
    assert_eq!(place.run(["ls", "bookmark:work"]).expect(0).text(), "a\n");
    assert_eq!(
        place.run(["cat", "bookmark:work//dir/a"]).expect(0).text(),
        "abc"
    );
    place.write("up", "new");
    place.run(["put", "up", "bookmark:work/"]).expect(0);
    place
        .run(["mv", "bookmark:work/up", "bookmark:work/b"])
        .expect(0);
    assert_eq!(place.read("files/dir/b"), b"new");
    place.run(["get", "bookmark:nobody/a"]).expect(2);
    // What a bookmark says holds for its server, and a flag beats it.
    let url = format!("{bare}/dir/a");
    let cat = place.run(["cat", "-v", &url]).expect(0);
    assert!(cat.stderr.contains("> PASV"), "{}", cat.stderr);
    let cat = place.run(["cat", "-v", "--mode", "epsv", &url]).expect(0);
    assert!(cat.stderr.contains("> EPSV"), "{}", cat.stderr);
    // The interactive client takes the name alone.
    let mut command = place.command_as("ftp", ["work"]);
    command.stdin(std::process::Stdio::piped());
    let mut ftp = Running::start(command);
    ftp.feed(b"get a got\n").expect("a pipe");
    ftp.end().expect(0);
    assert_eq!(place.read("got"), b"abc");
    // And begins where it says.
    std::fs::create_dir(place.path("below")).unwrap();
    let below = format!("local_dir={}", place.path("below").display());
    place
        .run(["bookmark", "add", "there", &bare, "--set", &below])
        .expect(0);
    let mut command = place.command_as("ftp", ["work"]);
    command.stdin(std::process::Stdio::piped());
    let mut ftp = Running::start(command);
    ftp.feed(b"get a\n").expect("a pipe");
    ftp.end().expect(0);
    assert_eq!(place.read("below/a"), b"abc");
    place.run(["bookmark", "remove", "there"]).expect(0);

    let shown = place.run(["bookmark", "show", "work"]).expect(0).text();
    assert!(
        shown.starts_with("[bookmark.work]\n") && shown.contains("mode = \"pasv\""),
        "{shown}"
    );
    let exported = place.run(["bookmark", "export"]).expect(0).text();
    assert_eq!(exported, format!("work\t{bare}/dir/\n"));
    place.run(["bookmark", "remove", "work"]).expect(0);
    place.run(["bookmark", "show", "work"]).expect(2);
}

#[test]
fn a_profile_for_hosts_names_the_proxy_and_a_damaged_file_is_an_error() {
    let (place, server, _) = scene();
    let gateway = Gateway::start(Rules::default());
    let text = format!(
        "[[for]]\nhost = \"*.invalid\"\nproxy = \"socks5h://127.0.0.1:{}\"\nmode = \"passive\"\n",
        gateway.port
    );
    place.write("config/wharf/profiles.toml", &text);
    let url = format!("ftp://tester:geheim@ftp.invalid:{}/dir/a", server.port());
    assert_eq!(place.run(["cat", &url]).expect(0).text(), "abc");
    assert!(gateway.asked(server.port()).len() >= 2);
    assert_eq!(
        place.run(["cat", &server.url("dir/a")]).expect(0).text(),
        "abc"
    );
    assert!(gateway.asked(server.port()).is_empty(), "another host");
    place.write(
        "config/wharf/profiles.toml",
        "[[for]]\nhost = \"*\"\ntsl = \"require\"\n",
    );
    let ended = place.run(["cat", &server.url("dir/a")]).expect(2);
    assert!(
        ended.stderr.contains("tsl: no such key") && ended.stderr.contains("wharf help profiles"),
        "{}",
        ended.stderr
    );
}

#[test]
fn other_programs_bookmarks_are_taken_over_without_their_passwords() {
    let (place, server, bare) = scene();
    let with = format!("ftp://tester:geheim@{}/dir", server.address);
    place.write(
        ".local/share/lftp/bookmarks",
        format!("mine\t{with}\nssh\tsftp://h/\nmine\tftp://h/\n"),
    );
    let ended = place.run(["bookmark", "import", "lftp"]).expect(0);
    for said in [
        "ssh left out: sftp:// is not FTP",
        "1 passwords are left out",
        "2 bookmarks from",
    ] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    let listed = place.run(["bookmark", "list"]).expect(0).text();
    assert_eq!(
        listed,
        format!("{:<20} {bare}/dir/\n{:<20} ftp://h/\n", "mine", "mine-2")
    );
    let again = place.run(["bookmark", "import", "lftp"]).expect(0);
    assert!(
        again.stderr.contains("0 bookmarks from"),
        "{}",
        again.stderr
    );
    let book = place.read("config/wharf/profiles.toml");
    assert!(
        !String::from_utf8_lossy(&book).contains("geheim"),
        "never there"
    );
    // A keyring keeps what it is given on its standard input.
    place.write("bin/pass", "#!/bin/sh\ncase $1 in\nshow) cat \"kept-$(basename $2)\" ;;\ninsert) for last; do :; done; cat > \"kept-$(basename $last)\" ;;\nesac\n");
    executable(&place, "bin/pass");
    place.write(".netrc", "");
    std::fs::remove_file(place.path("config/wharf/profiles.toml")).expect("it is there");
    let run = |words: &[&str]| {
        let mut command = place.command(words);
        command.env(
            "PATH",
            format!("{}:/usr/bin:/bin", place.path("bin").display()),
        );
        Running::start(command).end()
    };
    run(&["bookmark", "import", "lftp", "--keyring", "pass"]).expect(0);
    assert_eq!(place.read("kept-tester"), b"geheim");
    assert_eq!(run(&["cat", "bookmark:mine/a"]).expect(0).text(), "abc");
    run(&["bookmark", "import", "emacs"]).expect(2);
    run(&["bookmark", "import", "winscp"]).expect(12);
}

fn executable(place: &Place, name: &str) {
    use std::os::unix::fs::PermissionsExt;
    let rights = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.path(name), rights).expect("rights");
}

#[test]
fn passwords_come_from_where_they_are_said_to_be() {
    let (place, _server, bare) = scene();
    let url = format!("{bare}/dir/a");
    place.write("password", "geheim\nmore");
    place.write(
        "ask",
        "#!/bin/sh\ncase $1 in *tester*) echo geheim ;; esac\n",
    );
    executable(&place, "ask");
    for (more, variables, stdin, code) in [
        (&["--password-file", "password"][..], &[][..], "", 0),
        (&["--password-stdin"], &[], "geheim\n", 0),
        (
            &[
                "--password-command",
                "test $WHARF_LOGIN = tester && head -1 password",
            ],
            &[],
            "",
            0,
        ),
        (&["--password-command", "false"], &[], "", 4),
        (&["--askpass", "./ask"], &[], "", 0),
        (&["--askpass", "./none"], &[], "", 4),
        (&[], &[("WHARF_ASKPASS", "./ask")], "", 0),
        (&[], &[("WHARF_PASSWORD", "geheim")], "", 0),
        (&[], &[("WHARF_PASSWORD_COMMAND", "cat password")], "", 0),
        (
            &["--password-stdin"],
            &[("WHARF_PASSWORD", "falsch")],
            "geheim",
            0,
        ),
        (
            &[],
            &[("WHARF_PASSWORD", "falsch"), ("WHARF_ASKPASS", "./ask")],
            "",
            4,
        ),
        (
            &["--password-stdin", "--password-file", "password"],
            &[],
            "",
            2,
        ),
        (&["--keyring", "wallet"], &[], "", 2),
        (&[], &[], "", 4),
    ] {
        let mut command = place.command([&["cat", &url], more].concat());
        command
            .envs(variables.iter().copied())
            .stdin(std::process::Stdio::piped());
        let mut running = Running::start(command);
        // Who reads nothing may be gone already.
        let _ = running.feed(stdin.as_bytes());
        let ended = running.end().expect(code);
        assert_eq!(ended.text() == "abc", code == 0, "{more:?} {variables:?}");
        assert!(!ended.stderr.contains("geheim"), "{}", ended.stderr);
    }
}
