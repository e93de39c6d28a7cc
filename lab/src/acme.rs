//! A certificate from an authority: wharf's server with Debian's pebble (the test authority of Let's Encrypt's makers) and
//! its name server, in a namespace of their own. The authority asks over HTTP and signs; strangers' clients believe the
//! server by the authority's root; it is renewed while a session runs, which does not notice.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::certificates::{Certificates, NAME};
use crate::namespace::Namespace;
use crate::payload::{self, Workspace};
use crate::process::{Daemon, isolate, must, run as run_bounded, tail};
use crate::setup;
use crate::tally::Tally;
use crate::{Result, Settings};

/// Seconds that a certificate lives: long enough for a loaded machine to use it, short enough to wait for the next.
const LIFE: u32 = 40;

/// For everything to come about that takes seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(100);

/// What wharf says when a certificate is in force.
const IN_FORCE: &str = "a new certificate is in force";

/// A session that logs in over TLS, tells whose certificate it was shown, stays, and asks again at its end.
const SESSION: &str = "
import ftplib, hashlib, ssl, sys, time
context = ssl.create_default_context(cafile=sys.argv[1])
context.check_hostname = False
ftp = ftplib.FTP_TLS(context=context, timeout=30)
ftp.connect('127.0.0.1', 21)
ftp.auth()
print('shown', hashlib.sha256(ftp.sock.getpeercert(True)).hexdigest(), flush=True)
ftp.login()
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    ftp.voidcmd('NOOP')
    time.sleep(0.2)
print('there is', ftp.pwd(), flush=True)
ftp.quit()
";

struct Ground {
    work: Workspace,
    space: Namespace,
    wharf: PathBuf,
    certificates: Certificates,
    root: PathBuf,
}

/// Obtained, believed, renewed.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    println!("\na certificate from an authority (pebble)");
    let work = Workspace::create("acme", false)?;
    let ground = Ground {
        space: Namespace::create("acme")?,
        wharf: settings.wharf.clone(),
        certificates: Certificates::make(&work.directory("authority")?)?,
        root: work.path().join("pebble-root.pem"),
        work,
    };
    let files = ground.work.directory("files")?;
    payload::write(&files.join("payload.bin"), 300_000)?;
    let _names = ground.name_server()?;
    let _authority = ground.authority()?;
    ground.fetch_root()?;
    let server = ground.serve()?;
    tally.check("obtained over HTTP", in_force(&server, 1));
    tally.check(
        "believed by curl through the authority's root",
        ground.curl(),
    );
    let before = ground.shown(0.0)?;
    let session = ground.session(f64::from(LIFE) + 5.0)?;
    tally.check("renewed before its end", in_force(&server, 2));
    tally.check("the new one is shown", ground.other_than(&before));
    tally.check("the session from before goes on", ended(session, &before));
    tally.check(
        "nothing but the challenge is answered",
        ground.nothing_else(),
    );
    Ok(())
}

impl Ground {
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.space.command(program);
        isolate(&mut command, self.work.path());
        command.current_dir(self.work.path());
        command
    }

    /// Every name leads to this namespace.
    fn name_server(&self) -> Result<Daemon> {
        let mut command = self.command(setup::cache().join("pebble/usr/bin/pebble-challtestsrv"));
        command.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
        command.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        command.args(["-dns01", "127.0.0.1:8053", "-management", "127.0.0.1:8055"]);
        self.started(command, "127.0.0.1:8053")
    }

    fn authority(&self) -> Result<Daemon> {
        let config = serde_json::json!({ "pebble": {
            "listenAddress": "127.0.0.1:14000",
            "managementListenAddress": "127.0.0.1:15000",
            "certificate": self.certificates.chain,
            "privateKey": self.certificates.key,
            "httpPort": 80,
            "tlsPort": 443,
            "certificateValidityPeriod": LIFE,
        } });
        let path = self.work.path().join("pebble.json");
        fs::write(&path, config.to_string())?;
        let mut command = self.command(setup::unpacked("pebble"));
        command.arg("-config").arg(&path);
        command.args(["-dnsserver", "127.0.0.1:8053"]);
        // It waits for up to 15 s before it asks, otherwise.
        command.env("PEBBLE_VA_NOSLEEP", "1");
        self.started(command, "127.0.0.1:14000")
    }

    fn started(&self, command: Command, at: &str) -> Result<Daemon> {
        let daemon = Daemon::start(command)?;
        let at: SocketAddr = at.parse()?;
        self.space
            .await_listener(at)
            .map_err(|error| format!("{error}: {}", tail(&daemon.said())))?;
        Ok(daemon)
    }

    fn fetch_root(&self) -> Result<()> {
        let mut command = self.command("curl");
        command.args(["--silent", "--fail", "--cacert"]);
        command.arg(&self.certificates.authority);
        command.arg("https://127.0.0.1:15000/roots/0");
        Ok(fs::write(&self.root, must(command, b"")?)?)
    }

    fn serve(&self) -> Result<Daemon> {
        let mut command = self.command(&self.wharf);
        command.args(["serve", "files", "--anonymous", "--listen", "0.0.0.0:21"]);
        // ftplib does not resume sessions.
        command.args(["--tls", "allowed", "--tls-data-session", "prefer"]);
        command.args(["--acme", NAME]);
        command.args(["--acme-email", "admin@lab.test"]);
        command.args(["--acme-directory", "https://127.0.0.1:14000/dir"]);
        command.env("SSL_CERT_FILE", &self.certificates.authority);
        self.started(command, "0.0.0.0:21")
    }

    fn curl(&self) -> Result<String> {
        let local = self.work.path().join("local.bin");
        let mut command = self.command("curl");
        command.args(["--silent", "--show-error", "--ssl-reqd", "--cacert"]);
        command.arg(&self.root);
        command.args(["--resolve", &format!("{NAME}:21:127.0.0.1"), "--output"]);
        command.arg(&local).arg(format!("ftp://{NAME}/payload.bin"));
        must(command, b"")?;
        payload::same(&self.work.path().join("files/payload.bin"), &local)?;
        Ok("a file".to_owned())
    }

    fn session(&self, seconds: f64) -> Result<Daemon> {
        let mut command = self.command("/usr/bin/python3");
        command
            .args(["-c", SESSION])
            .arg(&self.root)
            .arg(seconds.to_string());
        Daemon::start(command)
    }

    /// The fingerprint of the certificate that a new session is shown.
    fn shown(&self, seconds: f64) -> Result<String> {
        let mut session = self.session(seconds)?;
        finish(&mut session)?;
        fingerprint(&session.said())
    }

    fn other_than(&self, before: &str) -> Result<String> {
        let now = self.shown(0.0)?;
        if now == before {
            return Err(format!("still {now}").into());
        }
        Ok(format!("{}… after {}…", &now[..8], &before[..8]))
    }

    /// Port 80 has no other page, and takes no long request.
    fn nothing_else(&self) -> Result<String> {
        for path in [
            "/",
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/x",
        ] {
            let mut command = self.command("curl");
            command.args([
                "--silent",
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
            ]);
            command.arg(format!("http://127.0.0.1{path}"));
            let said = run_bounded(command, b"", Duration::from_secs(20))?.stdout;
            if said != b"404" {
                return Err(format!("{path}: {}", String::from_utf8_lossy(&said)).into());
            }
        }
        Ok("404".to_owned())
    }
}

fn finish(session: &mut Daemon) -> Result<()> {
    let start = Instant::now();
    while session.alive() {
        if start.elapsed() > LIMIT {
            return Err(format!("does not end: {}", tail(&session.said())).into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    // Its last words may still be on their way through the pipe.
    for _ in 0..100 {
        if session.said().contains("there is") {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(tail(&session.said()).into())
}

fn fingerprint(said: &str) -> Result<String> {
    let line = said.lines().find_map(|line| line.strip_prefix("shown "));
    let digits = line.filter(|it| it.len() == 64);
    Ok(digits.ok_or("no fingerprint was told")?.to_owned())
}

/// The session that began with the old certificate ends by itself.
fn ended(mut session: Daemon, before: &str) -> Result<String> {
    finish(&mut session)?;
    if fingerprint(&session.said())? != before {
        return Err("it began with the new one already".into());
    }
    Ok("to its end".to_owned())
}

/// Waits until so many certificates were put in force.
fn in_force(server: &Daemon, count: usize) -> Result<String> {
    let start = Instant::now();
    while server.said().matches(IN_FORCE).count() < count {
        if start.elapsed() > LIMIT {
            return Err(
                format!("not within {} s: {}", LIMIT.as_secs(), tail(&server.said())).into(),
            );
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(format!("{:.1} s", start.elapsed().as_secs_f64()))
}
