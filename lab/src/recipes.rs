//! docs/recipes.md twice: every recipe as it stands there, by lftp and by wharf under its name, each from the same beginning,
//! with a foreign server. Files on both sides must be the same afterwards, and both must succeed or both fail.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::{Outcome, run as run_bounded};
use crate::server::{Kind, PASSWORD, USER};
use crate::stage::Stage;
use crate::tally::{Matrix, Tally, seconds};
use crate::{Result, Settings, topology};

const PAGE: &str = include_str!("../../docs/recipes.md");

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
    ("incoming/before", ""),
];
const HERE: &[(&str, &str)] = &[
    ("report.pdf", "%PDF report\n"),
    ("site/index.html", "<h1>hello</h1>\n"),
    ("site/css/main.css", "h1 { color: navy }\n"),
    ("half.jpg", "tw"),
];

/// No recipe takes long; lftp repeats what fails for ever if it is let.
const LIMIT: Duration = Duration::from_mins(1);

type Tree = BTreeMap<String, Vec<u8>>;

/// Runs every recipe with both programs.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let stage = Stage::in_topology(settings, "recipes", topology::PLAIN, Kind::Vsftpd)?;
    let _server = stage.serve()?;
    let mut matrix = Matrix::new(&["recipe", "lftp", "wharf", "the same"]);
    for (title, recipe) in recipes() {
        if !settings.wants(title) {
            continue;
        }
        let lftp = once(&stage, Path::new("/usr/bin/lftp"), recipe)?;
        let wharf = once(&stage, &settings.wharf, recipe)?;
        let verdict = judged(&lftp, &wharf);
        let shown = if verdict.is_ok() { "yes" } else { "NO" };
        let cells = vec![
            seconds(lftp.0.elapsed),
            seconds(wharf.0.elapsed),
            shown.to_owned(),
        ];
        matrix.push(title, cells);
        tally.check(&format!("recipes / {title}"), verdict);
    }
    matrix.print("recipes of lftp, by lftp and by wharf, with vsftpd (seconds)");
    Ok(())
}

/// Title and commands of each.
fn recipes() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.split("\n## ").skip(1).filter_map(|part| {
        let title = part.lines().next()?;
        let (_, behind) = part.split_once("```sh\n")?;
        let (recipe, _) = behind.split_once("```")?;
        Some((title, recipe))
    })
}

/// How it ended, and the trees here and there.
type Came = (Outcome, Tree, Tree);

fn once(stage: &Stage, program: &Path, recipe: &str) -> Result<Came> {
    let here = stage.work.path().join("here");
    let bin = stage.work.path().join("bin");
    for directory in [&here, &bin] {
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        fs::create_dir(directory)?;
    }
    symlink(program, bin.join("lftp"))?;
    for entry in fs::read_dir(&stage.root)? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        } else {
            fs::remove_file(path)?;
        }
    }
    lay(&here, HERE)?;
    lay(&stage.root, THERE)?;
    // lftp waits for names of addresses and tries for ever otherwise.
    fs::write(
        stage.work.path().join(".lftprc"),
        "set net:max-retries 2\nset net:timeout 15\nset ftp:ssl-allow no\n",
    )?;
    let mut command = stage.client("/bin/sh");
    command
        .args(["-c", recipe])
        .current_dir(&here)
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("HOST", format!("ftp://{}", topology::SERVER))
        .env("LOGIN", format!("{USER},{PASSWORD}"));
    let outcome = run_bounded(command, b"", LIMIT)?;
    Ok((outcome, tree(&here)?, tree(&stage.root)?))
}

fn lay(top: &Path, files: &[(&str, &str)]) -> Result<()> {
    for (name, text) in files {
        let path = top.join(name);
        let mut directory = path.parent();
        let above = directory.ok_or("a file has a directory")?;
        fs::create_dir_all(above)?;
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
        // The server is not root.
        while let Some(path) = directory.filter(|path| path.starts_with(top)) {
            fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
            directory = path.parent();
        }
        // Before everything that a run makes.
        let time = std::time::UNIX_EPOCH + Duration::from_secs(981_173_106);
        fs::File::options()
            .write(true)
            .open(&path)?
            .set_modified(time)?;
    }
    Ok(())
}

fn tree(top: &Path) -> Result<Tree> {
    let mut found = Tree::new();
    let mut open = vec![PathBuf::from(top)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let name = path.strip_prefix(top)?.display().to_string();
            if path.is_dir() {
                found.insert(format!("{name}/"), Vec::new());
                open.push(path);
            } else {
                found.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

fn judged(lftp: &Came, wharf: &Came) -> Result<String> {
    if lftp.0.succeeded() != wharf.0.succeeded() {
        let how = |came: &Came| {
            if came.0.succeeded() {
                "succeeds"
            } else {
                "fails"
            }
        };
        let words = if wharf.0.succeeded() { lftp } else { wharf }
            .0
            .last_words();
        return Err(format!("lftp {}, wharf {}: {words}", how(lftp), how(wharf)).into());
    }
    for (side, one, other) in [("here", &lftp.1, &wharf.1), ("there", &lftp.2, &wharf.2)] {
        let differs = |name: &&String| one.get(*name) != other.get(*name);
        if let Some(name) = one.keys().chain(other.keys()).find(differs) {
            let who = match (one.contains_key(name), other.contains_key(name)) {
                (true, false) => "only with lftp",
                (false, true) => "only with wharf",
                _ => "other bytes",
            };
            return Err(format!("{side}: {name}: {who} ({})", wharf.0.last_words()).into());
        }
    }
    Ok(String::new())
}
