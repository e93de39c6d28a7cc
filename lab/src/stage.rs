//! A plain network with one wharf server on it: where crashes and hostile input are tried.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::network::Network;
use crate::payload::Workspace;
use crate::server::{self, Kind, PASSWORD, Place, Server, ServerPlan, USER};
use crate::{Result, Settings, topology};

/// The client's address there.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 130);
/// Another address of the client's machine, which the server takes for somebody else.
pub(crate) const STRANGER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 131);

/// The network, the server, the directory that it serves.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The network; first, so that it outlives the server on it.
    pub(crate) network: Network,
    /// The server's files.
    pub(crate) root: PathBuf,
    /// File with the user's password.
    pub(crate) secret: PathBuf,
    /// The released program.
    pub(crate) wharf: PathBuf,
    kind: Kind,
    /// Working directory of the stage.
    pub(crate) work: Workspace,
}

impl Stage {
    /// Lays the network and makes the directories.
    pub(crate) fn build(settings: &Settings, what: &str) -> Result<Self> {
        let work = Workspace::create(what, false)?;
        let root = work.directory("root")?;
        let secret = work.path().join("secret");
        fs::write(&secret, PASSWORD)?;
        let network = Network::build(&topology::PLAIN)?;
        Ok(Self {
            network,
            root,
            secret,
            wharf: settings.wharf.clone(),
            kind: settings.server,
            work,
        })
    }

    /// Starts the server; again, after it was killed.
    pub(crate) fn serve(&self) -> Result<Server> {
        server::start(
            self.kind,
            Place::Namespace(&self.network.server),
            &ServerPlan {
                wharf: &self.wharf,
                directory: &self.root,
                work: &self.work.directory("server")?,
                port: 21,
                user: USER,
                password: PASSWORD,
                passive: topology::RANGE,
                advertise: None,
                max_sessions: 0,
                further: &[],
            },
        )
    }
}
