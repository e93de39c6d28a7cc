//! `wharf serve --auth system`: users of the system log in, and the kernel judges what they do by their own numbers and
//! groups.
//!
//! The accounts are made for this: files of their own are bound over the system's in a mount namespace that only the
//! server sees. So are PAM's services, for `--auth pam`, in a build that has it.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::drill;
use crate::process::{Daemon, isolate, run as run_bounded, tail};
use crate::stage::Stage;
use crate::tally::Tally;
use crate::wire::Wire;
use crate::{Result, Settings};

const PASSWORD: &str = "right";

/// Of that password, made by libxcrypt.
const YESCRYPT: &str = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$F1K3Jya64xlumGw51Swco2SOABCTTRjmBszNBfvECdC";

/// Numbers that no machine gives away by itself; anna and bert are both in `both`.
const ANNA: u32 = 61_001;
const BERT: u32 = 61_002;
const BOTH: u32 = 61_100;

/// Name, number, shell, what the shadow file says behind the name.
fn accounts() -> [(&'static str, u32, &'static str, String); 6] {
    let shell = "/bin/bash";
    let live = format!("{YESCRYPT}:20000:0:99999:7:::");
    [
        ("anna", ANNA, shell, live.clone()),
        ("bert", BERT, shell, live.clone()),
        ("locked", 61_003, shell, format!("!{live}")),
        (
            "ended",
            61_004,
            shell,
            format!("{YESCRYPT}:10000:0:99999:7::10100:"),
        ),
        ("nologin", 61_005, "/usr/sbin/nologin", live.clone()),
        ("superuser", 0, shell, live),
    ]
}

/// Who is refused: the name, and the password that is brought.
const REFUSED: &[(&str, &str)] = &[
    ("anna", "wrong"),
    ("locked", PASSWORD),
    ("ended", PASSWORD),
    ("nologin", PASSWORD),
    ("superuser", PASSWORD),
    ("nobodyatall", PASSWORD),
];

/// PAM's services: one as people write it, whose account phase refuses bert, and one that lets nobody in. `nodelay`: the
/// two seconds after a wrong password are PAM's, and nothing is learned by waiting for them.
const SERVICES: [(&str, &str); 2] = [
    (
        "wharf",
        "auth required pam_unix.so nodelay\naccount required pam_unix.so\naccount required pam_succeed_if.so user != bert quiet\n",
    ),
    (
        "nobody",
        "auth required pam_deny.so\naccount required pam_permit.so\n",
    ),
];

/// Who gets in by way of PAM, and who is refused by which service: the name, the password, what the broker's log says.
const REFUSED_BY_PAM: &[(&str, &str, &str)] = &[
    ("anna", "wrong", "PAM, authentication: "),
    ("bert", PASSWORD, "PAM, account: "),
    ("locked", PASSWORD, "PAM, authentication: "),
    ("ended", PASSWORD, "PAM, account: "),
    ("nologin", PASSWORD, "is not in /etc/shells"),
    ("superuser", PASSWORD, "uid 0 is below the least"),
    ("nobodyatall", PASSWORD, "no such user"),
];

/// How often each of them tries; the quickest answer counts, which a busy machine disturbs least.
const TRIES: u32 = 8;

/// All of it.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let mut ground = Ground::lay(settings)?;
    println!("\nusers of the system");
    let mut server = ground.serve(&["--auth", "system", "--jail", "home"])?;
    tally.check("two users upload, each to the own home", ground.uploads(""));
    tally.check("the same over TLS", ground.uploads("--ssl-reqd --insecure"));
    tally.check("the processes are their users'", ground.processes(&server));
    tally.check(
        "whoever may not is refused in one way and one time",
        ground.refusals(),
    );
    if !server.alive() {
        return Err(format!("the server has ended: {}", tail(&server.said())).into());
    }
    drop(server);
    // The first one's port may be held for a moment yet.
    ground.port = 2121;
    let server = ground.serve(&["--auth", "system", "--jail", "directory"])?;
    tally.check(
        "a shared directory: modes and groups count",
        ground.shared(),
    );
    tally.check(
        "a worker that is killed is one user's loss",
        ground.killed(&server),
    );
    drop(server);
    ground.stage.wharf = drill::program(settings)?;
    ground.port = 2122;
    let server = ground.serve(&["--auth", "pam"])?;
    tally.check("PAM lets a user in", ground.by_pam(&server));
    tally.check(
        "whoever PAM or a rule refuses is told one thing",
        ground.refused_by_pam(&server, REFUSED_BY_PAM),
    );
    drop(server);
    ground.port = 2123;
    let server = ground.serve(&["--auth", "pam", "--pam-service", "nobody"])?;
    tally.check(
        "a service that lets nobody in",
        ground.refused_by_pam(&server, &[("anna", PASSWORD, "PAM, authentication: ")]),
    );
    Ok(())
}

struct Ground {
    stage: Stage,
    /// passwd, group and shadow.
    files: PathBuf,
    port: u16,
}

impl Ground {
    fn lay(settings: &Settings) -> Result<Self> {
        let stage = Stage::build(settings, "system-users")?;
        let files = stage.work.directory("etc")?;
        let homes = stage.work.directory("home")?;
        let mut passwd = fs::read_to_string("/etc/passwd")?;
        let mut shadow = String::new();
        for (name, uid, shell, kept) in accounts() {
            let home = homes.join(name);
            fs::create_dir(&home)?;
            chown(&home, Some(uid), Some(uid))?;
            fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
            writeln!(passwd, "{name}:x:{uid}:{uid}::{}:{shell}", home.display())?;
            writeln!(shadow, "{name}:{kept}")?;
        }
        let group = fs::read_to_string("/etc/group")?
            + &format!("anna:x:{ANNA}:\nbert:x:{BERT}:\nboth:x:{BOTH}:anna,bert\n");
        for (name, text) in [("passwd", passwd), ("group", group), ("shadow", shadow)] {
            fs::write(files.join(name), text)?;
        }
        fs::create_dir(files.join("pam.d"))?;
        for (name, text) in SERVICES {
            fs::write(files.join("pam.d").join(name), text)?;
        }
        let secret = stage.root.join("private");
        fs::write(&secret, "anna's own\n")?;
        chown(&secret, Some(ANNA), Some(BOTH))?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        let common = stage.root.join("common");
        fs::write(&common, "for both\n")?;
        chown(&common, Some(0), Some(BOTH))?;
        fs::set_permissions(&common, fs::Permissions::from_mode(0o640))?;
        fs::write(stage.work.path().join("new"), "new\n")?;
        Ok(Self {
            stage,
            files,
            port: 21,
        })
    }

    fn control(&self) -> SocketAddr {
        SocketAddr::new(self.stage.network.control().ip(), self.port)
    }

    fn serve(&self, further: &[&str]) -> Result<Daemon> {
        let stage = &self.stage;
        let mut command = stage.network.server.command("unshare");
        // `$0` and on: the values arrive as arguments, nothing is quoted twice.
        let script = "for it in passwd group shadow pam.d; do mount --bind \"$0/$it\" /etc/$it || exit; done; exec \"$@\"";
        command.args(["--mount", "--", "/bin/sh", "-c", script]);
        command.arg(&self.files).arg(&stage.wharf);
        command.arg("serve").arg(&stage.root);
        command.args(further);
        command.args(["--sandbox", "best-effort", "--run-as", "nobody"]);
        command.args(["--listen", &format!("0.0.0.0:{}", self.port)]);
        command
            .args(["--login-attempts", "100", "--ban-after", "0"])
            .args(stage.told());
        isolate(&mut command, stage.work.path());
        command.env_remove("WHARF_TLS");
        let mut server = Daemon::start(command)?;
        let listening = stage.network.server.await_listener(self.control());
        if listening.is_err() || !server.alive() {
            return Err(format!("wharf serve {further:?}: {}", tail(&server.said())).into());
        }
        Ok(server)
    }

    /// curl, with that user and more.
    fn curl(
        &self,
        user: &str,
        arguments: &str,
        path: &str,
    ) -> Result<std::result::Result<String, String>> {
        let mut command = self.stage.client("curl");
        command.args(["-q", "-sS", "--user", &format!("{user}:{PASSWORD}")]);
        command.args(arguments.split_whitespace());
        command.arg(format!("ftp://{}{path}", self.control()));
        let outcome = run_bounded(command, b"", Duration::from_secs(30))?;
        Ok(if outcome.succeeded() {
            Ok(String::from_utf8_lossy(&outcome.stdout).into_owned())
        } else {
            Err(outcome.last_words())
        })
    }

    fn login(&self, user: &str) -> Result<Wire> {
        let network = &self.stage.network;
        let mut wire = Wire::greet(&network.client, self.control())?;
        wire.command(&format!("USER {user}"))?;
        wire.send(&format!("PASS {PASSWORD}"))?;
        wire.expect(&[230])?;
        wire.send("TYPE I")?;
        wire.expect(&[200])?;
        Ok(wire)
    }

    fn uploads(&self, further: &str) -> Result<String> {
        for (user, uid) in [("anna", ANNA), ("bert", BERT)] {
            self.curl(user, &format!("{further} -T new"), "/new")??;
            let name = self.stage.work.path().join("home").join(user).join("new");
            let facts = fs::metadata(&name).map_err(|error| format!("{user}: {error}"))?;
            if (facts.uid(), facts.gid()) != (uid, uid) {
                return Err(format!("{user}'s file is {}:{}", facts.uid(), facts.gid()).into());
            }
            let back = self.curl(user, further, "/new")??;
            if back != "new\n" {
                return Err(format!("{user} gets back: {back}").into());
            }
            fs::remove_file(&name)?;
        }
        Ok("owner and group are theirs".to_owned())
    }

    /// The worker of a user, a child of that server.
    fn worker(server: &Daemon, uid: u32) -> Result<(i32, String)> {
        for entry in fs::read_dir("/proc")? {
            let path = entry?.path();
            let Ok(status) = fs::read_to_string(path.join("status")) else {
                continue;
            };
            let is_child = field(&status, "PPid") == server.pid().to_string();
            if is_child && field(&status, "Uid").starts_with(&format!("{uid}\t")) {
                return Ok((field(&status, "Pid").parse()?, status));
            }
        }
        Err(format!("uid {uid} has no worker").into())
    }

    fn processes(&self, server: &Daemon) -> Result<String> {
        let _sessions = [
            self.login("anna")?,
            self.login("bert")?,
            self.login("anna")?,
        ];
        for uid in [ANNA, BERT] {
            let (_, status) = Self::worker(server, uid)?;
            let groups: Vec<_> = field(&status, "Groups").split(' ').collect();
            let wanted = [uid.to_string(), BOTH.to_string()];
            if groups != wanted {
                return Err(format!("uid {uid} has the groups {groups:?}").into());
            }
            for (name, wanted) in [
                ("Uid", format!("{uid}\t{uid}\t{uid}\t{uid}")),
                ("Gid", format!("{uid}\t{uid}\t{uid}\t{uid}")),
                ("CapEff", "0000000000000000".to_owned()),
                ("CapPrm", "0000000000000000".to_owned()),
                ("CapBnd", "0000000000000000".to_owned()),
                ("NoNewPrivs", "1".to_owned()),
                ("Seccomp", "2".to_owned()),
            ] {
                if field(&status, name) != wanted {
                    return Err(format!("uid {uid}: {name} {}", field(&status, name)).into());
                }
            }
        }
        Ok("uid, gid, groups, no capability, locked in".to_owned())
    }

    fn refusals(&self) -> Result<String> {
        let network = &self.stage.network;
        let mut wires = Vec::new();
        let mut seen: Vec<(&str, String, Duration)> = Vec::new();
        for (name, _) in REFUSED {
            wires.push(Wire::greet(&network.client, self.control())?);
            seen.push((name, String::new(), Duration::MAX));
        }
        // In turns, so that whatever else this machine does is done to all of them.
        for _ in 0..TRIES {
            for ((wire, seen), (name, password)) in wires.iter_mut().zip(&mut seen).zip(REFUSED) {
                let asked = wire.command(&format!("USER {name}"))?;
                let start = Instant::now();
                let reply = wire.command(&format!("PASS {password}"))?;
                if reply.code != 530 {
                    return Err(format!("{name}: {}", reply.text.trim_end()).into());
                }
                seen.1 = (asked.text + &reply.text).replace(name, "NAME");
                seen.2 = seen.2.min(start.elapsed());
            }
        }
        let first = seen.first().ok_or("nobody was refused")?.1.clone();
        if let Some((name, text, _)) = seen.iter().find(|(_, text, _)| *text != first) {
            return Err(format!("{name} is told {text:?}, others {first:?}").into());
        }
        let mut times: Vec<_> = seen.iter().map(|it| it.2.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        let (low, usual, high) = (times[0], times[times.len() / 2], times[times.len() - 1]);
        let note = format!("{low:.1} to {high:.1} ms");
        // Without a hash it is a factor of ten and more; a busy machine delays some, and hurries nobody.
        if usual > 3.0 * low || high > 8.0 * usual {
            let all: Vec<_> = seen
                .iter()
                .map(|it| format!("{} {:?}", it.0, it.2))
                .collect();
            return Err(format!("{note}: {}", all.join(", ")).into());
        }
        Ok(note)
    }

    /// A file, and the process that is the user.
    fn by_pam(&self, server: &Daemon) -> Result<String> {
        self.curl("anna", "-T new", "/new")??;
        let name = self.stage.work.path().join("home/anna/new");
        let facts = fs::metadata(&name)?;
        if facts.uid() != ANNA {
            return Err(format!("anna's file is {}'s", facts.uid()).into());
        }
        let _session = self.login("anna")?;
        let (_, status) = Self::worker(server, ANNA)?;
        let groups = field(&status, "Groups");
        if groups != format!("{ANNA} {BOTH}") {
            return Err(format!("anna has the groups {groups}").into());
        }
        Ok("an upload of her own, by a process that is her".to_owned())
    }

    fn refused_by_pam(&self, server: &Daemon, rows: &[(&str, &str, &str)]) -> Result<String> {
        let mut told: Option<String> = None;
        for (name, password, _) in rows {
            let mut wire = Wire::greet(&self.stage.network.client, self.control())?;
            wire.command(&format!("USER {name}"))?;
            let reply = wire.command(&format!("PASS {password}"))?;
            if reply.code != 530 {
                return Err(format!("{name}: {}", reply.text.trim_end()).into());
            }
            if let Some(first) = &told
                && *first != reply.text
            {
                return Err(format!("{name} is told {:?}, others {first:?}", reply.text).into());
            }
            told = Some(reply.text);
        }
        // What is logged before the answer arrives here by another way.
        let start = Instant::now();
        while let Some((name, _, why)) = rows.iter().find(|row| !is_logged(&server.said(), row)) {
            if start.elapsed() > Duration::from_secs(20) {
                let log = server.said();
                return Err(
                    format!("the log does not say of {name} {why:?}: {}", tail(&log)).into(),
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(format!(
            "{} refused, and why is in the log alone",
            rows.len()
        ))
    }

    fn shared(&self) -> Result<String> {
        let own = self.curl("anna", "", "/private")??;
        if own != "anna's own\n" {
            return Err(format!("anna reads {own:?}").into());
        }
        if let Ok(read) = self.curl("bert", "", "/private")? {
            return Err(format!("bert reads what is anna's alone: {read:?}").into());
        }
        for user in ["anna", "bert"] {
            let read = self.curl(user, "", "/common")??;
            if read != "for both\n" {
                return Err(format!("{user} reads {read:?}").into());
            }
            // The group may read, and nothing more.
            if self.curl(user, "-T new", "/common")?.is_ok() {
                return Err(format!("{user} replaces what is read-only").into());
            }
        }
        self.curl("bert", "-T new", "/berts")??;
        let berts = fs::metadata(self.stage.root.join("berts"))?;
        if berts.uid() != BERT {
            return Err(format!("bert's file is {}'s", berts.uid()).into());
        }
        if self.curl("anna", "-T new", "/berts")?.is_ok() {
            return Err("anna replaces bert's file".into());
        }
        if let Ok(read) = self.curl("anna", "", "//etc/passwd")? {
            return Err(format!("anna is outside: {}", tail(&read)).into());
        }
        Ok("0600 is one's own, a supplementary group's 0640 is both's".to_owned())
    }

    fn killed(&self, server: &Daemon) -> Result<String> {
        let (mut anna, mut bert) = (self.login("anna")?, self.login("bert")?);
        let size = |wire: &mut Wire| wire.command("SIZE common").map(|reply| reply.code);
        if (size(&mut anna)?, size(&mut bert)?) != (213, 213) {
            return Err("not before either".into());
        }
        let (pid, _) = Self::worker(server, ANNA)?;
        let pid = Pid::from_raw(pid).ok_or("no such process")?;
        kill_process(pid, Signal::KILL)?;
        let start = Instant::now();
        let told = loop {
            match size(&mut anna)? {
                213 if start.elapsed() < Duration::from_secs(10) => {}
                told => break told,
            }
        };
        if told != 451 {
            return Err(format!("anna is told {told}").into());
        }
        if size(&mut bert)? != 213 {
            return Err("bert's session has lost its files, too".into());
        }
        let mut again = self.login("anna")?;
        if size(&mut again)? != 213 {
            return Err("anna has no files after another login".into());
        }
        Ok("451 for anna until she logs in again, nothing for bert".to_owned())
    }
}

/// Whether the broker says why that user is refused.
fn is_logged(log: &str, (name, _, why): &(&str, &str, &str)) -> bool {
    let name = format!("user=\"{name}\"");
    log.lines().any(|line| {
        line.contains("login of a system user refused")
            && line.contains(&name)
            && line.contains(why)
    })
}

/// Of /proc/PID/status.
fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.strip_prefix(':'))
        .unwrap_or_default()
        .trim()
}
