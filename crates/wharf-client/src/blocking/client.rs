//! The session, one method a verb.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Runtime;
use wharf_net::{Net, TcpNet};
use wharf_proto::{Pathname, Reply, Text, Timestamp};

use super::{Download, Listing, Upload, runtime};
use crate::connect::{Login, connect, open};
use crate::entry::Entry;
use crate::error::Result;
use crate::file::{FileOptions, Moved};
use crate::options::Options;
use crate::target::Target;

/// A session that is logged in, see [`crate::Client`].
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    inner: crate::Client,
}

impl Client {
    /// As [`crate::open`], over the system's network.
    ///
    /// # Errors
    /// Those of connecting and logging in.
    pub fn open(target: &Target, options: Options) -> Result<Self> {
        let runtime = runtime()?;
        let net = Arc::new(TcpNet::new());
        let inner = runtime.block_on(Box::pin(open(net, target, options)))?;
        Ok(Self { runtime, inner })
    }

    /// As [`crate::connect`] and [`crate::Greeting::login`], over any network.
    ///
    /// # Errors
    /// Those of connecting and logging in.
    pub fn log_in(
        net: Arc<dyn Net>,
        target: &Target,
        login: Login,
        options: Options,
    ) -> Result<Self> {
        let runtime = runtime()?;
        let options = options.for_scheme(target.scheme());
        let inner = runtime.block_on(Box::pin(async {
            let greeting = connect(net, target.endpoint(), options).await?;
            greeting.login(login).await
        }))?;
        Ok(Self { runtime, inner })
    }

    /// Does something with the session that has no method here.
    ///
    /// ```no_run
    /// # fn example(client: &mut wharf_client::blocking::Client) -> wharf_client::Result<()> {
    /// client.with(async |client| client.noop().await)?;
    /// # Ok(()) }
    /// ```
    pub fn with<T>(&mut self, act: impl AsyncFnOnce(&mut crate::Client) -> T) -> T {
        self.runtime.block_on(act(&mut self.inner))
    }

    /// The session, for everything that waits for nothing: settings, notes, what is known about the server.
    pub fn session(&mut self) -> &mut crate::Client {
        &mut self.inner
    }

    /// See [`crate::Client::retrieve`].
    ///
    /// # Errors
    /// Those of that.
    pub fn retrieve(&mut self, path: &Pathname, offset: u64) -> Result<Download<'_>> {
        let Self { runtime, inner } = self;
        let download = runtime.block_on(inner.retrieve(path, offset))?;
        Ok(Download::new(runtime, download))
    }

    /// See [`crate::Client::store`].
    ///
    /// # Errors
    /// Those of that.
    pub fn store(&mut self, path: &Pathname, offset: u64) -> Result<Upload<'_>> {
        let Self { runtime, inner } = self;
        let upload = runtime.block_on(inner.store(path, offset))?;
        Ok(Upload::new(runtime, upload))
    }

    /// See [`crate::Client::append`].
    ///
    /// # Errors
    /// Those of that.
    pub fn append(&mut self, path: &Pathname) -> Result<Upload<'_>> {
        let Self { runtime, inner } = self;
        let upload = runtime.block_on(inner.append(path))?;
        Ok(Upload::new(runtime, upload))
    }

    /// See [`crate::Client::listing`].
    ///
    /// # Errors
    /// Those of that.
    pub fn listing(&mut self, path: Option<&Pathname>) -> Result<Listing<'_>> {
        let Self { runtime, inner } = self;
        let listing = runtime.block_on(inner.listing(path))?;
        Ok(Listing::new(runtime, listing))
    }

    /// See [`crate::Client::list`].
    ///
    /// # Errors
    /// Those of that.
    pub fn list(&mut self, path: Option<&Pathname>) -> Result<Vec<Entry>> {
        self.runtime.block_on(self.inner.list(path))
    }

    /// See [`crate::Client::entry`].
    ///
    /// # Errors
    /// Those of that.
    pub fn entry(&mut self, path: &Pathname) -> Result<Entry> {
        self.runtime.block_on(self.inner.entry(path))
    }

    /// See [`crate::Client::retrieve_to_file`].
    ///
    /// # Errors
    /// Those of that.
    pub fn retrieve_to_file(
        &mut self,
        remote: &Pathname,
        local: &Path,
        how: &FileOptions,
    ) -> Result<Moved> {
        let work = self.inner.retrieve_to_file(remote, local, how);
        self.runtime.block_on(work)
    }

    /// See [`crate::Client::store_from_file`].
    ///
    /// # Errors
    /// Those of that.
    pub fn store_from_file(
        &mut self,
        local: &Path,
        remote: &Pathname,
        how: &FileOptions,
    ) -> Result<Moved> {
        let work = self.inner.store_from_file(local, remote, how);
        self.runtime.block_on(work)
    }

    /// See [`crate::Client::change_dir`].
    ///
    /// # Errors
    /// Those of that.
    pub fn change_dir(&mut self, path: &Pathname) -> Result<Reply> {
        self.runtime.block_on(self.inner.change_dir(path))
    }

    /// See [`crate::Client::current_dir`].
    ///
    /// # Errors
    /// Those of that.
    pub fn current_dir(&mut self) -> Result<Pathname> {
        self.runtime.block_on(self.inner.current_dir())
    }

    /// See [`crate::Client::make_dir`].
    ///
    /// # Errors
    /// Those of that.
    pub fn make_dir(&mut self, path: &Pathname) -> Result<Pathname> {
        self.runtime.block_on(self.inner.make_dir(path))
    }

    /// See [`crate::Client::remove_dir`].
    ///
    /// # Errors
    /// Those of that.
    pub fn remove_dir(&mut self, path: &Pathname) -> Result<Reply> {
        self.runtime.block_on(self.inner.remove_dir(path))
    }

    /// See [`crate::Client::remove_file`].
    ///
    /// # Errors
    /// Those of that.
    pub fn remove_file(&mut self, path: &Pathname) -> Result<Reply> {
        self.runtime.block_on(self.inner.remove_file(path))
    }

    /// See [`crate::Client::rename`].
    ///
    /// # Errors
    /// Those of that.
    pub fn rename(&mut self, from: &Pathname, to: &Pathname) -> Result<Reply> {
        self.runtime.block_on(self.inner.rename(from, to))
    }

    /// See [`crate::Client::size`].
    ///
    /// # Errors
    /// Those of that.
    pub fn size(&mut self, path: &Pathname) -> Result<Option<u64>> {
        self.runtime.block_on(self.inner.size(path))
    }

    /// See [`crate::Client::modified`].
    ///
    /// # Errors
    /// Those of that.
    pub fn modified(&mut self, path: &Pathname) -> Result<Option<Timestamp>> {
        self.runtime.block_on(self.inner.modified(path))
    }

    /// See [`crate::Client::set_modified`].
    ///
    /// # Errors
    /// Those of that.
    pub fn set_modified(&mut self, path: &Pathname, time: Timestamp) -> Result<Reply> {
        self.runtime.block_on(self.inner.set_modified(path, time))
    }

    /// See [`crate::Client::quote`].
    ///
    /// # Errors
    /// Those of that.
    pub fn quote(&mut self, line: Text) -> Result<Reply> {
        self.runtime.block_on(self.inner.quote(line))
    }

    /// See [`crate::Client::quit`].
    pub fn quit(self) {
        self.runtime.block_on(self.inner.quit());
    }
}
