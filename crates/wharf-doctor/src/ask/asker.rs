//! The wharf on the server: opens what may be knocked at, asks, and calls out.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use wharf_net::{Conn, ListenAt, Listener, Net, Source};

use super::line::{Line, Lines, Saw, short, write};
use super::token::{Challenge, Challenges, Purpose, Token};

/// For the other wharf to answer at all.
const CONNECTS: Duration = Duration::from_secs(4);
/// For each of its lines.
const ANSWERS: Duration = Duration::from_secs(12);
/// For everything.
const ALL: Duration = Duration::from_secs(80);
/// For a call to stand.
const CALLS: Duration = Duration::from_secs(4);
/// Connections that one port takes.
const MOST_VISITORS: usize = 8;

/// What is to be proved.
#[derive(Clone, Debug)]
pub struct Question {
    /// Where the other wharf listens.
    pub listener: SocketAddr,
    /// Its token.
    pub token: Token,
    /// Ports of control connections: whoever listens there answers.
    pub control_ports: Vec<u16>,
    /// Ports of data connections that are tried; see [`rules::sample`](super::rules::sample).
    pub data_ports: Vec<u16>,
    /// The address that clients are told, if the configuration names one.
    pub told: Option<IpAddr>,
    /// Active data connections are offered, from this port or from any.
    pub active: Option<Option<u16>>,
    /// Unpredictable.
    pub challenge: Challenge,
}

/// What was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Where the other wharf sees us.
    pub seen: Option<SocketAddr>,
    /// Our own address on the way there.
    pub own: Option<IpAddr>,
    /// Each port.
    pub knocks: Vec<Knock>,
    /// The call in the other direction.
    pub call: Option<Call>,
}

/// A port that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knock {
    /// As it is advertised.
    pub to: SocketAddr,
    /// We listened there ourselves; otherwise whoever has the port.
    pub ours: bool,
    /// What the other wharf saw; `None` if it did not say.
    pub saw: Option<Saw>,
}

/// A connection to the other wharf from the port of active data connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The port that was wanted.
    pub wanted: Option<u16>,
    /// Where it came from here; `None` if it did not come about.
    pub from: Option<SocketAddr>,
    /// Why it did not, or why the port is another.
    pub note: Option<String>,
    /// What the other wharf saw.
    pub saw: Option<Saw>,
}

/// Nothing could be asked.
#[derive(Debug, Error)]
pub enum AskError {
    /// No connection to it.
    #[error("no connection to the wharf that listens at {0}: {1}")]
    Unreachable(SocketAddr, io::Error),
    /// It broke off or spoke nonsense.
    #[error("the wharf that listens at {0} broke off: {1}")]
    Broke(SocketAddr, io::Error),
    /// It said no.
    #[error("the wharf that listens at {0} refuses: {1}")]
    Refused(SocketAddr, String),
    /// It does not have the token.
    #[error("whoever listens at {0} does not have the token: it is not the wharf that printed it")]
    Impostor(SocketAddr),
}

/// Asks. Dropping the future closes everything that was opened.
///
/// # Errors
/// Nothing was found out, because there was nobody to ask.
pub async fn ask(net: Arc<dyn Net>, question: &Question) -> Result<Answer, AskError> {
    let at = question.listener;
    let broke = |error| AskError::Broke(at, error);
    let conn = reach(&*net, question)
        .await
        .map_err(|error| AskError::Unreachable(at, error))?;
    let from = conn.local_addr();
    let own = from.ip().to_canonical();
    let (reader, writer) = tokio::io::split(conn);
    let mut talk = Talk {
        lines: Lines::new(reader),
        writer,
        deadline: Instant::now() + ALL,
    };
    let Line::Greeting(listener) = talk.next().await.map_err(broke)? else {
        return Err(broke(io::ErrorKind::InvalidData.into()));
    };
    let challenges = Challenges {
        listener,
        asker: question.challenge,
    };
    let token = &question.token;
    let proof = token.prove(Purpose::Asker, &challenges);
    talk.say(&Line::Hello(question.challenge, proof))
        .await
        .map_err(broke)?;
    let seen = match talk.next().await.map_err(broke)? {
        Line::Welcome(proof, seen) if token.accepts(&proof, Purpose::Listener, &challenges) => seen,
        Line::Welcome(..) => return Err(AskError::Impostor(at)),
        Line::No(text) => return Err(AskError::Refused(at, text)),
        _ => return Err(broke(io::ErrorKind::InvalidData.into())),
    };
    let mut answer = Answer {
        seen: Some(seen),
        own: Some(own),
        ..Answer::default()
    };

    let mut doors = JoinSet::new();
    let mut ours = Vec::new();
    for port in &question.data_ports {
        let door = net.listen(ListenAt::one(SocketAddr::new(own, *port))).await;
        if let Ok(door) = door {
            let proof = token.prove(Purpose::Knock(*port), &challenges);
            doors.spawn(answer_knocks(door, Line::Here(proof)));
            ours.push(*port);
        }
    }
    for (address, known) in addresses(seen, question) {
        let knocks = |ports: &[u16]| -> Vec<SocketAddr> {
            ports
                .iter()
                .map(|port| SocketAddr::new(address, *port))
                .collect()
        };
        let mut data = question.data_ports.clone();
        // An address that is not the one we are seen at must be proved to be ours by a port of ours.
        data.sort_by_key(|port| !ours.contains(port));
        let (proving, rest) = data.split_at(if known { 0 } else { data.len().min(2) });
        let proved = talk
            .knock(&knocks(proving), &ours, &mut answer)
            .await
            .map_err(broke)?;
        if !known && !proved {
            continue;
        }
        let mut others = knocks(&question.control_ports);
        others.extend(knocks(rest));
        talk.knock(&others, &ours, &mut answer)
            .await
            .map_err(broke)?;
    }
    let through_the_port = question.active == Some(Some(from.port()));
    if through_the_port {
        // It was the only way here, so it works.
        answer.call = Some(Call {
            wanted: Some(from.port()),
            from: Some(from),
            note: None,
            saw: Some(Saw::Called(seen)),
        });
    } else if let Some(wanted) = question.active {
        let id = u32::MAX;
        talk.say(&Line::Await(id)).await.map_err(broke)?;
        let proof = token.prove(Purpose::Call(id), &challenges);
        let mut call = call(&*net, own, at, wanted, &Line::Call(id, proof)).await;
        call.saw = talk.seen(id).await.map_err(broke)?;
        answer.call = Some(call);
    }
    let _ = talk.say(&Line::Bye).await;
    Ok(answer)
}

/// Connects from any port; where that is not let out, from the port of active data connections, which may be.
async fn reach(net: &dyn Net, question: &Question) -> io::Result<Conn> {
    let at = question.listener;
    let connect = async |from| match timeout(CONNECTS, net.connect(from, at)).await {
        Ok(connected) => connected,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    let error = match connect(Source::Any).await {
        Ok(conn) => return Ok(conn),
        Err(error) => error,
    };
    let Some(Some(port)) = question.active else {
        return Err(error);
    };
    let any: IpAddr = if at.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let again = connect(Source::Port(SocketAddr::new(any, port))).await;
    again.map_err(|_| error)
}

/// The addresses that clients may use: the one at which we are seen, and the one they are told. The second value says
/// whether the other wharf connects there without a proof.
fn addresses(seen: SocketAddr, question: &Question) -> Vec<(IpAddr, bool)> {
    let seen = seen.ip().to_canonical();
    let mut found = vec![(seen, true)];
    if let Some(told) = question.told
        && told != seen
        && told.is_ipv4() == seen.is_ipv4()
    {
        found.push((told, false));
    }
    found
}

/// Tells whoever comes who we are.
async fn answer_knocks(mut door: Box<dyn Listener>, line: Line) {
    for _ in 0..MOST_VISITORS {
        let Ok(mut conn) = door.accept().await else {
            return;
        };
        let _ = write(&mut conn, &line).await;
        let _ = timeout(Duration::from_secs(2), conn.shutdown()).await;
    }
}

/// Calls the other wharf from the port of active data connections.
async fn call(
    net: &dyn Net,
    own: IpAddr,
    to: SocketAddr,
    wanted: Option<u16>,
    line: &Line,
) -> Call {
    let from = match wanted {
        Some(port) => Source::Port(SocketAddr::new(own, port)),
        None => Source::Address(own),
    };
    let mut call = Call {
        wanted,
        from: None,
        note: None,
        saw: None,
    };
    let calling = async {
        let conn = net.connect(from, to).await?;
        call.from = Some(conn.local_addr());
        call.note = conn.source_note().map(ToString::to_string);
        let (reader, mut writer) = tokio::io::split(conn);
        let mut lines = Lines::new(reader);
        let _greeting = lines.line(CALLS).await?;
        write(&mut writer, line).await?;
        lines.line(CALLS).await
    };
    match timeout(CALLS, calling).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => call.note = Some(short(&error.to_string())),
        Err(_) => call.note = Some(format!("no answer within {} s", CALLS.as_secs())),
    }
    call
}

struct Talk {
    lines: Lines<ReadHalf<Conn>>,
    writer: WriteHalf<Conn>,
    deadline: Instant,
}

impl Talk {
    async fn next(&mut self) -> io::Result<Line> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.lines.line(left.min(ANSWERS)).await
    }

    async fn say(&mut self, line: &Line) -> io::Result<()> {
        write(&mut self.writer, line).await
    }

    /// Lets it knock at all of these, and tells whether one of them matched.
    async fn knock(
        &mut self,
        at: &[SocketAddr],
        ours: &[u16],
        answer: &mut Answer,
    ) -> io::Result<bool> {
        let mut open = HashMap::new();
        for to in at {
            let place = answer.knocks.len();
            let Ok(id) = u32::try_from(place) else {
                break;
            };
            answer.knocks.push(Knock {
                to: *to,
                ours: ours.contains(&to.port()),
                saw: None,
            });
            open.insert(id, place);
            self.say(&Line::Knock(id, *to)).await?;
        }
        let mut matched = false;
        while !open.is_empty() {
            match self.next().await? {
                Line::Saw(id, saw) => {
                    let Some(place) = open.remove(&id) else {
                        continue;
                    };
                    matched |= saw == Saw::Matched;
                    if let Some(knock) = answer.knocks.get_mut(place) {
                        knock.saw = Some(saw);
                    }
                }
                // What is known so far is worth telling.
                _ => return Ok(matched),
            }
        }
        Ok(matched)
    }

    /// What it saw of this.
    async fn seen(&mut self, wanted: u32) -> io::Result<Option<Saw>> {
        for _ in 0..16 {
            match self.next().await? {
                Line::Saw(id, saw) if id == wanted => return Ok(Some(saw)),
                Line::Saw(..) => {}
                _ => break,
            }
        }
        Ok(None)
    }
}
