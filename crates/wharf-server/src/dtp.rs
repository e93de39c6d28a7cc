//! The server-DTP at work while the server-PI keeps listening.
//!
//! A transfer is two futures in one `select!`: the DTP (open, move, close) and the next line of
//! the control connection. NOOP, STAT and QUIT are answered beside the transfer, ABOR drops the
//! DTP, and everything else waits its turn. How octets are moved is `wharf_net::pump`'s business.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};
use wharf_net::pump::{self, Conversion, Moved, PumpError};
use wharf_net::{DataConnection, DataPort, Flow, Net, Stop, zero_copy};
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::{Command, DuringTransfer, Line, Pathname, Reply};
use wharf_storage::{Reader, Upload};

use crate::commands::lines::Lines;
use crate::failure::{AtPath, Failure};
use crate::log::{self, Direction, Transferred};
use crate::protection::{Protect, is_end};
use crate::session::{Session, check_reply};
use crate::watch::Watch;

/// So many lines may come during a transfer; then reading stops until it is over
const WAITING: usize = 32;

/// A transfer of this length has its control connection probed more often: the client may not speak
/// meanwhile, and a NAT that forgets the connection takes the final reply away
pub(crate) const LONG: Duration = Duration::from_secs(1);

/// The fewest octets that a transfer moves in the time after which silence ends it: a byte now and then keeps
/// nothing open
const LEAST: u64 = 512;

/// Everything a data connection needs to come about and move octets, apart from the session
pub(crate) struct Dtp {
    net: Arc<dyn Net>,
    guard: Guard,
    patience: Duration,
    stall: Duration,
    pub(crate) conversion: Conversion,
    trace: wharf_net::Trace,
    protect: Option<Protect>,
    pub(crate) watch: Watch,
}

/// How far a data connection is when the transfer is announced
enum Way {
    /// Active: we have opened it
    Open(Box<DataConnection>),
    /// Passive: the user opens it
    Awaited(DataPort),
}

/// What an upload came to
pub(crate) struct Received {
    pub(crate) moved: Moved,
    /// Nothing says that its end is the end of the file
    pub(crate) unproved: bool,
}

/// Whether ABOR can still undo the work
#[derive(Clone, Copy, PartialEq, Eq)]
enum Abort {
    /// It drops the work
    Drops,
    /// The work is past the point of return: an upload appears under its name
    ComesTooLate,
}

enum Event<T> {
    Done(T),
    Line(io::Result<Option<Line>>),
    Deadline,
    Long,
    Pace,
}

impl Session {
    /// The DTP for the command being executed; `expected` is in octets of the file
    pub(crate) fn dtp(
        &self,
        what: &'static str,
        flow: Flow,
        conversion: Conversion,
        expected: Option<u64>,
    ) -> Dtp {
        let config = &self.setup.config;
        let protect = match flow {
            Flow::Outgoing => self.protect(),
            Flow::Incoming => self.protect().map(Protect::for_upload),
        };
        Dtp {
            net: Arc::clone(&self.setup.net),
            guard: self.guard(),
            patience: config.patience,
            stall: config.stall,
            conversion,
            trace: self.control.trace().clone(),
            protect,
            watch: Watch::new(what, expected),
        }
    }

    /// From a file to the user: 150 has not been sent yet, the final reply is the caller's
    pub(crate) async fn send_file(
        &mut self,
        mut reader: Reader,
        path: &Pathname,
        opening: Reply,
        dtp: &Dtp,
    ) -> Result<Moved, Failure> {
        let way = self.begin(&opening, dtp, Flow::Outgoing).await?;
        let work = async {
            let mut data = dtp.take(way).await?;
            let moved = dtp.send(&mut reader, &mut data, path).await?;
            dtp.close(data).await?;
            Ok(moved)
        };
        self.attend(work, &dtp.watch, Abort::Drops).await?
    }

    /// From the user to a file, which appears under its name when the data connection ended cleanly
    pub(crate) async fn receive_file(
        &mut self,
        mut upload: Box<dyn Upload>,
        path: &Pathname,
        opening: Reply,
        dtp: &Dtp,
    ) -> Result<Received, Failure> {
        let way = self.begin(&opening, dtp, Flow::Incoming).await?;
        let work = async {
            let mut data = match dtp.take(way).await {
                // A client with nothing to send may do without a handshake (basic-ftp).
                Err(Failure::Open(error)) if is_end(&error) => {
                    tracing::debug!(
                        "the data connection ended instead of a handshake: an empty file"
                    );
                    return Ok(Received {
                        moved: Moved::default(),
                        unproved: false,
                    });
                }
                taken => taken?,
            };
            let moved = dtp.receive(&mut data, &mut upload, path).await?;
            // Nothing cannot be cut.
            let unproved = data.was_cut() && moved.wire > 0;
            if unproved && let Some(protect) = &dtp.protect {
                protect.judge(moved.wire)?;
            }
            // The end has been read; whether the user still hears ours changes nothing.
            let _ = dtp.close(data).await;
            pump::doubt(moved, dtp.watch.began).await;
            Ok(Received { moved, unproved })
        };
        let received = match self.attend(work, &dtp.watch, Abort::Drops).await {
            Ok(Ok(received)) => received,
            Ok(Err(failure)) | Err(failure) => {
                if matches!(failure, Failure::Gone(_)) {
                    tracing::warn!(path = %upload.name().display(), "client vanished during upload");
                }
                if let Err(error) = upload.abandon().await {
                    tracing::warn!(%error, "an upload cannot be given up cleanly");
                }
                return Err(failure);
            }
        };
        self.attend(upload.commit(), &dtp.watch, Abort::ComesTooLate)
            .await?
            .at(path)?;
        Ok(received)
    }

    /// Lines of a listing to the user
    pub(crate) async fn send_lines(
        &mut self,
        mut lines: Lines,
        path: &Pathname,
        opening: Reply,
        dtp: &Dtp,
    ) -> Result<Moved, Failure> {
        let way = self.begin(&opening, dtp, Flow::Outgoing).await?;
        let work = async {
            let mut data = dtp.take(way).await?;
            let mut moved = Moved::default();
            let mut batch = Vec::new();
            while lines.next(&mut batch).await.at(path)? {
                dtp.write(&mut data, &batch).await?;
                moved.wire += batch.len() as u64;
                batch.clear();
            }
            dtp.close(data).await?;
            Ok(moved)
        };
        self.attend(work, &dtp.watch, Abort::Drops).await?
    }

    /// Tells the log, the observer and xferlog how a transfer of a file ended
    pub(crate) fn tell(
        &mut self,
        direction: Direction,
        path: &Pathname,
        dtp: &Dtp,
        outcome: log::Outcome,
    ) {
        let bytes = dtp.watch.progress.moved();
        self.totals.octets += bytes;
        if outcome != log::Outcome::Incomplete {
            self.totals.files += 1;
        }
        let Some(login) = &self.login else { return };
        let transferred = Transferred {
            session: self.number,
            user: login.granted.user.clone(),
            anonymous: login.anonymous,
            client: self.peer().ip(),
            path: path.clone(),
            direction,
            bytes,
            took: dtp.watch.began.elapsed(),
            ascii: dtp.conversion == Conversion::NvtAscii,
            outcome,
        };
        tracing::info!(
            user = transferred.user,
            path = %path.display(),
            bytes,
            seconds = transferred.took.as_secs_f64(),
            ?direction,
            ?outcome,
            "transfer"
        );
        self.setup.shared.xferlog.write(&transferred);
        if let Some(observer) = &self.setup.config.observer {
            observer.transferred(&transferred);
        }
    }

    /// Says 150, in active mode only when the data connection is there: clients of the BSD family go
    /// to accept it when they hear 150, and would never read the 425 of one that failed. On a shared
    /// port it must be clear whose those are that came already: a client that is refused closes its own
    /// when it hears 425, but reads to the end of it after a 150.
    async fn begin(&mut self, opening: &Reply, dtp: &Dtp, flow: Flow) -> Result<Way, Failure> {
        let mut port = self.claimed_port.take().ok_or(Failure::NoDataPort)?;
        let way = match port {
            DataPort::Listening(_) => {
                let announced = port.announce(flow, &dtp.trace);
                self.attend(announced, &dtp.watch, Abort::Drops)
                    .await?
                    .map_err(Failure::Open)?;
                Way::Awaited(port)
            }
            DataPort::Target { .. } => Way::Open(Box::new(
                self.attend(dtp.open(port), &dtp.watch, Abort::Drops)
                    .await??,
            )),
        };
        self.preliminary(opening).await?;
        Ok(way)
    }

    /// Waits for a turn at a shared port with an ear at the control connection; ABOR ends the wait
    pub(crate) async fn wait_for_turn<F: Future>(&mut self, turn: F) -> Result<F::Output, Failure> {
        let watch = Watch::new("A turn at the shared port", None);
        match self.attend(turn, &watch, Abort::Drops).await {
            Err(Failure::Aborted) => Err(Failure::Refused(Reply::new(425, "Aborted"))),
            outcome => outcome,
        }
    }

    /// A reply of the 1yz group, sent at once
    async fn preliminary(&mut self, reply: &Reply) -> Result<(), Failure> {
        if let Some(verb) = self.verb {
            check_reply(verb, reply);
        }
        self.control.queue(reply);
        self.control.flush().await.map_err(Failure::Gone)
    }

    /// Does `work` and keeps an ear at the control connection
    async fn attend<F: Future>(
        &mut self,
        work: F,
        watch: &Watch,
        abort: Abort,
    ) -> Result<F::Output, Failure> {
        let outcome = self.listen_beside(work, watch, abort).await;
        self.control.keep_warm(false);
        self.moved = watch.progress.moved();
        outcome
    }

    async fn listen_beside<F: Future>(
        &mut self,
        work: F,
        watch: &Watch,
        abort: Abort,
    ) -> Result<F::Output, Failure> {
        let mut work = pin!(work);
        let mut stop = self.stop.clone();
        let mut out_of_time = pin!(Stop::cut(&mut stop));
        let mut stopping = true;
        let mut long = pin!(sleep(LONG));
        let mut cold = true;
        let stall = self.setup.config.stall;
        let mut pace = pin!(sleep(stall));
        let mut paced = 0;
        loop {
            let listen = !self.hung_up && self.waiting.len() < WAITING;
            // Biased, the control connection first: a transfer that is always ready would use up
            // the task's budget before the control connection is looked at.
            let event = tokio::select! {
                biased;
                line = self.control.next_line(), if listen => Event::Line(line),
                () = &mut out_of_time, if stopping => Event::Deadline,
                done = &mut work => Event::Done(done),
                // The last one: work that is done at once sets no timer.
                () = &mut long, if cold => Event::Long,
                () = &mut pace, if !cold && abort == Abort::Drops => Event::Pace,
            };
            let line = match event {
                Event::Done(done) => return Ok(done),
                Event::Long => {
                    cold = false;
                    self.control.keep_warm(true);
                    continue;
                }
                Event::Pace => {
                    let moved = watch.progress.moved();
                    // Nothing at all is silence, which is measured where it is.
                    if (1..LEAST).contains(&moved.saturating_sub(paced)) {
                        tracing::info!(octets = moved - paced, "transfer too slow to be meant");
                        return Err(Failure::Stalled(stall));
                    }
                    paced = moved;
                    pace.as_mut().reset(Instant::now() + stall);
                    continue;
                }
                Event::Deadline if abort == Abort::Drops => {
                    tracing::info!("the server stops: transfer cut");
                    return Err(Failure::Aborted);
                }
                Event::Deadline => {
                    stopping = false;
                    continue;
                }
                Event::Line(Ok(Some(line))) => line,
                // Who said QUIT may hang up: the transfer goes on (RFC 959 §4.1.1 QUIT).
                Event::Line(Ok(None)) if self.quit_is_waiting() => {
                    self.hung_up = true;
                    continue;
                }
                Event::Line(ended) => {
                    let error = ended
                        .err()
                        .unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
                    self.lose(error, abort)?;
                    continue;
                }
            };
            match during_transfer(&line) {
                DuringTransfer::Answer if self.waiting.is_empty() => {
                    if let Err(error) = self.answer_beside(&line, watch).await {
                        self.lose(error, abort)?;
                    }
                }
                DuringTransfer::Abort => {
                    self.waiting.push_back(line);
                    if abort == Abort::Drops {
                        return Err(Failure::Aborted);
                    }
                }
                // The goodbye is said now, and the end comes after the transfer's own reply: "the connection
                // will remain open for result response" (RFC 959 §4.1.1).
                DuringTransfer::Quit if self.waiting.is_empty() => {
                    if let Err(error) = self.answer_beside(&line, watch).await {
                        self.lose(error, abort)?;
                    }
                    self.hung_up = true;
                    self.closing = true;
                }
                // Replies come in the order of the commands, so a NOOP behind a CWD waits as well.
                DuringTransfer::Answer | DuringTransfer::Wait | DuringTransfer::Quit => {
                    self.waiting.push_back(line);
                }
            }
        }
    }

    /// The control connection is gone. What cannot be undone any more is done to its end, and told as it ended.
    fn lose(&mut self, error: io::Error, abort: Abort) -> Result<(), Failure> {
        match abort {
            Abort::Drops => Err(Failure::Gone(error)),
            Abort::ComesTooLate => {
                self.hung_up = true;
                Ok(())
            }
        }
    }

    async fn answer_beside(&mut self, line: &Line, watch: &Watch) -> io::Result<()> {
        let Line::Command(line) = line else {
            return Ok(());
        };
        let reply = match Command::parse(line) {
            Ok(Command::Stat(None)) => Reply::new(211, watch.to_string()),
            Ok(Command::Quit) => Reply::new(221, "Goodbye after the transfer"),
            Ok(command) => {
                let reply = Reply::new(200, "Transfer goes on");
                check_reply(command.verb(), &reply);
                reply
            }
            Err(error) => error.reply(),
        };
        self.control.queue(&reply);
        self.control.flush().await
    }

    fn quit_is_waiting(&self) -> bool {
        self.waiting
            .iter()
            .any(|line| during_transfer(line) == DuringTransfer::Quit)
    }
}

/// What a line does while a transfer runs; only STAT without an argument asks about the transfer
fn during_transfer(line: &Line) -> DuringTransfer {
    match line {
        Line::Command(line) => match Command::parse(line) {
            Ok(Command::Stat(Some(_))) | Err(_) => DuringTransfer::Wait,
            Ok(command) => command.verb().during_transfer,
        },
        Line::TooLong | Line::Synch => DuringTransfer::Wait,
    }
}

impl Dtp {
    async fn open(&self, port: DataPort) -> Result<DataConnection, Failure> {
        let data = port
            .open_traced(&*self.net, &self.guard, self.patience, &self.trace)
            .await
            .map_err(Failure::Open)?;
        if let Some(note) = data.source_note() {
            tracing::info!(%note, "active data connection from another port than wanted");
        }
        Ok(data)
    }

    /// The data connection, protected as PROT says: its handshake comes after the 150 (RFC 4217 §7)
    async fn take(&self, way: Way) -> Result<DataConnection, Failure> {
        match (way, &self.protect) {
            (Way::Open(data), None) => Ok(*data),
            (Way::Awaited(port), None) => self.open(port).await,
            (
                Way::Open(mut data),
                Some(Protect {
                    session, policy, ..
                }),
            ) => {
                data.secure_as(session, *policy, self.patience)
                    .await
                    .map_err(Failure::Open)?;
                Ok(*data)
            }
            (
                Way::Awaited(port),
                Some(Protect {
                    session, policy, ..
                }),
            ) => {
                let (net, guard) = (&*self.net, &self.guard);
                let opened =
                    port.open_secured(net, guard, self.patience, &self.trace, session, *policy);
                Ok(opened.await.map_err(Failure::Open)?.0)
            }
        }
    }

    async fn send(
        &self,
        reader: &mut Reader,
        data: &mut DataConnection,
        path: &Pathname,
    ) -> Result<Moved, Failure> {
        let progress = &self.watch.progress;
        let copied = match (self.conversion, reader.as_file()) {
            (Conversion::Verbatim, Some((file, at))) => {
                zero_copy::send_file(file, at, data, progress, self.stall)
                    .await
                    .map_err(|error| pumped(error, path))?
            }
            _ => None,
        };
        let moved = match copied {
            Some(moved) => moved,
            None => pump::send(reader, data, self.conversion, progress, self.stall)
                .await
                .map_err(|error| pumped(error, path))?,
        };
        match self.watch.expected {
            // The file became shorter meanwhile: what was sent is not a file that ever was.
            Some(expected) if moved.file < expected => Err(Failure::Shrunk),
            _ => Ok(moved),
        }
    }

    async fn receive(
        &self,
        data: &mut DataConnection,
        upload: &mut Box<dyn Upload>,
        path: &Pathname,
    ) -> Result<Moved, Failure> {
        // What an end without close_notify means is judged when all of what came is in the file.
        data.take_cut_for_end();
        pump::receive(
            data,
            upload,
            self.conversion,
            &self.watch.progress,
            self.stall,
        )
        .await
        .map_err(|error| pumped(error, path))
    }

    async fn write(&self, data: &mut DataConnection, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let written = match timeout(self.stall, data.write(bytes)).await {
                Ok(Ok(0)) => return Err(Failure::Broken(io::ErrorKind::WriteZero.into())),
                Ok(Ok(written)) => written,
                Ok(Err(error)) => return Err(Failure::Broken(error)),
                Err(_) => return Err(Failure::Stalled(self.stall)),
            };
            self.watch.progress.add(written as u64);
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// In stream mode the end of the connection is the end of the file (RFC 959 §3.4.1)
    async fn close(&self, data: DataConnection) -> Result<(), Failure> {
        match timeout(self.stall, data.close()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::Broken(error)),
            Err(_) => Err(Failure::Stalled(self.stall)),
        }
    }
}

fn pumped(error: PumpError, path: &Pathname) -> Failure {
    match error {
        PumpError::File(error) => Failure::Storage {
            error: error.into(),
            path: path.as_bytes().to_vec(),
        },
        PumpError::Connection(error) => Failure::Broken(error),
        PumpError::Stalled(waited) => Failure::Stalled(waited),
        other => Failure::Broken(io::Error::other(other)),
    }
}
