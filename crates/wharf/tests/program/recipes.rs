//! docs/recipes.md, recipe by recipe: each is run as it stands there, under the name `lftp`, against wharf's own server, and
//! must print, return and leave behind what the page says. `UPDATE_EXPECT=1` writes the page anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::boundary::{Ended, Place, Running, Server};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/recipes.md");

/// What is on the server and here before each recipe.
const THERE: &[(&str, &str)] = &[
    ("readme.txt", "read me\n"),
    ("pub/a.txt", "alpha\n"),
    ("pub/b.txt", "beta\n"),
    ("pub/photos/one.jpg", "one"),
    ("pub/photos/two.jpg", "two!"),
    ("pub/photos/old/three.jpg", "three"),
    ("logs/app.log", "3 c\n1 a\n2 b\n"),
    ("logs/app.log.1", "0 z\n"),
    ("incoming/.keep", ""),
];
const HERE: &[(&str, &str)] = &[
    ("report.pdf", "%PDF report\n"),
    ("site/index.html", "<h1>hello</h1>\n"),
    ("site/css/main.css", "h1 { color: navy }\n"),
    ("half.jpg", "tw"),
];

type Tree = BTreeMap<String, String>;

fn tree(top: &Path) -> Tree {
    let mut found = Tree::new();
    let mut open = vec![top.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(top).expect("below").display().to_string();
            if path.is_dir() {
                found.insert(format!("{name}/"), String::new());
                open.push(path);
            } else {
                let mode = std::fs::metadata(&path)
                    .expect("a file")
                    .permissions()
                    .mode()
                    & 0o777;
                let bytes = std::fs::read(&path).expect("a file");
                found.insert(
                    name,
                    format!("{mode:o} {}", String::from_utf8_lossy(&bytes)),
                );
            }
        }
    }
    found
}

/// New, gone and changed names, for the page.
fn difference(before: &Tree, after: &Tree) -> String {
    let mut words = Vec::new();
    for (name, bytes) in after {
        match before.get(name) {
            None => words.push(format!("+{name}")),
            Some(old) if old != bytes => words.push(format!("~{name}")),
            Some(_) => {}
        }
    }
    words.extend(
        before
            .keys()
            .filter(|name| !after.contains_key(*name))
            .map(|name| format!("-{name}")),
    );
    words.join(" ")
}

fn lay(place: &Place, below: &str, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = place.write(format!("{below}/{name}"), text);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))
            .expect("permissions");
        let file = std::fs::File::options()
            .write(true)
            .open(&path)
            .expect("a file");
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(981_173_106);
        file.set_modified(time).expect("a time");
    }
}

/// Runs one and says what the page has to say.
fn run(recipe: &str) -> String {
    let place = Place::new();
    lay(&place, "files", THERE);
    lay(&place, "here", HERE);
    let server = Server::start(&place);
    let before = (tree(&place.path("here")), tree(&place.path("files")));
    drop(place.command_as("lftp", ["--version"]));
    let mut shell = place.program(Path::new("/bin/sh"), ["-c", recipe]);
    let path = format!(
        "{}:/usr/local/bin:/usr/bin:/bin",
        place.path(".bin").display()
    );
    shell
        .current_dir(place.path("here"))
        .env("PATH", path)
        .env("HOST", format!("ftp://{}", server.address))
        .env("LOGIN", "tester,geheim");
    let ended: Ended = Running::start(shell).end();
    let (here, there) = (tree(&place.path("here")), tree(&place.path("files")));
    let mut text = ended.text();
    let _ = write!(text, "[status {}]", ended.code.expect("an end"));
    for (word, difference) in [
        ("here", difference(&before.0, &here)),
        ("there", difference(&before.1, &there)),
    ] {
        if !difference.is_empty() {
            let _ = write!(text, " {word}: {difference}");
        }
    }
    text.push('\n');
    text
}

/// Every recipe with what the page says came of it.
fn recipes(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in page.split("```sh\n").skip(1) {
        let (recipe, behind) = part.split_once("```").expect("an end of the recipe");
        let result = behind.split_once("```text\n").expect("what comes of it").1;
        let (result, _) = result.split_once("```").expect("an end of it");
        found.push((recipe.to_owned(), result.to_owned()));
    }
    found
}

#[test]
fn recipes_of_lftp_do_what_the_page_says() {
    let page = std::fs::read_to_string(PAGE).expect("docs/recipes.md");
    let recipes = recipes(&page);
    assert!(recipes.len() >= 30, "{}", recipes.len());
    let mut new = page.clone();
    let mut wrong = Vec::new();
    for (recipe, expected) in &recipes {
        let came = run(recipe);
        if came != *expected {
            wrong.push(format!("{recipe}expected:\n{expected}came:\n{came}"));
            let old = format!("```sh\n{recipe}```\n\n```text\n{expected}```");
            assert!(new.contains(&old), "{recipe}");
            new = new.replacen(
                &old,
                &format!("```sh\n{recipe}```\n\n```text\n{came}```"),
                1,
            );
        }
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(PAGE, new).expect("docs/recipes.md");
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The status at the end, for every class of failure that a script can meet.
#[test]
fn a_script_that_ends_in_failure_does_not_end_with_0() {
    let place = Place::new();
    let server = Server::start(&place);
    place.write("files/a", "A");
    place.write("files/dir/b", "B");
    let open = format!("open {}", server.url(""));
    for (script, status, classic) in [
        ("get a", 0, 0),
        ("get nothing", 5, 5),
        ("cd nowhere", 5, 5),
        ("get nothing; ls > /dev/null", 5, 0),
        ("get nothing || ls > /dev/null", 0, 0),
        ("ls > /dev/null && get nothing", 5, 5),
        ("get nothing && ls", 5, 5),
        ("(get nothing)", 5, 5),
        ("(get nothing) || echo x > /dev/null", 0, 0),
        ("get a nothing", 1, 1),
        ("get nothing &", 5, 5),
        ("get nothing & wait", 5, 5),
        ("queue get nothing", 5, 5),
        ("xyzzy", 2, 2),
        ("get", 2, 2),
        ("get --nonsense a", 2, 2),
        ("torrent x", 6, 6),
        ("put nothing-here", 12, 12),
        ("get a -o /nonexistent/a", 12, 12),
        ("mget z*", 5, 5),
        ("!exit 7", 7, 7),
        ("exit 9", 9, 9),
        ("get nothing; exit", 5, 5),
        ("get nothing; exit 0", 0, 0),
        (
            "set cmd:fail-exit yes; get nothing; get a -o /nonexistent/a",
            5,
            5,
        ),
        ("get \"a", 2, 2),
        ("repeat -c 2 0 get nothing", 5, 5),
        ("source nothing-here", 12, 12),
        ("set ftp:nonsense 1", 2, 2),
        ("close; user tester wrong; ls", 4, 4),
        ("open -u tester,wrong 127.0.0.1 -p 1; ls", 3, 3),
    ] {
        let script = format!("set net:max-retries 1; {open}; {script}");
        place.run(["-c", &script]).expect(status);
        Running::start(place.command_as("lftp", ["-c", &script]))
            .end()
            .expect(classic);
    }
    let mut piped = place.command(["shell"]);
    piped.stdin(std::process::Stdio::piped());
    let mut piped = Running::start(piped);
    piped
        .feed(format!("{open}\nget nothing\npwd\n").as_bytes())
        .expect("a pipe");
    let ended = piped.end().expect(5);
    assert!(
        ended.text().starts_with("ftp://tester@"),
        "{}",
        ended.text()
    );
    assert!(!ended.text().contains("geheim") && !ended.stderr.contains("geheim"));
    place.write("script", format!("# a comment\n{open}\nget a -o again\n"));
    place.run(["-f", "script"]).expect(0);
    assert_eq!(place.read("again"), b"A");
}

#[test]
fn jobs_have_sessions_of_their_own_and_their_end_is_known() {
    let place = Place::new();
    let server = Server::start(&place);
    place.write("files/a", "A");
    place.write("files/dir/b", "B");
    let script = format!(
        "open {}; cd dir; get b & cd ..; get a & jobs; wait all; jobs; lcd files; get a -o copy; lpwd; !cat copy",
        server.url("")
    );
    let ended = place.run(["-c", &script]).expect(0);
    let text = ended.text();
    assert!(text.contains("[1] get b -- running"), "{text}");
    assert!(text.contains("[2] get a -- running"), "{text}");
    assert!(!text.contains("done"), "{text}");
    assert_eq!(place.read("a"), b"A");
    assert_eq!(place.read("b"), b"B");
    assert!(text.ends_with("/files\nA"), "{text}");
}
