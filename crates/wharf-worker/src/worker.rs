//! A worker's life: it serves a store to every connection that it is sent, and ends when nobody has needed it for a while
//! or whoever started it is gone.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use wharf_storage::Storage;

use crate::channel::{self, Channel};
use crate::order::Post;

/// Connections that a worker serves at the same time; the server's own limit of sessions is far below.
const CONNECTIONS: usize = 4096;

/// One end of the pair of sockets over which a worker gets its post and its connections.
#[derive(Debug)]
pub struct Worker {
    orders: OwnedFd,
}

impl Worker {
    /// Takes the post. Blocks.
    ///
    /// # Errors
    /// That end is no such socket, or what came over it is no post.
    pub fn begin(orders: OwnedFd) -> io::Result<(Self, Post)> {
        let strange = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let packet = channel::receive(&orders)?;
        let packet = packet.ok_or_else(|| strange("nobody is there".to_owned()))?;
        let post = Post::decode(&packet.bytes).map_err(|error| strange(error.to_string()))?;
        Ok((Self { orders }, post))
    }

    /// Serves until whoever started it is gone, or nobody has been connected for so long. A connection that is sent at
    /// that moment is either served or not accepted.
    ///
    /// # Errors
    /// The socket does not work.
    pub async fn run(self, store: Arc<dyn Storage>, idle: Duration) -> io::Result<()> {
        let orders = Channel::new(self.orders)?;
        let mut serving = JoinSet::new();
        loop {
            tokio::select! {
                packet = orders.receive(), if serving.len() < CONNECTIONS => match packet? {
                    None => return Ok(()),
                    Some(packet) => {
                        if let Some(connection) = packet.descriptor {
                            serving.spawn(crate::serve(Arc::clone(&store), connection));
                        }
                    }
                },
                ended = serving.join_next(), if !serving.is_empty() => {
                    if let Some(Ok(Err(error))) = ended {
                        tracing::warn!(%error, "a session's connection to its storage worker");
                    }
                }
                () = tokio::time::sleep(idle), if serving.is_empty() => {
                    orders.refuse_more()?;
                    // What came before that is served yet.
                    while let Some(packet) = orders.receive().await? {
                        if let Some(connection) = packet.descriptor {
                            serving.spawn(crate::serve(Arc::clone(&store), connection));
                        }
                    }
                    while serving.join_next().await.is_some() {}
                    return Ok(());
                }
            }
        }
    }
}
