//! The place that takes everybody in: the doors, and the porter behind them.

use std::net::{IpAddr, SocketAddr};

use super::doors::{Doors, Event, NewDoor};
use super::order::WayToPorter;
use super::porter::{Admitted, Porter, Work};

/// All doors of a server or proxy, and who sorts what comes in by them.
///
/// It wants to be driven by the one task that accepts: [`next`](Self::next), [`take`](Self::take), and then a session for
/// every connection of [`admitted`](Self::admitted). Dropping it closes the doors, and whoever asks for a turn is refused.
#[derive(Default)]
pub struct Reception {
    doors: Doors,
    porter: Porter,
}

/// What is to be done next.
pub struct Step(Next);

enum Next {
    Door(Event),
    Porter(Work),
}

impl Reception {
    /// Without a door.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in who comes by this door from now on.
    pub fn open(&mut self, door: NewDoor) {
        self.doors.open(door);
    }

    /// Whether there is a control door for this address of the configuration.
    pub fn has_control(&self, wanted: SocketAddr) -> bool {
        self.doors.has_control(wanted)
    }

    /// Closes the control doors that are not `wanted` any more. Data doors close by themselves, see
    /// [`DataDoor`](super::DataDoor).
    pub fn keep(&mut self, wanted: &[SocketAddr]) {
        self.doors.keep(wanted);
    }

    /// What sessions talk to the porter through.
    pub fn way(&self) -> WayToPorter {
        self.porter.way()
    }

    /// Whichever is ready, without preference: a crowd at the door shall not keep the sessions inside waiting, nor they
    /// the crowd. Cancel-safe.
    pub async fn next(&mut self) -> Step {
        Step(tokio::select! {
            event = self.doors.next() => Next::Door(event),
            work = self.porter.next() => Next::Porter(work),
        })
    }

    /// Does it. `counted_as` is the address that a client counts as: its own, or one for a whole pool of addresses by
    /// which the clients of one NAT come.
    pub fn take(&mut self, step: Step, counted_as: impl FnOnce(IpAddr) -> IpAddr) {
        let Self { doors, porter } = self;
        match step.0 {
            Next::Door(Event::Arrived(entrance, conn)) => {
                let address = counted_as(conn.peer_addr().ip());
                porter.arrived(entrance, *conn, address);
            }
            Next::Door(Event::Swept(number)) => porter.swept(number, doors),
            Next::Porter(Work::Order(order)) => porter.order(order, doors),
            Next::Porter(Work::News(conn, beginning)) => porter.news(conn, beginning),
            Next::Porter(Work::Alarm) => porter.alarmed(doors),
        }
    }

    /// The control connections to be served now; to be asked after every [`take`](Self::take).
    pub fn admitted(&mut self) -> std::vec::Drain<'_, Admitted> {
        self.porter.admitted()
    }

    /// Whether a transfer is under way that a stop must not cut: its data connection may still come by a door.
    pub fn is_busy(&self) -> bool {
        self.porter.is_busy()
    }
}
