//! How bytes pass a data connection: counted, held to the rate, and with the end that they have.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::DataConnection;

impl AsyncRead for DataConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let allowed = match &mut self.throttle {
            Some(throttle) => ready!(throttle.poll_allowed(cx)),
            None => usize::MAX,
        };
        let before = buf.filled().len();
        let polled = if allowed < buf.remaining() {
            let mut part = ReadBuf::new(buf.initialize_unfilled_to(allowed));
            let polled = Pin::new(&mut self.conn).poll_read(cx, &mut part);
            let read = part.filled().len();
            buf.advance(read);
            polled
        } else {
            Pin::new(&mut self.conn).poll_read(cx, buf)
        };
        let read = buf.filled().len() - before;
        if let Some(throttle) = &self.throttle {
            throttle.moved(read);
        }
        match polled {
            Poll::Ready(Ok(())) if read == 0 && buf.remaining() > 0 => self.end(),
            Poll::Ready(Ok(())) => self.count(read),
            Poll::Ready(Err(ref error))
                if self.takes_cut && error.kind() == io::ErrorKind::UnexpectedEof =>
            {
                self.cut = true;
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Err(_)) => self.broken = true,
            Poll::Pending => (),
        }
        polled
    }
}

impl AsyncWrite for DataConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let allowed = match &mut self.throttle {
            Some(throttle) => ready!(throttle.poll_allowed(cx)),
            None => usize::MAX,
        };
        let buf = buf.get(..allowed).unwrap_or(buf);
        let polled = Pin::new(&mut self.conn).poll_write(cx, buf);
        match polled {
            Poll::Ready(Ok(written)) => {
                if let Some(throttle) = &self.throttle {
                    throttle.moved(written);
                }
                self.count(written);
            }
            Poll::Ready(Err(_)) => self.broken = true,
            Poll::Pending => (),
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.conn).poll_shutdown(cx);
        if matches!(polled, Poll::Ready(Ok(()))) {
            self.end();
        }
        polled
    }
}
