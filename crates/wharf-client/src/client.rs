//! A logged-in session: what is known about the server, and the way back when the control connection is lost.
//!
//! A `Client` has one owner, and an operation borrows it: there is no second transfer on the same control connection, and
//! no lock. Whatever is dropped half-way leaves a mark here; the next operation first brings both sides in step again
//! ([`Client::ready`]).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;
use wharf_net::tls::Handshake;
use wharf_proto::data_connection::path::Path;
use wharf_proto::data_connection::plan::Plan;
use wharf_proto::data_connection::policy::PathPolicy;
use wharf_proto::{Command, Features, Pathname, Reply, ReplyClass, RepresentationType};

use crate::connect::{Login, Place, Session};
use crate::dialogue::Dialogue;
use crate::error::{Access, Error, ErrorKind, Result};
use crate::experience::AFTER_CCC;
use crate::listing::Listings;
use crate::options::{DataModeChoice, Options};
use crate::target::Endpoint;
use crate::tls::{CccChoice, TlsChoice};

/// A user-PI that is logged in. See the methods: one a verb, and the helpers for local files.
pub struct Client {
    pub(crate) place: Place,
    pub(crate) login: Login,
    pub(crate) dialogue: Dialogue,
    /// A transfer command was sent and its final reply has not been read.
    pub(crate) in_transfer: bool,
    pub(crate) plan: Box<Plan>,
    /// When the last search for a data connection had found nothing in spite of all patience.
    pub(crate) hopeless: Option<Instant>,
    /// A data connection that did not resume the TLS session has carried a transfer: the server does not insist.
    pub(crate) unresumed_borne: bool,
    /// A data connection has resumed it.
    pub(crate) resumed_before: bool,
    /// What earlier runs have found out about data connections has been looked at.
    pub(crate) recalled: bool,
    features: Option<Features>,
    /// Verbs that the server does not know, whatever FEAT says.
    refused: BTreeSet<&'static str>,
    welcome: Reply,
    /// TYPE for the next file transfer.
    wanted: RepresentationType,
    /// What listings have told about the server.
    pub(crate) listings: Listings,
    /// Where `change_dir` has led, for logging in anew; `None` is the login directory.
    directory: Option<Pathname>,
    pub(crate) notes: Vec<String>,
    warnings: Vec<String>,
    /// How many of them were taken.
    warned: usize,
}

impl Client {
    pub(crate) fn new(
        mut place: Place,
        login: Login,
        mut dialogue: Dialogue,
        features: Option<Features>,
        welcome: Reply,
    ) -> Self {
        let warnings = dialogue.take_warnings();
        let peer = dialogue.control().peer_addr();
        // One that has refused CCC is not asked again.
        place.ccc &= !dialogue.control().is_secured();
        // A new login must come to the same machine: another address of the name may hold other files.
        place.addresses = vec![peer];
        let own = dialogue.control().local_addr();
        let plan = Box::new(planned(&place, peer.ip(), own.ip()));
        Self {
            place,
            login,
            dialogue,
            in_transfer: false,
            plan,
            hopeless: None,
            unresumed_borne: false,
            resumed_before: false,
            recalled: false,
            features,
            refused: BTreeSet::new(),
            welcome,
            wanted: RepresentationType::Image,
            listings: Listings::default(),
            directory: None,
            notes: Vec::new(),
            warnings,
            warned: 0,
        }
    }

    /// The name and port that were connected to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.place.endpoint
    }

    /// The server's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.dialogue.control().peer_addr()
    }

    /// Our end of the control connection.
    pub fn local_addr(&self) -> SocketAddr {
        self.dialogue.control().local_addr()
    }

    /// The TLS that the control connection is in; `None` in clear.
    pub fn tls(&self) -> Option<Handshake> {
        self.dialogue.control().handshake()
    }

    /// Whether the next data connections are in TLS (PROT P).
    pub fn protects_data(&self) -> bool {
        self.dialogue.data_session().is_some()
    }

    /// The settings this client was made with.
    pub fn options(&self) -> &Options {
        &self.place.options
    }

    /// Chooses the data mode of the next transfers. What was found out about ways to a data connection is forgotten.
    pub fn set_data_mode(&mut self, choice: DataModeChoice) {
        Arc::make_mut(&mut self.place.options).data_mode = choice;
        *self.plan = planned(&self.place, self.peer_addr().ip(), self.local_addr().ip());
        self.recalled = false;
        self.hopeless = None;
    }

    /// Whether EPSV and EPRT may be used, see [`Options::extended_ipv4`]. What was found out about ways to a data
    /// connection is forgotten.
    pub fn set_extended(&mut self, ipv4: bool, ipv6: bool) {
        let options = Arc::make_mut(&mut self.place.options);
        options.extended_ipv4 = ipv4;
        options.extended_ipv6 = ipv6;
        self.set_data_mode(self.place.options.data_mode);
    }

    /// Whether downloads of text keep the line ends of the wire, see [`Options::keep_line_ends`].
    pub fn set_keep_line_ends(&mut self, keep: bool) {
        Arc::make_mut(&mut self.place.options).keep_line_ends = keep;
    }

    /// The next transfer searches for a data connection, even if a moment ago no way was found. Without this, transfers
    /// fail at once for half a minute after a search that cost time and found nothing: of many files only the first shall
    /// cost it. For callers who ask a person in between, who may have changed something.
    pub fn search_again(&mut self) {
        self.hopeless = None;
    }

    /// Whether LIST and NLST ask for names with a leading dot, see [`Options::list_hidden`].
    pub fn set_list_hidden(&mut self, hidden: bool) {
        Arc::make_mut(&mut self.place.options).list_hidden = hidden;
    }

    /// What FEAT listed; `None` when the server does not know FEAT.
    pub fn features(&self) -> Option<&Features> {
        self.features.as_ref()
    }

    /// The reply that completed the login. It may hold a message of several lines.
    pub fn welcome(&self) -> &Reply {
        &self.welcome
    }

    /// The last reply of the server, to whatever it was.
    pub fn last_reply(&self) -> Option<&Reply> {
        self.dialogue.last()
    }

    /// The way on which the last data connection came about; `None` before the first one.
    pub fn data_way(&self) -> Option<Path> {
        self.plan.proven()
    }

    /// The way that the next run from this network will try first: it stands in [`Options::memory`].
    pub fn remembered_way(&self) -> Option<Path> {
        let memory = self.options().memory.as_ref()?;
        let (peer, own) = (self.peer_addr().ip(), self.local_addr().ip());
        let known = memory.recall(self.endpoint(), peer, own, SystemTime::now())?;
        let winner = known.winner?;
        Path::from_word(winner.strip_prefix(AFTER_CCC).unwrap_or(&winner))
    }

    /// Things that happened on the way and that a person may want to know: a data mode that did not work and the one that
    /// does, a new login. Each is told once.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// What is less protected than was hoped for: data connections in clear where PROT P was refused. Each is told once.
    pub fn take_warnings(&mut self) -> Vec<String> {
        let new = self
            .warnings
            .get(self.warned..)
            .unwrap_or_default()
            .to_vec();
        self.warned = self.warnings.len();
        new
    }

    pub(crate) fn warn(&mut self, warning: String) {
        tracing::info!("{warning}");
        // A new login brings what the last one has brought.
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(crate) fn note(&mut self, note: String) {
        tracing::info!("{note}");
        self.notes.push(note);
    }

    /// The representation type of the next file transfers; TYPE is sent with the first of them. Default: Image.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for EBCDIC and for byte sizes other than 8, which this client does not convert.
    pub fn set_type(&mut self, wanted: RepresentationType) -> Result<()> {
        if wharf_net::pump::Conversion::of(wanted).is_none() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "only TYPE A, I and L 8 are converted",
            ));
        }
        self.wanted = wanted;
        Ok(())
    }

    /// The representation type of the next file transfers.
    pub fn representation(&self) -> RepresentationType {
        self.wanted
    }

    pub(crate) fn is_binary(&self) -> bool {
        matches!(
            self.wanted,
            RepresentationType::Image | RepresentationType::Local(_)
        )
    }

    /// Sends TYPE if the server was last told another one.
    pub(crate) async fn apply_type(&mut self) -> Result<()> {
        self.ready().await?; // a new login knows no TYPE
        let wanted = self.wanted;
        if self.dialogue.needs_type(wanted) {
            self.command(Access::Other, &Command::Type(wanted)).await?;
        }
        Ok(())
    }

    pub(crate) fn moved_to(&mut self, directory: &Pathname) {
        self.directory = Some(match &self.directory {
            Some(before) => before.join(directory),
            None => directory.clone(),
        });
    }

    /// Whether it is worth asking the server this verb: FEAT lists it, or there is no FEAT and the verb is older than
    /// FEAT's habit, and the server has not refused it yet.
    pub(crate) fn offers(&self, verb: &'static str) -> bool {
        if self.refused.contains(verb) {
            return false;
        }
        match &self.features {
            Some(features) => features.has(if verb == "MLSD" { "MLST" } else { verb }),
            None => matches!(verb, "SIZE" | "MDTM"),
        }
    }

    /// Whether REST is worth trying: it is older than FEAT, so only a refusal rules it out.
    pub(crate) fn offers_restart(&self) -> bool {
        !self.refused.contains("REST")
    }

    /// Whether the server has refused the verb as such in this session.
    pub(crate) fn has_refused(&self, verb: &'static str) -> bool {
        self.refused.contains(verb)
    }

    /// The server does not know the verb after all.
    pub(crate) fn not_offered(&mut self, verb: &'static str) {
        self.refused.insert(verb);
    }

    /// A command whose success is a 2yz reply.
    pub(crate) async fn command(&mut self, access: Access, command: &Command) -> Result<Reply> {
        let reply = self.ask(command).await?;
        match reply.class() {
            ReplyClass::Completion => Ok(reply),
            _ => Err(Error::refused(access, command.redacted(), reply)),
        }
    }

    /// A command and its final reply, whatever that is.
    pub(crate) async fn ask(&mut self, command: &Command) -> Result<Reply> {
        self.ready().await?;
        let reply = self
            .dialogue
            .exchange(command, self.place.options.reply_timeout)
            .await?;
        if matches!(reply.code(), 500 | 502) {
            self.refused.insert(command.word());
        }
        Ok(reply)
    }

    /// Makes sure that the next reply will answer the next command: aborts a transfer that was dropped, reads what is
    /// still owed, and logs in anew where the server does not come in step or is gone.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        match self.comes_in_step().await {
            Ok(()) => Ok(()),
            Err(why) => self.log_in_anew(why).await,
        }
    }

    /// The same without a new login; the error tells why one is needed.
    pub(crate) async fn comes_in_step(&mut self) -> std::result::Result<(), &'static str> {
        if self.dialogue.in_step() && !self.in_transfer {
            self.dialogue.overhear().await;
            if !self.dialogue.is_lost() {
                return Ok(());
            }
            return Err("the server had ended the session");
        }
        if !self.dialogue.is_lost() && self.dialogue.resynchronise(self.in_transfer).await {
            self.in_transfer = false;
            self.dialogue.keep_warm(false);
            return Ok(());
        }
        Err(if self.in_transfer {
            "the server did not come in step after a transfer was given up"
        } else {
            "the session had ended"
        })
    }

    /// Whether the control connection is of no use any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.dialogue.is_lost()
    }

    /// Whether it is in another directory than after the login.
    pub(crate) fn has_moved(&self) -> bool {
        self.directory.is_some()
    }

    /// Where `change_dir` has led; `None` is the login directory.
    pub(crate) fn directory(&self) -> Option<&Pathname> {
        self.directory.as_ref()
    }

    /// Goes back to a directory that [`directory`](Self::directory) told to be `before`.
    pub(crate) async fn come_back(
        &mut self,
        to: &Pathname,
        before: Option<Pathname>,
    ) -> Result<()> {
        self.change_dir(to).await?;
        self.directory = before;
        Ok(())
    }

    /// Takes back what its user may have set. `false`: that cannot be done.
    pub(crate) fn as_new(&mut self, options: &Options) -> bool {
        self.wanted = RepresentationType::Image;
        if self.options().data_mode != options.data_mode {
            self.set_data_mode(options.data_mode);
        }
        if self.options().list_hidden != options.list_hidden {
            self.set_list_hidden(options.list_hidden);
        }
        !self.has_moved()
    }

    pub(crate) async fn log_in_anew(&mut self, why: &str) -> Result<()> {
        self.dialogue.give_up();
        let dialogue = Box::pin(self.session().log_in()).await?;
        self.go_on_with(dialogue);
        self.note(format!("{why}; logged in anew"));
        Ok(())
    }

    /// What it takes to be logged in once more, in the same directory; independent of this client, so that both can be at
    /// work.
    pub(crate) fn session(&self) -> Session {
        Session {
            place: self.place.clone(),
            login: self.login.clone(),
            features: self.features.is_some(),
            directory: self.directory.clone(),
        }
    }

    /// From here on this is the control connection; the one before is dropped.
    pub(crate) fn go_on_with(&mut self, mut dialogue: Dialogue) {
        dialogue.measured(self.dialogue.round_trip());
        let warnings = dialogue.take_warnings();
        self.dialogue = dialogue;
        self.in_transfer = false;
        for warning in warnings {
            self.warn(warning);
        }
    }

    /// Takes the control connection out of TLS (CCC, RFC 4217 §12.3), and every later one of this client. Data connections stay
    /// in TLS. Does nothing where it is in clear already.
    ///
    /// # Errors
    /// The server refuses, and the connection stays as it is; [`ErrorKind::Tls`] when it ends TLS in a way that cannot be
    /// trusted, after which the next operation logs in anew.
    pub async fn leave_tls(&mut self) -> Result<()> {
        self.ready().await?;
        if !self.dialogue.control().is_secured() {
            return Ok(());
        }
        let within = self.place.options.reply_timeout;
        let left = self.dialogue.leave_tls(within).await?;
        let refused = |reply| Error::refused(Access::Other, Command::Ccc.redacted(), reply);
        left.map_err(refused)?;
        self.place.ccc = true;
        Ok(())
    }

    /// Takes the session into TLS, if it is not in it: logs in anew, for whatever was said in clear may have been changed on
    /// the way. From here on TLS is required.
    ///
    /// # Errors
    /// [`ErrorKind::Tls`] and those of a login; the session is over then.
    pub async fn enter_tls(&mut self) -> Result<()> {
        self.ready().await?;
        let options = Arc::make_mut(&mut self.place.options);
        options.tls.choice = TlsChoice::Require;
        if self.dialogue.control().is_secured() {
            return Ok(());
        }
        let Endpoint { host, port } = self.place.near();
        let verifier = self.place.options.tls.trust.verifier(host, *port);
        self.place.verifier = Some(verifier.map_err(|error| self.place.no_tls(error))?);
        self.place.ccc = false;
        self.log_in_anew("TLS was asked for").await
    }

    /// Whether data connections are to be in TLS (PROT P, PROT C), those of later logins of this client, too.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] without TLS, and for data in clear where TLS is required; the server refuses.
    pub async fn protect_data(&mut self, protect: bool) -> Result<()> {
        self.ready().await?;
        let argument = |what: &str| Err(Error::new(ErrorKind::Argument, what));
        let Some(protection) = &self.dialogue.protection else {
            return argument(
                "without TLS on the control connection no data connection can be in TLS",
            );
        };
        if !protect && protection.is_required() {
            return argument("TLS is required, for data connections as well");
        }
        let within = self.place.options.reply_timeout;
        let reply = self.dialogue.protect(protect, within).await?;
        if reply.class() != ReplyClass::Completion {
            let level = if protect { "PROT P" } else { "PROT C" };
            return Err(Error::refused(Access::Other, level, reply));
        }
        self.place.data_in_clear = !protect;
        Ok(())
    }

    /// Whether the control connection has left TLS.
    pub fn left_tls(&self) -> bool {
        self.dialogue.protection.is_some() && !self.dialogue.control().is_secured()
    }

    /// Stops what was dropped half-way (a transfer, a reply that nobody waited for) now instead of with the next
    /// operation. Does nothing when both sides are in step.
    ///
    /// # Errors
    /// Those of a new login, where one is needed.
    pub async fn abort(&mut self) -> Result<()> {
        self.ready().await
    }

    /// QUIT, and the end of the control connection. A server that does not answer is left after a moment, and one that is
    /// still in the middle of a transfer at once.
    pub async fn quit(mut self) {
        if self.dialogue.is_lost() || self.in_transfer {
            return;
        }
        let within = self.dialogue.patience();
        if self.dialogue.exchange(&Command::Quit, within).await.is_ok() {
            self.dialogue.close().await;
        }
    }

    pub(crate) fn net(&self) -> Arc<dyn wharf_net::Net> {
        Arc::clone(&self.place.net)
    }
}

/// The ways to a data connection that the settings leave.
fn planned(place: &Place, peer: IpAddr, own: IpAddr) -> Plan {
    let options = &place.options;
    Plan::new(PathPolicy {
        choice: options.data_mode.planned(),
        data_host: options.data_host.planned(),
        external_address: options.active_addr.is_some(),
        mapper: place.net.mapper().is_some(),
        ccc: options.tls.ccc == CccChoice::Auto,
        extended: if peer.to_canonical().is_ipv4() {
            options.extended_ipv4
        } else {
            options.extended_ipv6
        },
        patience: options.data_timeout,
        ..PathPolicy::auto(peer, own)
    })
}

impl std::fmt::Debug for Client {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Client")
            .field("endpoint", &self.place.endpoint)
            .field("user", &self.login.user)
            .field("in_transfer", &self.in_transfer)
            .finish_non_exhaustive()
    }
}
