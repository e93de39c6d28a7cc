//! What the server says while the data moves.
//!
//! A final reply may overtake the data. A positive one in the middle of a download says only that the server has written
//! everything. A negative one ends the transfer: to an upload at once, for nobody reads what would be sent (RFC 959 §5.4:
//! 426, 452, 552); to a download as soon as what is still under way has come, so that as much as possible can be continued.
//! 421 says nothing about the file where its length can be compared afterwards (see
//! [`UserTransfer`](wharf_proto::user_transfer::UserTransfer)).

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep};
use wharf_proto::user_transfer::Direction;
use wharf_proto::{Reply, ReplyClass};

use crate::client::Client;

/// Listens to the control connection beside a data connection.
pub(crate) struct Overheard {
    direction: Direction,
    /// The length of the remote file can be compared, whatever becomes of the control connection.
    pub(crate) comparable: bool,
    /// The final reply, once it is there.
    reply: Option<Reply>,
    /// After a refusal: when something was last seen to move, and the time that silence has.
    last: u64,
    silence: Option<Pin<Box<Sleep>>>,
}

impl Overheard {
    /// `reply`: the final one, if it came together with the data connection.
    pub(crate) fn new(direction: Direction, reply: Option<Reply>) -> Self {
        Self {
            direction,
            comparable: false,
            reply,
            last: 0,
            silence: None,
        }
    }

    /// The final reply, if it was heard meanwhile.
    pub(crate) fn take(&mut self) -> Option<Reply> {
        self.reply.take()
    }

    /// Ready: the server has ended the transfer and nothing more need be moved. `moved`: bytes so far. To be polled when
    /// the data connection has to wait.
    pub(crate) fn poll_end(
        &mut self,
        client: &mut Client,
        moved: u64,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        // A connection that is lost is judged when the data has ended.
        while self.reply.is_none() && !client.dialogue.is_lost() {
            match pin!(client.dialogue.any_reply()).poll(cx) {
                Poll::Ready(Ok(reply)) if reply.class() != ReplyClass::Preliminary => {
                    client.in_transfer = false;
                    self.reply = Some(reply);
                }
                Poll::Ready(_) => {}
                Poll::Pending => break,
            }
        }
        match &self.reply {
            None => Poll::Pending,
            Some(reply) if reply.code() == 421 && self.comparable => Poll::Pending,
            Some(_) if self.direction == Direction::Upload => Poll::Ready(()),
            Some(reply) if reply.class() == ReplyClass::Completion => Poll::Pending,
            Some(_) => self.poll_silence(client, moved, cx),
        }
    }

    fn poll_silence(&mut self, client: &Client, moved: u64, cx: &mut Context<'_>) -> Poll<()> {
        let patience = client.dialogue.patience();
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        if moved > self.last {
            self.last = moved;
            silence.as_mut().reset(Instant::now() + patience);
        }
        silence.as_mut().poll(cx)
    }

    /// Moves data until that is done. `None`: the server has ended the transfer before.
    pub(crate) async fn unless_ended<T>(
        &mut self,
        client: &mut Client,
        moved: impl Fn() -> u64,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => self.poll_end(client, moved(), cx).map(|()| None),
        })
        .await
    }
}
