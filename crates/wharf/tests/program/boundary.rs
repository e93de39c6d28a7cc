//! The one boundary of these tests: the binary. Starts it, feeds it, collects what it says.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longest wait for anything; only a failing test waits so long.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// A directory of one's own, and the commands that run in it.
pub(crate) struct Place {
    directory: TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: killed by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout: {}\nstderr: {}",
            self.text(),
            self.stderr
        );
        self
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        Self { directory }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("parents");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    pub(crate) fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Names in a directory, hidden ones included, sorted.
    pub(crate) fn names(&self, name: impl AsRef<Path>) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path(name))
            .expect("a directory")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort_unstable();
        names
    }

    /// The binary, with an environment that is the same everywhere.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        self.program(Path::new(env!("CARGO_BIN_EXE_wharf")), words)
    }

    /// The binary under another name: a symbolic link, as a package would install it.
    pub(crate) fn command_as<S: AsRef<OsStr>>(
        &self,
        name: &str,
        words: impl IntoIterator<Item = S>,
    ) -> Command {
        let bin = self.path(".bin");
        std::fs::create_dir_all(&bin).expect("a directory");
        let link = bin.join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wharf"), &link).expect("a link");
        }
        self.program(&link, words)
    }

    /// Another program in the same environment.
    pub(crate) fn program<S: AsRef<OsStr>>(
        &self,
        program: &Path,
        words: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(program);
        command
            .args(words)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.directory.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("WHARF_STATE_DIR", self.path(".state"))
            // What is tried again is tried again at once, and once.
            .env("WHARF_RETRY", "1")
            .env("WHARF_RETRY_DELAY", "1ms")
            // What is tested here is visible in clear; tests of TLS say what they want.
            .env("WHARF_TLS", "off")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    #[track_caller]
    pub(crate) fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Ended {
        Running::start(self.command(words)).end()
    }
}

/// A process with its output being collected. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    said: Vec<u8>,
    complained: Vec<u8>,
}

impl Running {
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = lines(child.stdout.take().expect("a pipe"));
        let stderr = lines(child.stderr.take().expect("a pipe"));
        Self {
            stdin: child.stdin.take(),
            child,
            stdout,
            stderr,
            said: Vec::new(),
            complained: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on stdout that contains `text`.
    #[track_caller]
    pub(crate) fn says(&mut self, text: &str) -> String {
        wait_for(&self.stdout, &mut self.said, text)
    }

    /// Waits for a line on stderr that contains `text`.
    #[track_caller]
    pub(crate) fn complains(&mut self, text: &str) -> String {
        wait_for(&self.stderr, &mut self.complained, text)
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stdin
            .as_mut()
            .expect("a pipe to stdin")
            .write_all(bytes)
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        let status = Command::new("/bin/sh").arg("-c").arg(kill).status();
        assert!(status.expect("a shell").success());
    }

    /// Ends standard input, then waits for the end of the process and of its output.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        drop(self.stdin.take());
        self.end_by_itself()
    }

    /// Waits for the end of a process that must not see an end of standard input.
    #[track_caller]
    pub(crate) fn end_by_itself(mut self) -> Ended {
        let deadline = Instant::now() + LIMIT;
        let open_out = drain(&self.stdout, &mut self.said, deadline);
        let open_err = drain(&self.stderr, &mut self.complained, deadline);
        let stderr = String::from_utf8_lossy(&self.complained).into_owned();
        assert!(
            !open_out && !open_err,
            "did not end in time; stderr: {stderr}"
        );
        let status = self.child.wait().expect("an end");
        Ended {
            code: status.code(),
            stdout: std::mem::take(&mut self.said),
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines with their ends, read on a thread of their own so that the process never blocks on a pipe.
fn lines(source: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut source = BufReader::new(source);
        loop {
            let mut line = Vec::new();
            match source.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            }
        }
    });
    receiver
}

#[track_caller]
fn wait_for(source: &Receiver<Vec<u8>>, heard: &mut Vec<u8>, text: &str) -> String {
    let deadline = Instant::now() + LIMIT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(line) = source.recv_timeout(left) else {
            panic!(
                "`{text}` was not said, but: {}",
                String::from_utf8_lossy(heard)
            );
        };
        heard.extend_from_slice(&line);
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if line.contains(text) {
            return line;
        }
    }
}

/// Whether the source was still open at the deadline.
fn drain(source: &Receiver<Vec<u8>>, heard: &mut Vec<u8>, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match source.recv_timeout(left) {
            Ok(line) => heard.extend_from_slice(&line),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return false,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => return true,
        }
    }
}

/// `wharf serve` on a free port, serving `files` of its place.
pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) address: String,
    /// `user:password@`, empty for anonymous.
    login: String,
}

impl Server {
    /// One user `tester` who may write.
    #[track_caller]
    pub(crate) fn start(place: &Place) -> Self {
        Self::start_with(place, &[])
    }

    #[track_caller]
    pub(crate) fn start_with(place: &Place, more: &[&str]) -> Self {
        place.write("password", "geheim\n");
        let words = ["--user", "tester", "--password-file", "password"];
        let mut server = Self::start_bare(place, &[&words[..], more].concat());
        "tester:geheim@".clone_into(&mut server.login);
        server
    }

    /// Only what is said.
    #[track_caller]
    pub(crate) fn start_bare(place: &Place, more: &[&str]) -> Self {
        std::fs::create_dir_all(place.path("files")).expect("a directory");
        let words = ["serve", "files", "--listen", "127.0.0.1:0"];
        let command = place.command([&words[..], more].concat());
        let mut running = Running::start(command);
        let line = running.says("listening on ");
        let address = line.trim_start_matches("listening on ").to_owned();
        Self {
            running,
            address,
            login: String::new(),
        }
    }

    /// The address of something on this server; `path` is percent-encoded already.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("ftp://{}{}/{path}", self.login, self.address)
    }

    pub(crate) fn port(&self) -> &str {
        self.address.rsplit(':').next().expect("a port")
    }
}

/// Bytes that compress badly and differ everywhere; the same for the same length.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        })
        .collect()
}
