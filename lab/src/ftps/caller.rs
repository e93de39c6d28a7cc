//! How each client program is told to do many transfers on one control connection over TLS. Pure but for the
//! script that it reads.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::certificates::Certificates;
use crate::server::{PASSWORD, USER};
use crate::setup;

/// The version of TLS that a session is held to, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// TLS 1.2.
    V12,
    /// TLS 1.3.
    V13,
}

/// Both.
pub(crate) const VERSIONS: [Version; 2] = [Version::V12, Version::V13];

impl Version {
    /// As people write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V12 => "1.2",
            Self::V13 => "1.3",
        }
    }
}

/// What a session is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) version: Version,
    pub(crate) active: bool,
    /// TLS from the first byte on.
    pub(crate) implicit: bool,
}

impl Terms {
    /// The control port.
    pub(crate) const fn port(self) -> u16 {
        if self.implicit { 990 } else { 21 }
    }
}

/// One transfer of a session.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The local file becomes the remote one.
    Put(PathBuf, String),
    /// The remote file becomes the local one.
    Get(String, PathBuf),
    /// The root directory's listing becomes the local file.
    List(PathBuf),
}

/// Everything that a session needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) terms: Terms,
    /// Where the server is dialled.
    pub(crate) host: IpAddr,
    pub(crate) certificates: &'a Certificates,
    pub(crate) steps: &'a [Step],
    /// The program under test.
    pub(crate) wharf: &'a Path,
    /// File with the password.
    pub(crate) secret: &'a Path,
    /// The caller's own, new directory.
    pub(crate) here: &'a Path,
}

/// What is run: a program with arguments, its input, and the script that it reads, if any.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) command: Vec<String>,
    pub(crate) input: String,
    /// Written to [`Call::script`] before.
    pub(crate) text: String,
}

impl Call<'_> {
    /// Where the script is.
    pub(crate) fn script(&self) -> PathBuf {
        self.here.join("script")
    }

    fn url(&self) -> String {
        let Terms { implicit, .. } = self.terms;
        let scheme = if implicit { "ftps" } else { "ftp" };
        let port = self.terms.port();
        match self.host {
            IpAddr::V4(host) => format!("{scheme}://{host}:{port}"),
            IpAddr::V6(host) => format!("{scheme}://[{host}]:{port}"),
        }
    }

    /// One line a step: what, from, to; for the programs that the lab itself has written.
    fn plain(&self) -> String {
        let mut text = String::new();
        for step in self.steps {
            let _ = match step {
                Step::Put(local, remote) => writeln!(text, "put\t{}\t{remote}", local.display()),
                Step::Get(remote, local) => writeln!(text, "get\t{remote}\t{}", local.display()),
                Step::List(local) => writeln!(text, "list\t\t{}", local.display()),
            };
        }
        text
    }

    /// What a program of the lab is told.
    fn told(&self, program: &[&str], class: &str) -> Script {
        let way = |yes: bool, word: &str, other: &str| if yes { word } else { other }.to_owned();
        let mut command: Vec<String> = program.iter().map(|word| (*word).to_owned()).collect();
        command.extend([
            class.to_owned(),
            self.host.to_string(),
            self.terms.port().to_string(),
            self.certificates.authority.display().to_string(),
            self.terms.version.name().to_owned(),
            way(self.terms.active, "active", "passive"),
            way(self.terms.implicit, "implicit", "explicit"),
            self.script().display().to_string(),
            USER.to_owned(),
            PASSWORD.to_owned(),
        ]);
        Script {
            command,
            text: self.plain(),
            ..Script::default()
        }
    }
}

/// A client program.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) name: &'static str,
    /// Why it cannot do that.
    pub(crate) cannot: fn(Terms) -> Option<&'static str>,
    pub(crate) script: fn(&Call<'_>) -> Script,
}

/// curl, from a configuration file: options hold until `next`.
pub(crate) const CURL: Caller = Caller {
    name: "curl",
    cannot: |terms| {
        terms.active.then_some(
            "curl 7.87 and 7.88 hang with TLS and active mode, whatever the server (curl#10666)",
        )
    },
    script: |call| {
        let mut text = String::new();
        for (number, step) in call.steps.iter().enumerate() {
            if number > 0 {
                text.push_str("next\n");
            }
            let version = call.terms.version.name();
            let url = call.url();
            let _ = writeln!(
                text,
                "user = \"{USER}:{PASSWORD}\"\nsilent\nshow-error\nverbose\nssl-reqd\ncacert = \"{}\"\n\
                 tlsv{version}\ntls-max = {version}\ndisable-epsv",
                call.certificates.authority.display()
            );
            let _ = match step {
                Step::Put(local, remote) => {
                    writeln!(
                        text,
                        "upload-file = \"{}\"\nurl = \"{url}/{remote}\"",
                        local.display()
                    )
                }
                Step::Get(remote, local) => {
                    writeln!(
                        text,
                        "output = \"{}\"\nurl = \"{url}/{remote}\"",
                        local.display()
                    )
                }
                Step::List(local) => {
                    writeln!(text, "output = \"{}\"\nurl = \"{url}/\"", local.display())
                }
            };
        }
        let script = call.script().display().to_string();
        let command = ["curl", "-q", "--fail-early", "-K", &script];
        Script {
            command: command.map(str::to_owned).to_vec(),
            text,
            ..Script::default()
        }
    },
};

/// lftp speaks `GnuTLS`.
pub(crate) const LFTP: Caller = Caller {
    name: "lftp",
    cannot: |_| None,
    script: |call| {
        let passive = if call.terms.active { "off" } else { "on" };
        let mut text = format!(
            "set cmd:fail-exit on\nset net:max-retries 1\nset net:timeout 15\nset cache:enable off\n\
             set ftp:ssl-force on\nset ftp:ssl-protect-data on\nset ftp:ssl-protect-list on\n\
             set ssl:ca-file {}\nset ssl:verify-certificate on\nset ssl:check-hostname on\n\
             set ssl:priority NORMAL:-VERS-ALL:+VERS-TLS{}\n\
             set ftp:passive-mode {passive}\nset ftp:auto-passive-mode off\n\
             open -u {USER},{PASSWORD} {}\n",
            call.certificates.authority.display(),
            call.terms.version.name(),
            call.url(),
        );
        for step in call.steps {
            let _ = match step {
                Step::Put(local, remote) => writeln!(text, "put {} -o {remote}", local.display()),
                Step::Get(remote, local) => writeln!(text, "get {remote} -o {}", local.display()),
                Step::List(local) => writeln!(text, "ls > {}", local.display()),
            };
        }
        let script = call.script().display().to_string();
        let command = ["lftp", "--norc", "-f", &script];
        Script {
            command: command.map(str::to_owned).to_vec(),
            text,
            ..Script::default()
        }
    },
};

const FTPLIB: &str = include_str!("ftplib_session.py");

/// Python's ftplib as it comes: it never resumes.
pub(crate) const FTPLIB_STOCK: Caller = Caller {
    name: "ftplib",
    cannot: |_| None,
    script: |call| call.told(&["/usr/bin/python3", "-c", FTPLIB], "stock"),
};

/// The same with the few lines that everybody adds who meets a server that wants its session back.
pub(crate) const FTPLIB_RESUMING: Caller = Caller {
    name: "ftplib, resuming",
    cannot: |_| None,
    script: |call| call.told(&["/usr/bin/python3", "-c", FTPLIB], "resuming"),
};

const BASIC_FTP_PROGRAM: &str = include_str!("basic_ftp_session.js");

/// npm's client.
pub(crate) const BASIC_FTP: Caller = Caller {
    name: "basic-ftp",
    cannot: |terms| terms.active.then_some("basic-ftp has no active mode"),
    script: |call| {
        let modules = format!("NODE_PATH={}", setup::node().join("node_modules").display());
        let program = [
            "env",
            &modules,
            "/usr/bin/node",
            "-e",
            BASIC_FTP_PROGRAM,
            "--",
        ];
        call.told(&program, "client")
    },
};

/// wharf's client in a conversation, as a person has one.
pub(crate) const WHARF: Caller = Caller {
    name: "wharf",
    cannot: |_| None,
    script: |call| {
        let mode = if call.terms.active {
            "active"
        } else {
            "passive"
        };
        let scheme = if call.terms.implicit { "ftps" } else { "ftpes" };
        let (host, port) = (call.host, call.terms.port());
        let mut command: Vec<String> = vec![call.wharf.display().to_string()];
        command.extend(["ftp", "--mode", mode, "--tls", "require", "--ca"].map(str::to_owned));
        command.push(call.certificates.authority.display().to_string());
        // The newest that both speak is 1.3.
        if call.terms.version == Version::V12 {
            command.extend(["--tls-max", "1.2"].map(str::to_owned));
        }
        command.push("--password-file".to_owned());
        command.push(call.secret.display().to_string());
        command.push(format!("{scheme}://{USER}@{host}:{port}/"));
        let mut input = String::new();
        for step in call.steps {
            let _ = match step {
                Step::Put(local, remote) => writeln!(input, "put {} {remote}", local.display()),
                Step::Get(remote, local) => writeln!(input, "get {remote} {}", local.display()),
                Step::List(local) => writeln!(input, "ls / {}", local.display()),
            };
        }
        input.push_str("quit\n");
        Script {
            command,
            input,
            ..Script::default()
        }
    },
};

/// Those that are not ours.
pub(crate) const FOREIGN: [Caller; 5] = [CURL, LFTP, FTPLIB_STOCK, FTPLIB_RESUMING, BASIC_FTP];
