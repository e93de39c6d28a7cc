//! Which connections of a capture are control connections, which are their data connections, and the events of both as
//! one story.
//!
//! A control connection is known by what is said on it: the server begins with a reply, the user answers with a verb that
//! only FTP has, or the port is 21. A data connection is known by the PORT, EPRT, 227 or 229 that named its port; that
//! holds on the control port as well, where a server has only one. After AUTH nothing can be read any more, and every
//! other connection between the two hosts is taken for one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wharf_proto::Verb;
use wharf_proto::data_connection::Opener;
use wharf_proto::trace::{DataEnd, Event, Side, What};

use super::connection::{Connection, Connections, End, Mark};
use super::dialogue::{Dialogue, Offer, is_tls};

/// Sessions of one capture that are told; a drawing of more would help nobody.
const SESSIONS: usize = 1000;

/// The control port, and that of implicit TLS.
const CONTROL: u16 = 21;
const CONTROL_TLS: u16 = 990;

/// Verbs that other protocols with numbered replies have as well.
const SHARED_VERBS: [&str; 5] = ["QUIT", "NOOP", "HELP", "AUTH", "STAT"];

/// What a session's events are sorted by: the packet, and what comes first at one packet.
type Place = (usize, u8);

/// Before whatever the packet says, and after.
const BEFORE: u8 = 0;
const HERE: u8 = 1;

struct Session<'a> {
    control: usize,
    /// The user is the one who did not open the connection; only where the capture does not show the beginning.
    swapped: bool,
    dialogue: Dialogue<'a>,
    events: Vec<(Place, Mark, What)>,
}

/// Everything that is known about the sessions in these connections, in order; `None` if there is none.
pub(super) fn events(connections: &Connections<'_>) -> Option<Vec<Event>> {
    let mut sessions = Vec::new();
    let mut left_out = 0;
    let mut used = vec![false; connections.all.len()];
    for (index, connection) in connections.all.iter().enumerate() {
        let Some(swapped) = control(connection) else {
            continue;
        };
        if let Some(used) = used.get_mut(index) {
            *used = true;
        }
        if sessions.len() < SESSIONS {
            sessions.push(Session::new(index, connection, swapped));
        } else {
            left_out += 1;
        }
    }
    listen(connections, &mut sessions);
    data(connections, &mut sessions, &mut used);
    strangers(connections, &mut sessions, &mut used);
    let mut late = Vec::new();
    for (index, connection) in connections.all.iter().enumerate() {
        let mine = !used.get(index).copied().unwrap_or(true);
        if mine && connection.listener.port() == CONTROL && connection.from_opener.head.is_empty() {
            late.push(Session::new(index, connection, false));
        }
    }
    late.truncate(SESSIONS.saturating_sub(sessions.len()));
    listen(connections, &mut late);
    sessions.append(&mut late);
    sessions.sort_by_key(|session| session.control);
    let last = connections.parts.last()?.mark;
    let mut all: Vec<(Place, u64, Mark, What)> = Vec::new();
    for (number, session) in (1..).zip(sessions) {
        let connection = connections.all.get(session.control)?;
        for (place, mark, what) in session.told(connection, last) {
            all.push((place, number, mark, what));
        }
    }
    if left_out > 0 {
        let text = format!("{left_out} further sessions of the capture are left out");
        all.push(((usize::MAX, HERE), 1, last, What::Note(text)));
    }
    all.sort_by_key(|(place, ..)| *place);
    let zero = all.first()?.2.at;
    Some(
        all.into_iter()
            .map(|(_, session, mark, what)| Event {
                at: mark.at.saturating_sub(zero),
                session,
                what,
            })
            .collect(),
    )
}

/// Whether this is certainly a control connection, and then whether the guess who opened it was wrong.
fn control(connection: &Connection<'_>) -> Option<bool> {
    let (opener, listener) = (connection.from_opener.head, connection.from_listener.head);
    let port = connection.listener.port();
    if port == CONTROL_TLS && is_tls(opener) {
        return Some(false);
    }
    if is_reply(listener) && is_command(opener, port == CONTROL) {
        return Some(false);
    }
    let guessed = !connection.seen_from_start;
    if guessed && is_reply(opener) && is_command(listener, connection.opener.port() == CONTROL) {
        return Some(true);
    }
    None
}

/// How long somebody waited, as people say it: whole seconds if there are any.
fn patience(waited: Duration) -> String {
    if waited < Duration::from_secs(1) {
        format!("0.{} s", (waited.as_millis() / 100).min(9))
    } else {
        format!("{} s", (waited.as_millis() + 500) / 1000)
    }
}

fn is_reply(head: &[u8]) -> bool {
    match head {
        [first, second, third, sign, ..] => {
            (b'1'..=b'6').contains(first)
                && second.is_ascii_digit()
                && third.is_ascii_digit()
                && matches!(sign, b' ' | b'-')
        }
        _ => false,
    }
}

fn is_command(head: &[u8], at_control_port: bool) -> bool {
    let end = head
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    let Some(word) = end.and_then(|end| head.get(..end)) else {
        return false;
    };
    Verb::find(word).is_some_and(|verb| at_control_port || !SHARED_VERBS.contains(&verb.word))
}

/// Lets every session hear its control connection.
fn listen<'a>(connections: &Connections<'a>, sessions: &mut [Session<'a>]) {
    let owner: HashMap<usize, usize> = sessions
        .iter()
        .enumerate()
        .map(|(number, session)| (session.control, number))
        .collect();
    for part in &connections.parts {
        let number = owner.get(&part.connection).copied();
        if let Some(session) = number.and_then(|number| sessions.get_mut(number)) {
            let by_user = part.by_opener != session.swapped;
            session.dialogue.segment(by_user, &part.segment, part.mark);
        }
    }
    for session in sessions {
        if let Some(connection) = connections.all.get(session.control) {
            session.dialogue.finish(connection.last);
        }
    }
}

/// Finds the data connections of every session.
fn data(connections: &Connections<'_>, sessions: &mut [Session<'_>], used: &mut [bool]) {
    let mut by_target: HashMap<(IpAddr, SocketAddr), Vec<usize>> = HashMap::new();
    let mut by_hosts: HashMap<(IpAddr, IpAddr), Vec<usize>> = HashMap::new();
    for (index, connection) in connections.all.iter().enumerate() {
        if used.get(index).copied().unwrap_or(true) || !connection.seen_from_start {
            continue;
        }
        let (from, to) = (connection.opener.ip(), connection.listener);
        by_target.entry((from, to)).or_default().push(index);
        by_hosts.entry((from, to.ip())).or_default().push(index);
    }
    for session in sessions {
        let Some(control) = connections.all.get(session.control) else {
            continue;
        };
        let (user, server) = session.ends(control);
        let offers = std::mem::take(&mut session.dialogue.offers);
        for (number, offer) in offers.iter().enumerate() {
            let until = offers
                .get(number + 1)
                .map_or(control.last.index, |next| next.since.index);
            let (from, own) = match offer.opener {
                Opener::User => (user.ip(), server.ip()),
                Opener::Server => (server.ip(), user.ip()),
            };
            let mut targets = vec![offer.named];
            if own != offer.named.ip() {
                targets.push(SocketAddr::new(own, offer.named.port()));
            }
            let mut came = false;
            for target in targets {
                let Some(candidates) = by_target.get_mut(&(from, target)) else {
                    continue;
                };
                let mut claimed = false;
                for index in within(connections, candidates, offer.since.index, until) {
                    if !session.claim(connections, index, offer.opener, used) {
                        continue;
                    }
                    claimed = true;
                    // Attempts may be repeated; what stands is the one. The next belongs to another session, which
                    // was offered the same port.
                    let stands = connections
                        .all
                        .get(index)
                        .is_some_and(|it| it.established.is_some());
                    if stands && !offer.by_default {
                        break;
                    }
                }
                if claimed {
                    // Nobody has to look at them again.
                    candidates.retain(|index| used.get(*index) == Some(&false));
                }
                came |= claimed;
            }
            if let (false, false, Some(mark)) = (came, offer.by_default, offer.in_vain) {
                session.in_vain(offer, mark);
            }
        }
        session.dialogue.offers = offers;
        let Some(opaque) = session.dialogue.opaque else {
            continue;
        };
        for (opener, from, to) in [
            (Opener::User, user.ip(), server.ip()),
            (Opener::Server, server.ip(), user.ip()),
        ] {
            let Some(candidates) = by_hosts.get(&(from, to)) else {
                continue;
            };
            for index in within(connections, candidates, opaque.index, control.last.index) {
                let port = connections
                    .all
                    .get(index)
                    .map_or(0, |it| it.listener.port());
                if port > 1023 || (opener == Opener::User && port == server.port()) {
                    session.claim(connections, index, opener, used);
                }
            }
        }
    }
}

/// Other hosts that came to a port which a server had named, and not to its control port: whoever captures at the
/// server sees what the server drops.
fn strangers(connections: &Connections<'_>, sessions: &mut [Session<'_>], used: &mut [bool]) {
    let mut by_target: HashMap<SocketAddr, Vec<usize>> = HashMap::new();
    for (index, connection) in connections.all.iter().enumerate() {
        if used.get(index) == Some(&false) && connection.seen_from_start {
            by_target
                .entry(connection.listener)
                .or_default()
                .push(index);
        }
    }
    for session in sessions {
        let Some(control) = connections.all.get(session.control) else {
            continue;
        };
        let (user, server) = session.ends(control);
        let offers = &session.dialogue.offers;
        for (number, offer) in offers.iter().enumerate() {
            let until = offers
                .get(number + 1)
                .map_or(control.last.index, |next| next.since.index);
            let at = SocketAddr::new(server.ip(), offer.named.port());
            if offer.opener != Opener::User || at == server {
                continue;
            }
            let Some(candidates) = by_target.get_mut(&at) else {
                continue;
            };
            let mut came = false;
            for index in within(connections, candidates, offer.since.index, until) {
                let Some(connection) = connections.all.get(index) else {
                    continue;
                };
                if connection.opener.ip() != user.ip() {
                    let (mark, peer) = (connection.first, connection.opener);
                    session
                        .events
                        .push(((mark.index, HERE), mark, What::Stranger { peer }));
                    if let Some(used) = used.get_mut(index) {
                        *used = true;
                    }
                    came = true;
                }
            }
            if came {
                candidates.retain(|index| used.get(*index) == Some(&false));
            }
        }
    }
}

/// Those of the candidates, which are in order, that began between two packets.
fn within<'b>(
    connections: &'b Connections<'_>,
    candidates: &'b [usize],
    since: usize,
    until: usize,
) -> impl Iterator<Item = usize> + 'b {
    let begun = |index: &usize| {
        let connection = connections.all.get(*index);
        connection.map_or(usize::MAX, |connection| connection.first.index)
    };
    let from = candidates.partition_point(|index| begun(index) < since);
    candidates
        .get(from..)
        .unwrap_or_default()
        .iter()
        .copied()
        .take_while(move |index| begun(index) <= until)
}

impl<'a> Session<'a> {
    fn new(control: usize, connection: &Connection<'a>, swapped: bool) -> Self {
        let (user, server) = if swapped {
            (connection.listener, connection.opener)
        } else {
            (connection.opener, connection.listener)
        };
        let dialogue = Dialogue::new(user, server, connection.first, connection.seen_from_start);
        Self {
            control,
            swapped,
            dialogue,
            events: Vec::new(),
        }
    }

    /// The user's end of the control connection, the server's end.
    fn ends(&self, connection: &Connection<'_>) -> (SocketAddr, SocketAddr) {
        if self.swapped {
            (connection.listener, connection.opener)
        } else {
            (connection.opener, connection.listener)
        }
    }

    /// Takes a connection as this session's data connection, if it is nobody's yet.
    fn claim(
        &mut self,
        connections: &Connections<'_>,
        index: usize,
        opener: Opener,
        used: &mut [bool],
    ) -> bool {
        let (Some(connection), Some(used)) = (connections.all.get(index), used.get_mut(index))
        else {
            return false;
        };
        if *used {
            return false;
        }
        *used = true;
        let (local, peer) = match opener {
            Opener::User => (connection.opener, connection.listener),
            Opener::Server => (connection.listener, connection.opener),
        };
        let at = connection.listener;
        if let Some(mark) = connection.established {
            let opened = What::DataOpened {
                opener,
                local,
                peer,
            };
            self.events.push(((mark.index, HERE), mark, opened));
            let bytes = connection.bytes();
            let (mark, what) = match connection.ended {
                Some((mark, end)) => {
                    let by_user = (opener == Opener::User) == (end == End::ResetByOpener);
                    let end = match end {
                        End::Orderly => DataEnd::Clean,
                        _ if by_user => DataEnd::Aborted,
                        _ => DataEnd::Broken,
                    };
                    (mark, What::DataClosed { bytes, end })
                }
                None => {
                    let text = format!(
                        "the end of this data connection is not in the capture, {bytes} bytes are"
                    );
                    (connection.last, What::Note(text))
                }
            };
            self.events.push(((mark.index, HERE), mark, what));
        } else {
            let (mark, reason, order) = match connection.refused {
                Some((mark, why)) => (mark, why.replace("{to}", &at.to_string()), HERE),
                None => {
                    let mark = self.gave_up(connections, connection.last_syn);
                    let waited = patience(mark.at.saturating_sub(connection.first.at));
                    (mark, format!("no answer from {at} within {waited}"), BEFORE)
                }
            };
            let failed = What::DataFailed { opener, at, reason };
            self.events.push(((mark.index, order), mark, failed));
        }
        true
    }

    /// When whoever waited for the answer to this SYN went on: the next word on the control connection, or its end.
    fn gave_up(&self, connections: &Connections<'_>, last_syn: Mark) -> Mark {
        let events = &self.dialogue.events;
        let next = events.partition_point(|(mark, _)| mark.index <= last_syn.index);
        let word = events.get(next).map(|(mark, _)| *mark);
        let control = connections.all.get(self.control);
        let end = control
            .and_then(|control| control.ended)
            .map(|(mark, _)| mark)
            .filter(|mark| mark.index > last_syn.index);
        word.or(end).unwrap_or(Mark {
            index: usize::MAX,
            at: last_syn.at,
        })
    }

    /// An offer that the server says nobody took.
    fn in_vain(&mut self, offer: &Offer, mark: Mark) {
        let failed = What::DataFailed {
            opener: offer.opener,
            at: offer.named,
            reason: "no SYN was seen here".to_owned(),
        };
        self.events.push(((mark.index, BEFORE), mark, failed));
    }

    /// All events of the session, in order.
    fn told(mut self, connection: &Connection<'_>, last: Mark) -> Vec<(Place, Mark, What)> {
        let (user, server) = self.ends(connection);
        let begun = connection.established.unwrap_or(connection.first);
        if connection.established.is_some() {
            let connected = What::Connected {
                side: Side::User,
                local: user,
                peer: server,
            };
            self.events.push(((begun.index, BEFORE), begun, connected));
            if !connection.seen_from_start {
                let text = "the capture begins in the middle of this session".to_owned();
                self.events
                    .push(((begun.index, BEFORE), begun, What::Note(text)));
            }
            let (mark, what) = match connection.ended {
                Some((mark, End::Orderly)) => (mark, What::Closed("closed".to_owned())),
                Some((mark, _)) => (mark, What::Closed("reset".to_owned())),
                None => (last, What::Note("the capture ends here".to_owned())),
            };
            // Whoever closes first may still be told something, of the end or of what he asked.
            let index = match what {
                What::Closed(_) => mark.index.max(self.last_word()),
                _ => usize::MAX,
            };
            self.events.push(((index, HERE + 1), mark, what));
        } else {
            let (mark, why) = connection.refused.unwrap_or((last, "no answer from {to}"));
            let why = why.replace("{to}", &server.to_string());
            let text = format!("no control connection: {why}");
            self.events
                .push(((mark.index, HERE), mark, What::Note(text)));
        }
        let spoken = self.dialogue.events.drain(..);
        let spoken = spoken.map(|(mark, what)| ((mark.index, HERE), mark, what));
        let mut all: Vec<_> = self.events.into_iter().chain(spoken).collect();
        all.sort_by_key(|(place, ..)| *place);
        all
    }

    fn last_word(&self) -> usize {
        let last = self.dialogue.events.last();
        last.map_or(0, |(mark, _)| mark.index)
    }
}
