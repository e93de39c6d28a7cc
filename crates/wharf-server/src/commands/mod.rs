//! What each command does. One match, one line a verb; the handlers stand in files named after the
//! sections of RFC 959 and the RFCs that followed.
//!
//! A handler reads top to bottom in the order of the wire, sends its preliminary reply itself and
//! returns the final one. No handler asks what the user may do: the storage of the login knows.

#![expect(
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "law 3: every handler has the one signature, whether it needs all of it or not"
)]

mod access_control;
pub(crate) mod digest;
mod file;
mod information;
pub(crate) mod lines;
mod listing;
mod pattern;
mod security;
mod site;
mod transfer;
mod transfer_parameter;

use wharf_proto::Command;

use crate::failure::Outcome;
use crate::session::Session;

impl Session {
    /// Carries out an admitted command
    pub(crate) async fn execute(&mut self, command: Command) -> Outcome {
        if !matches!(command, Command::Hash(_) | Command::Rang { .. }) {
            self.range = None;
        }
        match command {
            // Draft-bryan-ftpext-hash, and what was there before
            Command::Hash(_) | Command::Rang { .. } | Command::Checksum { .. }
                if !self.setup.config.digests =>
            {
                self.not_offered(&command)
            }
            Command::Hash(path) => self.hash(&path).await,
            Command::Rang { start, end } => self.rang(start, end),
            Command::Checksum {
                digest,
                path,
                range,
            } => self.checksum(digest, &path, range).await,
            // RFC 959 §4.1.1, access control
            Command::User(name) => self.user(name).await,
            Command::Pass(password) => self.pass(password).await,
            Command::Acct(_) => self.acct(),
            Command::Cwd(path) => self.cwd(&path).await,
            Command::Cdup => self.cdup().await,
            Command::Rein => self.rein(),
            Command::Quit => self.quit(),
            // §4.1.2, transfer parameters; RFC 2428; RFC 1639
            Command::Port(target) => self.port(target),
            Command::Eprt(argument) => self.eprt(argument),
            Command::Lprt(argument) => self.lprt(argument),
            Command::Pasv => self.pasv().await,
            Command::Epsv(argument) => self.epsv(argument).await,
            Command::Lpsv => self.lpsv().await,
            Command::Type(representation) => self.representation_type(representation),
            Command::Stru(structure) => self.structure(structure),
            Command::Mode(mode) => self.transfer_mode(mode),
            // §4.1.3, service: transfers
            Command::Retr(path) => self.retr(&path).await,
            Command::Stor(path) => self.stor(&path).await,
            Command::Stou(path) => self.stou(path.as_ref()).await,
            Command::Appe(path) => self.appe(&path).await,
            Command::Allo { bytes, .. } => self.allo(bytes).await,
            Command::Rest(at) => self.rest(at),
            Command::Abor => self.abor(),
            // §4.1.3, service: files; RFC 3659; draft-somers-ftp-mfxx
            Command::Rnfr(path) => self.rnfr(&path).await,
            Command::Rnto(path) => self.rnto(&path).await,
            Command::Dele(path) => self.dele(&path).await,
            Command::Rmd(path) => self.rmd(&path).await,
            Command::Mkd(path) => self.mkd(&path).await,
            Command::Pwd => self.pwd(),
            Command::Size(path) => self.size(&path).await,
            Command::Mdtm(path) => self.mdtm(&path).await,
            Command::MdtmSet { time, path } => self.mdtm_set(time, &path).await,
            Command::Mfmt { time, path } => self.mfmt(time, &path).await,
            Command::Mff { facts, path } => self.mff(&facts, &path).await,
            // §4.1.3, service: listings; RFC 3659 §7
            Command::List(argument) => self.list(&argument).await,
            Command::Nlst(argument) => self.nlst(&argument).await,
            Command::Mlst(path) => self.mlst(path.as_ref()).await,
            Command::Mlsd(path) => self.mlsd(path.as_ref()).await,
            Command::Stat(Some(argument)) => self.stat_path(&argument).await,
            // §4.1.3, service: information; RFC 2389
            Command::Stat(None) => self.stat(),
            Command::Syst => self.syst(),
            Command::Help(about) => self.help(about.as_ref()),
            Command::Noop => self.noop(),
            Command::Feat => self.feat(),
            Command::Opts { name, value } => self.opts(&name, value.as_ref()),
            Command::Clnt(name) => self.clnt(&name),
            Command::Lang(language) => self.lang(language.as_ref()),
            Command::Site(parameters) => self.site(&parameters).await,
            // RFC 2228; RFC 4217
            Command::Auth(_) => self.auth(),
            Command::Pbsz(_) => self.pbsz(),
            Command::Prot(level) => self.prot(&level),
            Command::Ccc => self.ccc(),
            // In the table, and deliberately not offered
            other => self.not_offered(&other),
        }
    }
}
