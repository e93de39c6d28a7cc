//! A session that is lent: used like a [`Client`], given back when it is dropped.

use std::ops::{Deref, DerefMut};

use super::Pool;
use crate::client::Client;
use crate::options::Options;

/// A session of a [`Pool`]. Dropping it gives it back, also in the middle of a transfer: the next taker's session is brought
/// in step first, and one that does not come in step is closed and replaced. So is one whose directory was changed: names
/// in a pool are absolute, or begin in the login directory.
pub struct Lent {
    /// `None` only while it is dropped.
    client: Option<Box<Client>>,
    pool: Pool,
}

impl Lent {
    pub(super) fn new(client: Box<Client>, pool: Pool) -> Self {
        Self {
            client: Some(client),
            pool,
        }
    }

    /// Closes the session instead of giving it back; its place in the pool is free.
    pub fn discard(mut self) {
        if let Some(client) = self.client.take() {
            self.pool.gone(client);
        }
    }

    /// The pool it belongs to.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Brings it in step and into the state of a new one. `false`: that cannot be done.
    pub(super) async fn is_fit(&mut self, options: &Options) -> bool {
        let client: &mut Client = self;
        client.comes_in_step().await.is_ok() && client.as_new(options)
    }
}

impl Deref for Lent {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_deref().expect("taken only by drop")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Client {
        self.client.as_deref_mut().expect("taken only by drop")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            self.pool.give_back(client);
        }
    }
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Lent")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
