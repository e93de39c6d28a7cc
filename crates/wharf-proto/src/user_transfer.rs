//! One transfer as the user side sees it: data connection, replies, time and the wish to abort arrive in any order, one
//! verdict comes out.
//!
//! A transfer is complete only if *both* ends say so: the data connection ended cleanly and a 2yz came. Either may be
//! first. Servers that send a short file and 226 are found out by the expected size, if there is one.
//!
//! A NAT may forget a control connection that is silent while a long transfer runs; then the 2yz never arrives. Where the
//! length of the remote file can be compared ([`UserTransfer::comparable`]) it is asked for on a new control connection
//! ([`Step::Check`]), and only if it is exactly that of the bytes that moved the transfer counts as verified.
//!
//! | seen | verdict |
//! |---|---|
//! | clean end, 2yz, as many bytes as expected (or nothing expected) | complete |
//! | clean end, 2yz, other number of bytes | wrong size |
//! | 2yz while we are still sending | cut short: the server stopped reading and calls it done |
//! | 3yz, or a code of no class: nothing a transfer gets | as 4yz/5yz: refused or failed |
//! | 4yz/5yz without 1yz before it, and no data ended | refused |
//! | 4yz/5yz after 1yz, or with data moved | failed |
//! | data connection broken, then any reply | broken; complete only if all expected bytes are here and 2yz came |
//! | all data, no final reply in time, or the control connection lost (421, too), nothing to compare | unconfirmed |
//! | the same, but comparable | check |
//! | checked: the remote file has the length of what moved | verified |
//! | checked: another length, download | wrong size |
//! | checked: another length, upload | wait and check again: the server may still be writing |
//! | could not be checked (login refused) | verified if a download brought what was announced before; else wait |
//! | neither a final reply nor a fitting length within the time for both | unconfirmed |
//! | no data connection in time | no data connection; abort |
//! | nothing moves any more | stalled; abort |
//! | the user gave up | aborted; abort unless the final reply is already here |
//!
//! `tests/interleavings.rs` walks every order of events.

use crate::reply::{Reply, ReplyClass};

/// Which way the data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// RETR, LIST, NLST, MLSD: the server sends.
    Download,
    /// STOR, STOU, APPE: we send.
    Upload,
}

/// Something other than a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataEvent {
    /// The data connection is there.
    Connected,
    /// It ended cleanly: the server closed it (download), or we sent everything and closed it (upload). With the bytes
    /// moved.
    Ended {
        /// Bytes on the data connection.
        bytes: u64,
    },
    /// It was reset or failed. With the bytes moved.
    Broken {
        /// Bytes on the data connection.
        bytes: u64,
    },
}

/// The patience that ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timeout {
    /// No data connection came about.
    Opening,
    /// The data connection is there but nothing moves.
    Stalled,
    /// The data has ended but the final reply does not come: time to look elsewhere, if that is possible.
    Reply,
    /// Neither the final reply came nor did the length of the remote file agree, within the time for both.
    Confirmation,
}

/// What a look at the remote file over another control connection told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// Its length, in bytes that a transfer in TYPE I would move.
    Length(u64),
    /// Nothing: no login, no such file, or a server that tells no lengths.
    Nothing,
}

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Everything arrived and the server said so.
    Complete {
        /// Bytes on the data connection.
        bytes: u64,
    },
    /// No final reply came, but the remote file has exactly the length of what moved.
    Verified {
        /// Bytes on the data connection.
        bytes: u64,
    },
    /// The server calls it complete, but the number of bytes is not the one expected.
    WrongSize {
        /// Bytes on the data connection.
        bytes: u64,
        /// Bytes that SIZE or MLST promised, less the restart offset.
        expected: u64,
    },
    /// The server answered 2yz before we had sent everything.
    CutShort,
    /// The server refused before it began (no 1yz, no data): 450, 550, 553 and so on; 425 is told apart as
    /// [`Self::NoDataConnection`].
    Refused {
        /// The code of the final reply.
        code: u16,
    },
    /// The server gave up after it had begun: 426, 451, 552 and so on.
    Failed {
        /// The code of the final reply.
        code: u16,
        /// Bytes on the data connection; 0 if its end was not seen before the reply.
        bytes: u64,
    },
    /// The data connection broke. The final reply, if any, does not make the bytes complete.
    Broken {
        /// Bytes on the data connection.
        bytes: u64,
    },
    /// The data ended cleanly, but no final reply confirmed it.
    Unconfirmed {
        /// Bytes on the data connection.
        bytes: u64,
    },
    /// No data connection came about. The code, if the server said so itself (425).
    NoDataConnection {
        /// 425 or 426, if that was the end.
        code: Option<u16>,
    },
    /// Nothing moved for too long.
    Stalled,
    /// The control connection was lost before the end of the data.
    ControlLost,
    /// Given up on request.
    Aborted,
}

impl Verdict {
    /// May the data be used as the whole file?
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Complete { .. } | Self::Verified { .. })
    }
}

/// What the driver does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Go on: more is to come.
    Wait,
    /// As [`Step::Wait`], and ask for the length of the remote file over a new control connection:
    /// [`UserTransfer::on_checked`].
    Check,
    /// The final reply was read (or never can be): close the data connection, nothing is owed.
    Done(Verdict),
    /// The final reply was not read: close the data connection with a reset, send ABOR, abandon what is outstanding and
    /// get in step again. Given once; afterwards the same verdict comes as [`Step::Done`].
    Abort(Verdict),
}

/// The state of one transfer, from the transfer command on.
#[derive(Debug, Clone)]
pub struct UserTransfer {
    direction: Direction,
    expected: Option<u64>,
    /// Where in the remote file the data begins, if its length can be compared afterwards.
    base: Option<u64>,
    data: Data,
    /// 1yz came.
    begun: bool,
    reply: Option<u16>,
    /// No reply will come any more.
    lost: bool,
    verdict: Option<Verdict>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data {
    NotYet,
    Open,
    Ended(u64),
    Broken(u64),
}

impl UserTransfer {
    /// The transfer command is about to be sent. `expected`: the bytes that will go over the data connection, if they
    /// are known and TYPE does not change them.
    pub fn new(direction: Direction, expected: Option<u64>) -> Self {
        Self {
            direction,
            expected,
            base: None,
            data: Data::NotYet,
            begun: false,
            reply: None,
            lost: false,
            verdict: None,
        }
    }

    /// The length of the remote file can be asked for and compared: TYPE I, a known name, and a server that knows SIZE or
    /// MLST. `base`: how long it is without the bytes of this transfer.
    #[must_use]
    pub fn comparable(mut self, base: u64) -> Self {
        self.base = Some(base);
        self
    }

    /// The verdict, once there is one.
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// A reply to the transfer command.
    pub fn on_reply(&mut self, reply: &Reply) -> Step {
        match reply.class() {
            ReplyClass::Preliminary => self.begun = true,
            // RFC 959 §5.4: the server ends the control connection, out of an idle timer that forgot the transfer, say.
            // About the file it says nothing.
            _ if reply.code() == 421
                && self.base.is_some()
                && self.reply.is_none()
                && matches!(self.data, Data::Open | Data::Ended(_)) =>
            {
                self.lost = true;
            }
            _ => self.reply = self.reply.or(Some(reply.code())),
        }
        self.judge()
    }

    /// Something happened on the data connection. An end without a beginning counts as both.
    pub fn on_data(&mut self, event: DataEvent) -> Step {
        self.data = match (self.data, event) {
            (Data::NotYet, DataEvent::Connected) => Data::Open,
            (Data::NotYet | Data::Open, DataEvent::Ended { bytes }) => Data::Ended(bytes),
            (Data::NotYet | Data::Open, DataEvent::Broken { bytes }) => Data::Broken(bytes),
            (past, _) => past,
        };
        self.judge()
    }

    /// A patience ran out. One that does not fit the state (the connection came just before) changes nothing.
    pub fn on_timeout(&mut self, timeout: Timeout) -> Step {
        if self.verdict.is_some() {
            return self.judge();
        }
        match (timeout, self.data) {
            (Timeout::Opening, Data::NotYet) => {
                self.give_up(Verdict::NoDataConnection { code: None })
            }
            (Timeout::Stalled, Data::Open) => self.give_up(Verdict::Stalled),
            (Timeout::Reply, Data::Ended(_)) if self.base.is_some() => Step::Check,
            (Timeout::Reply | Timeout::Confirmation, Data::Ended(bytes)) => {
                self.give_up(Verdict::Unconfirmed { bytes })
            }
            (Timeout::Reply | Timeout::Confirmation, Data::Broken(bytes)) => {
                self.give_up(Verdict::Broken { bytes })
            }
            _ => Step::Wait,
        }
    }

    /// The user does not want it any more, or the transfer was dropped half-way.
    pub fn on_abort(&mut self) -> Step {
        if self.verdict.is_some() {
            return self.judge();
        }
        self.give_up(Verdict::Aborted)
    }

    /// The control connection ended: no reply will come, and there is nothing to abort with. Data that is still moving and
    /// can be compared may come to its end.
    pub fn on_control_lost(&mut self) -> Step {
        self.lost = true;
        self.judge()
    }

    /// What came instead of a reply is none. Whoever talks nonsense is not asked for lengths.
    pub fn on_nonsense(&mut self) -> Step {
        self.base = None;
        self.on_control_lost()
    }

    /// The answer to [`Step::Check`]; may be given again and again while the transfer is open.
    pub fn on_checked(&mut self, checked: Checked) -> Step {
        if let (None, Data::Ended(bytes), Some(base)) = (self.verdict, self.data, self.base) {
            self.verdict = match (checked, self.direction) {
                (Checked::Length(length), _)
                    if base.checked_add(bytes) == Some(length)
                        && self.expected.is_none_or(|it| it == bytes) =>
                {
                    Some(Verdict::Verified { bytes })
                }
                (Checked::Length(length), Direction::Download) => Some(Verdict::WrongSize {
                    bytes,
                    expected: match length.saturating_sub(base) {
                        // The file has changed to what came: it is not what was announced.
                        now if now == bytes => self.expected.unwrap_or(now),
                        now => now,
                    },
                }),
                (Checked::Nothing, Direction::Download) if self.expected == Some(bytes) => {
                    Some(Verdict::Verified { bytes })
                }
                (Checked::Length(_), Direction::Upload) | (Checked::Nothing, _) => None,
            };
        }
        match self.verdict {
            Some(verdict) => Step::Done(verdict),
            None => Step::Wait,
        }
    }

    /// Without the final reply the server must be told.
    fn give_up(&mut self, verdict: Verdict) -> Step {
        self.verdict = Some(verdict);
        if self.reply.is_some() || self.lost {
            Step::Done(verdict)
        } else {
            Step::Abort(verdict)
        }
    }

    fn judge(&mut self) -> Step {
        if self.verdict.is_none() {
            self.verdict = self.reply.and_then(|code| {
                if code < 300 {
                    self.positive()
                } else {
                    Some(self.negative(code))
                }
            });
        }
        if self.verdict.is_none() && self.lost {
            self.verdict = match (self.data, self.base) {
                (Data::Ended(_), Some(_)) => return Step::Check,
                (Data::Open, Some(_)) => return Step::Wait,
                (Data::Ended(bytes), None) => Some(Verdict::Unconfirmed { bytes }),
                (Data::Broken(bytes), _) => Some(Verdict::Broken { bytes }),
                (Data::NotYet, _) | (Data::Open, None) => Some(Verdict::ControlLost),
            };
        }
        self.verdict.map_or(Step::Wait, Step::Done)
    }

    /// 2yz came. Before the data's end it decides nothing for a
    /// download: they overtake each other.
    fn positive(&self) -> Option<Verdict> {
        match (self.data, self.direction) {
            (Data::Ended(bytes), _) => Some(self.by_size(bytes)),
            (Data::Broken(bytes), Direction::Download) if self.expected == Some(bytes) => {
                Some(Verdict::Complete { bytes })
            }
            (Data::Broken(bytes), _) => Some(Verdict::Broken { bytes }),
            (Data::Open, Direction::Upload) => Some(Verdict::CutShort),
            (Data::NotYet | Data::Open, _) => None,
        }
    }

    fn by_size(&self, bytes: u64) -> Verdict {
        match self.expected {
            Some(expected) if expected != bytes => Verdict::WrongSize { bytes, expected },
            _ => Verdict::Complete { bytes },
        }
    }

    fn negative(&self, code: u16) -> Verdict {
        match self.data {
            Data::NotYet if matches!(code, 425 | 426) => {
                Verdict::NoDataConnection { code: Some(code) }
            }
            Data::NotYet | Data::Open if self.begun || code == 426 => {
                Verdict::Failed { code, bytes: 0 }
            }
            Data::NotYet | Data::Open => Verdict::Refused { code },
            Data::Ended(0) if !self.begun && code != 426 => Verdict::Refused { code },
            Data::Ended(bytes) | Data::Broken(bytes) => Verdict::Failed { code, bytes },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(transfer: &mut UserTransfer, code: u16) -> Step {
        transfer.on_reply(&Reply::new(code, "text"))
    }

    #[test]
    fn only_2yz_confirms() {
        for code in [331, 350, 600] {
            let mut transfer = UserTransfer::new(Direction::Download, Some(5));
            transfer.on_data(DataEvent::Connected);
            reply(&mut transfer, 150);
            transfer.on_data(DataEvent::Ended { bytes: 5 });
            let failed = Verdict::Failed { code, bytes: 5 };
            assert_eq!(reply(&mut transfer, code), Step::Done(failed));
        }
    }

    #[test]
    fn a_file_of_the_promised_size_is_complete_in_either_order() {
        for reply_first in [true, false] {
            let mut transfer = UserTransfer::new(Direction::Download, Some(10));
            assert_eq!(transfer.on_data(DataEvent::Connected), Step::Wait);
            assert_eq!(reply(&mut transfer, 150), Step::Wait);
            if reply_first {
                assert_eq!(reply(&mut transfer, 226), Step::Wait);
                assert_eq!(
                    transfer.on_data(DataEvent::Ended { bytes: 10 }),
                    Step::Done(Verdict::Complete { bytes: 10 })
                );
            } else {
                assert_eq!(transfer.on_data(DataEvent::Ended { bytes: 10 }), Step::Wait);
                assert_eq!(
                    reply(&mut transfer, 226),
                    Step::Done(Verdict::Complete { bytes: 10 })
                );
            }
        }
    }

    #[test]
    fn a_short_file_with_226_is_found_out() {
        let mut transfer = UserTransfer::new(Direction::Download, Some(65_536));
        transfer.on_data(DataEvent::Ended { bytes: 1_000 });
        assert_eq!(
            reply(&mut transfer, 226),
            Step::Done(Verdict::WrongSize {
                bytes: 1_000,
                expected: 65_536
            })
        );
    }

    #[test]
    fn a_reset_behind_the_last_byte_does_no_harm_if_the_size_is_known() {
        let mut transfer = UserTransfer::new(Direction::Download, Some(10));
        transfer.on_data(DataEvent::Broken { bytes: 10 });
        assert_eq!(
            reply(&mut transfer, 226),
            Step::Done(Verdict::Complete { bytes: 10 })
        );
        let mut transfer = UserTransfer::new(Direction::Download, None);
        transfer.on_data(DataEvent::Broken { bytes: 10 });
        assert_eq!(
            reply(&mut transfer, 226),
            Step::Done(Verdict::Broken { bytes: 10 })
        );
    }

    #[test]
    fn a_full_disk_ends_an_upload_at_once() {
        let mut transfer = UserTransfer::new(Direction::Upload, None);
        transfer.on_data(DataEvent::Connected);
        reply(&mut transfer, 150);
        assert_eq!(
            reply(&mut transfer, 552),
            Step::Done(Verdict::Failed {
                code: 552,
                bytes: 0
            })
        );
        let mut transfer = UserTransfer::new(Direction::Upload, None);
        transfer.on_data(DataEvent::Broken { bytes: 4_096 });
        assert_eq!(
            reply(&mut transfer, 552),
            Step::Done(Verdict::Failed {
                code: 552,
                bytes: 4_096
            })
        );
    }

    #[test]
    fn an_upload_confirmed_before_its_end_was_cut_short() {
        let mut transfer = UserTransfer::new(Direction::Upload, None);
        transfer.on_data(DataEvent::Connected);
        reply(&mut transfer, 150);
        assert_eq!(reply(&mut transfer, 226), Step::Done(Verdict::CutShort));
    }

    #[test]
    fn the_abort_is_asked_for_once() {
        let mut transfer = UserTransfer::new(Direction::Download, None);
        assert_eq!(
            transfer.on_timeout(Timeout::Opening),
            Step::Abort(Verdict::NoDataConnection { code: None })
        );
        assert_eq!(
            reply(&mut transfer, 425),
            Step::Done(Verdict::NoDataConnection { code: None })
        );
        assert_eq!(
            transfer.on_abort(),
            Step::Done(Verdict::NoDataConnection { code: None })
        );
    }

    #[test]
    fn without_a_final_reply_the_length_of_the_remote_file_decides() {
        use Direction::{Download, Upload};
        let verified = Verdict::Verified { bytes: 10 };
        let wrong = |expected| Verdict::WrongSize {
            bytes: 10,
            expected,
        };
        // direction, expected, what the check tells, verdict (None: wait on)
        let table = [
            (Download, Some(10), Checked::Length(110), Some(verified)),
            (Download, None, Checked::Length(110), Some(verified)),
            (Download, None, Checked::Length(111), Some(wrong(11))),
            (Download, None, Checked::Length(20), Some(wrong(0))),
            (Download, Some(10), Checked::Length(111), Some(wrong(11))),
            (Download, Some(12), Checked::Length(110), Some(wrong(12))),
            (Download, Some(10), Checked::Nothing, Some(verified)),
            (Download, Some(12), Checked::Nothing, None),
            (Download, None, Checked::Nothing, None),
            (Upload, None, Checked::Length(110), Some(verified)),
            (Upload, None, Checked::Length(109), None),
            (Upload, None, Checked::Length(111), None),
            (Upload, None, Checked::Length(10), None),
            (Upload, None, Checked::Nothing, None),
        ];
        for (direction, expected, checked, verdict) in table {
            for lost in [true, false] {
                let case = format!("{direction:?} {expected:?} {checked:?} {lost}");
                let mut transfer = UserTransfer::new(direction, expected).comparable(100);
                transfer.on_data(DataEvent::Connected);
                assert_eq!(transfer.on_data(DataEvent::Ended { bytes: 10 }), Step::Wait);
                let step = if lost {
                    transfer.on_control_lost()
                } else {
                    transfer.on_timeout(Timeout::Reply)
                };
                assert_eq!(step, Step::Check, "{case}");
                let seen = transfer.on_checked(checked);
                assert_eq!(seen, verdict.map_or(Step::Wait, Step::Done), "{case}");
                if verdict.is_some() {
                    continue;
                }
                // Later it fits, or the reply comes after all, or the time is over.
                let mut later = transfer.clone();
                if direction == Upload {
                    let step = later.on_checked(Checked::Length(110));
                    assert_eq!(step, Step::Done(verified), "{case}");
                }
                let mut late = transfer.clone();
                assert!(matches!(reply(&mut late, 226), Step::Done(_)), "{case}");
                let over = transfer.on_timeout(Timeout::Confirmation);
                let unconfirmed = Verdict::Unconfirmed { bytes: 10 };
                let expected = if lost {
                    Step::Done(unconfirmed)
                } else {
                    Step::Abort(unconfirmed)
                };
                assert_eq!(over, expected, "{case}");
            }
        }
    }

    #[test]
    fn a_server_that_ends_the_control_connection_says_nothing_about_the_file() {
        let mut transfer = UserTransfer::new(Direction::Upload, None).comparable(0);
        transfer.on_data(DataEvent::Connected);
        assert_eq!(reply(&mut transfer, 150), Step::Wait);
        let mut early = transfer.clone();
        assert_eq!(reply(&mut early, 421), Step::Wait);
        assert_eq!(early.on_data(DataEvent::Ended { bytes: 10 }), Step::Check);
        transfer.on_data(DataEvent::Ended { bytes: 10 });
        assert_eq!(reply(&mut transfer, 421), Step::Check);
        let verified = Step::Done(Verdict::Verified { bytes: 10 });
        assert_eq!(transfer.on_checked(Checked::Length(10)), verified);
        // Nothing to compare: it stands as it was said.
        let mut transfer = UserTransfer::new(Direction::Upload, None);
        transfer.on_data(DataEvent::Ended { bytes: 10 });
        assert!(matches!(
            reply(&mut transfer, 421),
            Step::Done(Verdict::Refused { .. } | Verdict::Failed { .. })
        ));
    }

    #[test]
    fn nonsense_is_not_verified() {
        let mut transfer = UserTransfer::new(Direction::Download, Some(10)).comparable(0);
        transfer.on_data(DataEvent::Ended { bytes: 10 });
        let unconfirmed = Step::Done(Verdict::Unconfirmed { bytes: 10 });
        assert_eq!(transfer.on_nonsense(), unconfirmed);
        assert_eq!(transfer.on_checked(Checked::Length(10)), unconfirmed);
    }

    #[test]
    fn data_that_still_moves_may_end_after_the_control_connection() {
        let mut transfer = UserTransfer::new(Direction::Download, None).comparable(0);
        transfer.on_data(DataEvent::Connected);
        assert_eq!(transfer.on_control_lost(), Step::Wait);
        let mut broken = transfer.clone();
        assert_eq!(
            transfer.on_data(DataEvent::Ended { bytes: 10 }),
            Step::Check
        );
        assert_eq!(
            broken.on_data(DataEvent::Broken { bytes: 10 }),
            Step::Done(Verdict::Broken { bytes: 10 })
        );
        // What broke is not whole because a file of the same length lies there.
        assert_eq!(
            broken.on_checked(Checked::Length(10)),
            Step::Done(Verdict::Broken { bytes: 10 })
        );
    }

    #[test]
    fn a_lost_control_connection_leaves_whole_data_unconfirmed() {
        let mut transfer = UserTransfer::new(Direction::Download, Some(10));
        transfer.on_data(DataEvent::Ended { bytes: 10 });
        assert_eq!(
            transfer.on_control_lost(),
            Step::Done(Verdict::Unconfirmed { bytes: 10 })
        );
        let mut transfer = UserTransfer::new(Direction::Download, Some(10));
        transfer.on_data(DataEvent::Connected);
        assert_eq!(transfer.on_control_lost(), Step::Done(Verdict::ControlLost));
    }
}
