//! Which port a server's 227 or 229 names in automatic one-port passive: one of its data ports, or the control port.
//!
//! The data ports come first: nothing has to be told apart there. That a firewall or NAT keeps a client away from them
//! shows only by nobody coming while the control connection lives; then the control port is named, which is certain to
//! be reached. What worked is remembered for the client's address, so that its next session does not wait in vain again.
//!
//! | port named last | seen | next | remembered |
//! |---|---|---|---|
//! | a data port | the client came | a data port | forgotten, if it was the control port |
//! | a data port | nobody came: a transfer waited in vain, or the client asked again or left without having come | the control port | the control port, for 10 min |
//! | the control port | the client came | the control port | the control port, for 24 h |
//! | the control port | nobody came | a data port | forgotten |
//!
//! A stranger who came instead of the client is no evidence: the client's data connections have another address than its
//! control connection, and at the control port they would be taken for control.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::canonical;

/// For so long it is remembered that the control port worked for a client.
pub const REMEMBERED: Duration = Duration::from_hours(24);
/// For so long, that the data ports did not: many clients begin a new session after that.
pub const SUSPECTED: Duration = Duration::from_mins(10);
/// So many addresses are remembered; the one that would be forgotten first gives way.
pub const ADDRESSES: usize = 4096;

/// A kind of port that a 227 or 229 may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PassivePort {
    /// One of those for data.
    Data,
    /// The control port.
    Control,
}

/// What one session has seen of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassiveChoice {
    next: PassivePort,
    named: Option<PassivePort>,
}

impl PassiveChoice {
    /// Begins with what [`PassiveMemory::begin`] knows.
    pub fn beginning_with(port: PassivePort) -> Self {
        Self {
            next: port,
            named: None,
        }
    }

    /// What the next 227 or 229 should name.
    pub fn next(&self) -> PassivePort {
        self.next
    }

    /// A 227 or 229 named this.
    pub fn named(&mut self, port: PassivePort) {
        self.named = Some(port);
    }

    /// What was named and has not been judged.
    pub fn pending(&self) -> Option<PassivePort> {
        self.named
    }

    /// What was named last is not used, or its use shows nothing.
    pub fn forget(&mut self) {
        self.named = None;
    }

    /// The client came to the port that was named last.
    pub fn came(&mut self) -> Option<Lesson> {
        let worked = self.named.take()?;
        self.next = worked;
        Some(match worked {
            PassivePort::Data => Lesson::DataWorks,
            PassivePort::Control => Lesson::ControlWorks,
        })
    }

    /// Nobody came to it.
    pub fn nobody_came(&mut self) -> Option<Lesson> {
        let failed = self.named.take()?;
        Some(match failed {
            PassivePort::Data => {
                self.next = PassivePort::Control;
                Lesson::DataFails
            }
            PassivePort::Control => {
                self.next = PassivePort::Data;
                Lesson::ControlFails
            }
        })
    }
}

/// What a session has learnt about its client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lesson {
    /// The client came to a data port.
    DataWorks,
    /// It did not.
    DataFails,
    /// The client came to the control port.
    ControlWorks,
    /// It did not.
    ControlFails,
}

/// Which clients need the control port.
#[derive(Debug, Default)]
pub struct PassiveMemory {
    /// Until when
    control: HashMap<IpAddr, Duration>,
}

impl PassiveMemory {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the sessions of this client should begin with.
    pub fn begin(&self, now: Duration, client: IpAddr) -> PassivePort {
        match self.control.get(&canonical(client)) {
            Some(until) if now < *until => PassivePort::Control,
            _ => PassivePort::Data,
        }
    }

    /// A session of this client has learnt something.
    pub fn learn(&mut self, now: Duration, client: IpAddr, lesson: Lesson) {
        let client = canonical(client);
        let until = now
            + match lesson {
                Lesson::ControlWorks => REMEMBERED,
                Lesson::DataFails => SUSPECTED,
                Lesson::DataWorks | Lesson::ControlFails => {
                    self.control.remove(&client);
                    return;
                }
            };
        if self.control.len() >= ADDRESSES && !self.control.contains_key(&client) {
            let soonest = self.control.iter().min_by_key(|(_, until)| **until);
            if let Some((&soonest, _)) = soonest {
                self.control.remove(&soonest);
            }
        }
        self.control.insert(client, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_the_table_decides() {
        use PassivePort::{Control, Data};
        // named, did the client come, next, what its next session begins with now and in a quarter of an hour
        let table = [
            (Data, true, Data, Data, Data),
            (Data, false, Control, Control, Data),
            (Control, true, Control, Control, Control),
            (Control, false, Data, Data, Data),
        ];
        let client = "192.0.2.1".parse().unwrap();
        for (named, came, next, soon, later) in table {
            for begun in [Data, Control] {
                let mut choice = PassiveChoice::beginning_with(begun);
                assert_eq!((choice.next(), choice.pending()), (begun, None));
                choice.named(named);
                let lesson = if came {
                    choice.came()
                } else {
                    choice.nobody_came()
                };
                assert_eq!(choice.next(), next, "{named:?} {came}");
                // What has been judged is not judged again.
                assert_eq!((choice.came(), choice.nobody_came()), (None, None));
                assert_eq!(choice.next(), next);
                let mut memory = PassiveMemory::new();
                if begun == Control {
                    memory.learn(Duration::ZERO, client, Lesson::DataFails);
                }
                memory.learn(Duration::ZERO, client, lesson.unwrap());
                assert_eq!(
                    memory.begin(Duration::ZERO, client),
                    soon,
                    "{named:?} {came}"
                );
                let quarter = Duration::from_mins(15);
                assert_eq!(memory.begin(quarter, client), later, "{named:?} {came}");
            }
        }
        let mut choice = PassiveChoice::beginning_with(Data);
        choice.named(Data);
        choice.forget();
        assert_eq!((choice.nobody_came(), choice.next()), (None, Data));
    }

    #[test]
    fn a_client_is_remembered_for_a_day_and_some_thousand_clients() {
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        let mut memory = PassiveMemory::new();
        let at = Duration::from_hours;
        memory.learn(at(1), address(7), Lesson::ControlWorks);
        assert_eq!(memory.begin(at(24), address(7)), PassivePort::Control);
        assert_eq!(memory.begin(at(25), address(7)), PassivePort::Data);
        assert_eq!(memory.begin(at(1), address(8)), PassivePort::Data);
        let mapped = "::ffff:0.0.0.7".parse().unwrap();
        assert_eq!(memory.begin(at(2), mapped), PassivePort::Control);

        let many = u32::try_from(ADDRESSES).unwrap() + 10;
        for n in 0..many {
            let now = at(2) + Duration::from_secs(u64::from(n));
            memory.learn(now, address(n), Lesson::ControlWorks);
        }
        assert_eq!(memory.control.len(), ADDRESSES);
        assert_eq!(memory.begin(at(3), address(9)), PassivePort::Data);
        assert_eq!(memory.begin(at(3), address(10)), PassivePort::Control);
    }
}
