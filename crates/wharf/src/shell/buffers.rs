//! The buffers of sockets (`-x`, `sndbuf`, `rcvbuf`, `xferbuf`): a network whose sockets have them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use rustix::net::sockopt;
use wharf_net::mapping::PortMapper;
use wharf_net::{Conn, Flow, ListenAt, Listener, Net, Source};

use super::table::Buffers;

/// Sizes for the sockets to come, in bytes; 0 leaves it to the system. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct BufferSizes(Arc<(AtomicUsize, AtomicUsize)>);

impl BufferSizes {
    pub(crate) fn set(&self, which: Buffers, size: usize) {
        if which != Buffers::Receive {
            self.0.0.store(size, Ordering::Relaxed);
        }
        if which != Buffers::Send {
            self.0.1.store(size, Ordering::Relaxed);
        }
    }

    /// Send and receive.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        let size = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        (size(&self.0.0), size(&self.0.1))
    }

    /// The system gives what it allows, which is no reason to do without the connection.
    fn apply(&self, conn: &Conn) {
        let Some(socket) = conn.as_tcp() else {
            return;
        };
        let (send, receive) = self.sizes();
        if send > 0 {
            let _ = sockopt::set_socket_send_buffer_size(socket, send);
        }
        if receive > 0 {
            let _ = sockopt::set_socket_recv_buffer_size(socket, receive);
        }
    }
}

/// A network whose sockets have buffers of a size.
pub(crate) struct Buffered {
    pub(crate) below: Arc<dyn Net>,
    pub(crate) sizes: BufferSizes,
}

#[async_trait]
impl Net for Buffered {
    async fn connect(&self, from: Source, to: SocketAddr) -> io::Result<Conn> {
        let conn = self.below.connect(from, to).await?;
        self.sizes.apply(&conn);
        Ok(conn)
    }

    async fn connect_within(&self, from: Source, to: SocketAddr, hops: u8) -> io::Result<Conn> {
        self.below.connect_within(from, to, hops).await
    }

    async fn listen(&self, at: ListenAt) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(BufferedListener {
            listener: self.below.listen(at).await?,
            sizes: self.sizes.clone(),
        }))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.below.resolve(host, port).await
    }

    fn descriptors(&self) -> usize {
        self.below.descriptors()
    }

    fn own_address(&self) -> Option<IpAddr> {
        self.below.own_address()
    }

    fn mapper(&self) -> Option<Arc<dyn PortMapper>> {
        self.below.mapper()
    }
}

struct BufferedListener {
    listener: Box<dyn Listener>,
    sizes: BufferSizes,
}

#[async_trait]
impl Listener for BufferedListener {
    async fn accept(&mut self) -> io::Result<Conn> {
        let conn = self.listener.accept().await?;
        self.sizes.apply(&conn);
        Ok(conn)
    }

    fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    fn announce(&mut self, flow: Flow) {
        self.listener.announce(flow);
    }

    async fn settle(&mut self) -> io::Result<()> {
        self.listener.settle().await
    }
}
