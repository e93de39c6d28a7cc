//! Two ends of a connection in memory: bounded, half-closable, resettable, with latency and with NATs that forget.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use wharf_net::Heard;

use crate::alg::Tap;

/// Bytes under way in one direction before the writer has to wait: the two socket buffers.
const CAPACITY: usize = 256 * 1024;

/// What a connection is like on its way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quality {
    /// One way.
    pub(crate) latency: Duration,
    /// A NAT on the way forgets the connection after so long without a byte.
    pub(crate) idle: Option<Duration>,
}

/// One direction.
#[derive(Default)]
struct Pipe {
    chunks: VecDeque<(Instant, VecDeque<u8>)>,
    held: usize,
    fin: Option<Instant>,
    reset: bool,
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
    }

    /// What has arrived stays readable, what is under way is lost.
    fn reset(&mut self) {
        let now = Instant::now();
        self.chunks.retain(|(at, _)| *at <= now);
        self.reset = true;
        self.wake();
    }
}

/// What both directions share.
struct Way {
    quality: Quality,
    known: Mutex<Known>,
}

/// What the gateways know of the connection.
struct Known {
    last: Instant,
    alive: bool,
    /// At what interval either end probes it.
    probes: [Option<Duration>; 2],
}

impl Way {
    /// Whether the gateways still know the connection; a byte now keeps it alive.
    fn alive(&self) -> bool {
        self.judge(&mut lock(&self.known))
    }

    /// One end begins to probe at this interval. What the probes so far have kept alive is alive.
    fn probe(&self, end: usize, every: Option<Duration>) {
        let known = &mut *lock(&self.known);
        let (last, kept) = (known.last, self.is_kept(known));
        if self.judge(known) && !kept {
            // Setting an option sends nothing.
            known.last = last;
        }
        if let Some(probes) = known.probes.get_mut(end) {
            *probes = every;
        }
    }

    /// Whether probes come soon enough for the gateways.
    fn is_kept(&self, known: &Known) -> bool {
        let mut probes = known.probes.iter().flatten();
        self.quality
            .idle
            .is_none_or(|idle| probes.any(|every| *every <= idle))
    }

    fn judge(&self, known: &mut Known) -> bool {
        if let Some(idle) = self.quality.idle {
            known.alive &= self.is_kept(known) || known.last.elapsed() <= idle;
        }
        known.last = Instant::now();
        known.alive
    }
}

/// One end.
pub(crate) struct End {
    incoming: Arc<Mutex<Pipe>>,
    outgoing: Arc<Mutex<Pipe>>,
    way: Arc<Way>,
    /// Which of the two it is.
    side: usize,
    timer: Option<Pin<Box<Sleep>>>,
    /// Helpers that read and rewrite what this end sends, in the order in which it passes them.
    taps: Vec<Tap>,
}

/// The opener's end and the other one. `there` are the helpers on the way from the opener, in order.
pub(crate) fn pair(quality: Quality, there: Vec<Tap>, back: Vec<Tap>) -> (End, End) {
    let (a, b) = (Arc::default(), Arc::default());
    let way = Arc::new(Way {
        quality,
        known: Mutex::new(Known {
            last: Instant::now(),
            alive: true,
            probes: [None; 2],
        }),
    });
    let opener = End {
        incoming: Arc::clone(&a),
        outgoing: Arc::clone(&b),
        way: Arc::clone(&way),
        side: 0,
        timer: None,
        taps: there,
    };
    let other = End {
        incoming: b,
        outgoing: a,
        way,
        side: 1,
        timer: None,
        taps: back,
    };
    (opener, other)
}

impl End {
    /// Sends something ahead of what the owner sends, which no helper reads: what a balancer puts in front.
    pub(crate) fn preface(&self, bytes: Vec<u8>) {
        let mut pipe = lock(&self.outgoing);
        pipe.held += bytes.len();
        pipe.chunks
            .push_back((Instant::now() + self.way.quality.latency, bytes.into()));
    }

    /// Takes the interval of this end's probes, see `Conn::on_keepalive`.
    pub(crate) fn prober(&self) -> impl Fn(Option<Duration>) + Send + Sync + 'static {
        let (way, side) = (Arc::clone(&self.way), self.side);
        move |every| way.probe(side, every)
    }

    /// Resets both directions, see `Conn::on_abort`.
    pub(crate) fn resetter(&self) -> impl FnOnce() + Send + Sync + 'static {
        let (incoming, outgoing) = (Arc::clone(&self.incoming), Arc::clone(&self.outgoing));
        let way = Arc::clone(&self.way);
        move || {
            lock(&incoming).reader_gone = true;
            if way.alive() {
                lock(&outgoing).reset();
            } else {
                // The gateway has forgotten the connection; the reset goes nowhere.
                lock(&outgoing).fin = None;
            }
        }
    }
}

impl End {
    /// What has arrived at this end, see `Conn::on_look`.
    pub(crate) fn looker(&self) -> impl Fn() -> Heard + Send + Sync + 'static {
        let incoming = Arc::clone(&self.incoming);
        move || {
            let now = Instant::now();
            let pipe = lock(&incoming);
            if pipe.chunks.front().is_some_and(|(at, _)| *at <= now) {
                Heard::Bytes
            } else if pipe.reset || pipe.held == 0 && pipe.fin.is_some_and(|at| at <= now) {
                Heard::End
            } else {
                Heard::Nothing
            }
        }
    }
}

impl End {
    /// The first bytes that have arrived at this end and were not read, see `Conn::on_peek`.
    pub(crate) fn peeker(&self) -> impl Fn(&mut [u8]) -> usize + Send + Sync + 'static {
        let incoming = Arc::clone(&self.incoming);
        move |into| {
            let now = Instant::now();
            let pipe = lock(&incoming);
            let chunks = pipe.chunks.iter().take_while(|(at, _)| *at <= now);
            let bytes = chunks.flat_map(|(_, bytes)| bytes);
            let copied = into.iter_mut().zip(bytes);
            copied.map(|(into, byte)| *into = *byte).count()
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let unread = {
            let mut incoming = lock(&self.incoming);
            let unread = incoming.held > 0 && !incoming.reader_gone;
            incoming.reader_gone = true;
            incoming.wake();
            unread
        };
        if !self.way.alive() {
            return;
        }
        let mut outgoing = lock(&self.outgoing);
        if unread {
            // As Linux does: closing with unread bytes resets the connection.
            outgoing.reset();
        } else if outgoing.fin.is_none() {
            outgoing.fin = Some(Instant::now() + self.way.quality.latency);
            outgoing.wake();
        }
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let now = Instant::now();
            let due = {
                let mut guard = lock(&this.incoming);
                let pipe = &mut *guard;
                pipe.reader = Some(cx.waker().clone());
                match pipe.chunks.front_mut() {
                    Some((at, bytes)) if *at <= now => {
                        let n = take(bytes, buf);
                        if bytes.is_empty() {
                            pipe.chunks.pop_front();
                        }
                        pipe.held -= n;
                        if let Some(writer) = pipe.writer.take() {
                            writer.wake();
                        }
                        return Poll::Ready(Ok(()));
                    }
                    Some((at, _)) => Some(*at),
                    None if pipe.reset => {
                        return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                    }
                    None => match pipe.fin {
                        Some(at) if at <= now => return Poll::Ready(Ok(())),
                        due => due,
                    },
                }
            };
            let Some(due) = due else { return Poll::Pending };
            let timer = this
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            std::task::ready!(timer.as_mut().poll(cx));
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let reset_by_peer = lock(&this.incoming).reset;
        let room = {
            let mut pipe = lock(&this.outgoing);
            if pipe.reset || reset_by_peer {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if pipe.reader_gone || pipe.fin.is_some() {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let room = CAPACITY.saturating_sub(pipe.held);
            if room == 0 && !buf.is_empty() {
                pipe.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            room
        };
        let taken = &buf[..buf.len().min(room)];
        if !this.way.alive() {
            // Swallowed: nobody tells the writer that its connection is forgotten.
            return Poll::Ready(Ok(taken.len()));
        }
        let mut bytes = taken.to_vec();
        for tap in &this.taps {
            bytes = tap.rewrite(bytes);
        }
        let mut pipe = lock(&this.outgoing);
        pipe.held += bytes.len();
        pipe.chunks
            .push_back((Instant::now() + this.way.quality.latency, bytes.into()));
        if let Some(reader) = pipe.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.way.alive() {
            let mut pipe = lock(&self.outgoing);
            if pipe.fin.is_none() {
                pipe.fin = Some(Instant::now() + self.way.quality.latency);
            }
            pipe.wake();
        }
        Poll::Ready(Ok(()))
    }
}

fn take(bytes: &mut VecDeque<u8>, buf: &mut ReadBuf<'_>) -> usize {
    let (front, _) = bytes.as_slices();
    let n = front.len().min(buf.remaining());
    buf.put_slice(&front[..n]);
    bytes.drain(..n);
    n
}

/// A poisoned lock means that a test has failed already; its state is still good enough to unwind through.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
