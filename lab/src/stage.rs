//! A network with one server on it: where crashes, hostile input and single questions are tried.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::certificates::Certificates;
use crate::network::Network;
use crate::payload::Workspace;
use crate::process::isolate;
use crate::server::{self, Kind, PASSWORD, Place, Server, ServerPlan, Tls, USER};
use crate::topology::{self, Topology};
use crate::{Result, Settings};

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
    /// With this both ends speak TLS, and nothing else.
    pub(crate) certificates: Option<Certificates>,
    kind: Kind,
    row: Topology,
    /// Working directory of the stage.
    pub(crate) work: Workspace,
}

impl Stage {
    /// Lays the plain network and makes the directories, for the server that the settings name.
    pub(crate) fn build(settings: &Settings, what: &str) -> Result<Self> {
        Self::in_topology(settings, what, topology::PLAIN, settings.server)
    }

    /// Lays the network of a topology and makes the directories, for a server of this kind.
    pub(crate) fn in_topology(
        settings: &Settings,
        what: &str,
        row: Topology,
        kind: Kind,
    ) -> Result<Self> {
        let work = Workspace::create(what, false)?;
        let root = work.directory("root")?;
        let secret = work.path().join("secret");
        fs::write(&secret, PASSWORD)?;
        let network = Network::build(&row)?;
        Ok(Self {
            network,
            root,
            secret,
            wharf: settings.wharf.clone(),
            certificates: None,
            kind,
            row,
            work,
        })
    }

    /// From now on over TLS.
    pub(crate) fn secured(mut self) -> Result<Self> {
        let directory = self.work.path().join("certificates");
        self.certificates = Some(Certificates::make(&directory)?);
        Ok(self)
    }

    /// Starts the server; again, after it was killed.
    pub(crate) fn serve(&self) -> Result<Server> {
        self.serve_with(&[])
    }

    /// Starts the server; wharf's with further arguments besides those of the topology.
    pub(crate) fn serve_with(&self, further: &[&str]) -> Result<Server> {
        self.serve_bearing(further, "require")
    }

    /// The same; `data_session`: whether data connections have to resume the control connection's TLS session.
    pub(crate) fn serve_bearing(&self, further: &[&str], data_session: &str) -> Result<Server> {
        let further = [self.row.wharf, further].concat();
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
                passive: self.row.passive,
                advertise: self.row.advertise,
                max_sessions: 0,
                further: &further,
                lines: &[],
                tls: self.certificates.as_ref().map(|certificates| Tls {
                    data_session,
                    ..Tls::explicit(certificates)
                }),
            },
        )
    }

    /// What wharf's server is told of its passive ports and its address here, as flags.
    pub(crate) fn told(&self) -> Vec<String> {
        let (lo, hi) = self.row.passive;
        let mut flags = vec!["--passive-ports".to_owned(), format!("{lo}-{hi}")];
        if let Some(address) = self.row.advertise {
            flags.extend(["--advertise".to_owned(), address.to_owned()]);
        }
        flags
    }

    /// A command of the client's machine, at home in the working directory: what wharf remembers there
    /// is this stage's alone.
    pub(crate) fn client(&self, program: impl AsRef<Path>) -> Command {
        let mut command = self.network.client.command(program.as_ref());
        command.current_dir(self.work.path());
        isolate(&mut command, self.work.path());
        speak(&mut command, self.certificates.as_ref());
        command
    }
}

/// Tells wharf's client whether it is to speak TLS, and whom it is to trust then; others do not listen.
pub(crate) fn speak(command: &mut Command, certificates: Option<&Certificates>) {
    if let Some(certificates) = certificates {
        command.env("WHARF_TLS", "require");
        command.env("WHARF_CA", &certificates.authority);
    }
}
