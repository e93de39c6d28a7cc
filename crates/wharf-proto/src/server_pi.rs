//! The server-PI's state and rules: what may be asked now, and what a command leaves behind for the next one.
//!
//! The order for each line is: [`ServerPi::admit`], execute, then [`ServerPi::finish`]; a line that is no command ends
//! with [`ServerPi::finish_unreadable`]. What a command *does* is not here: the executor uses the setters once it
//! succeeded.
//!
//! | rule | answer | source |
//! |---|---|---|
//! | a verb that needs a login, before login | 530 | RFC 959 §5.4 |
//! | PASS without USER, ACCT without PASS | 503 | RFC 959 §5.4 |
//! | PASS or ACCT when nothing is missing | 202 | RFC 959 §5.4 "superfluous" |
//! | USER while logged in | admitted: a new login begins, as RFC 959 §4.1.1 allows; parameters stay | RFC 959 §4.1.1 |
//! | RNTO without an accepted RNFR directly before | 503 | RFC 959 §4.1.3 |
//! | PORT, PASV, EPRT, LPRT, LPSV after EPSV ALL | 503 | RFC 2428 §4 |
//! | TYPE E, A T, A C, L other than 8; STRU R, P; MODE B, C, Z | 504 | RFC 1123 §4.1.2.13: not of the minimum |
//! | AUTH, PBSZ, PROT, CCC, and what TLS is required for | | [`crate::security`] |
//!
//! RFC 959 §5.1's minimum is TYPE A N, STRU F, MODE S; the parameters start there and REIN returns them there.

use crate::command::{Command, Verb};
use crate::facts::FactSet;
use crate::host_port::EpsvArgument;
use crate::parameter::{Format, RepresentationType, Structure, TransferMode};
use crate::pathname::Pathname;
use crate::reply::Reply;
use crate::security::Security;
use crate::text::Text;

/// How far the login has come (RFC 959 §5.4, the USER/PASS/ACCT sequence).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginStage {
    /// No USER yet, or the last login failed.
    NoUser,
    /// USER was answered 331.
    NeedsPassword(Text),
    /// PASS (or USER) was answered 332.
    NeedsAccount(Text),
    /// Logged in.
    In(Text),
}

/// The state of one control connection on the server's side that belongs to the protocol.
#[derive(Debug, Clone)]
pub struct ServerPi {
    stage: LoginStage,
    cwd: Pathname,
    representation: RepresentationType,
    structure: Structure,
    transfer_mode: TransferMode,
    restart_marker: u64,
    rename_marker: Option<Pathname>,
    epsv_all: bool,
    utf8: bool,
    facts: FactSet,
    security: Security,
}

impl Default for ServerPi {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerPi {
    /// The state right after the greeting: nobody logged in, TYPE A N, STRU F, MODE S, names in UTF-8, all facts in
    /// MLSx.
    pub fn new() -> Self {
        Self {
            stage: LoginStage::NoUser,
            cwd: Pathname::root(),
            representation: RepresentationType::Ascii(Format::NonPrint),
            structure: Structure::File,
            transfer_mode: TransferMode::Stream,
            restart_marker: 0,
            rename_marker: None,
            epsv_all: false,
            utf8: true,
            facts: FactSet::all(),
            security: Security::default(),
        }
    }

    /// REIN: everything as after the greeting (RFC 959 §4.1.1). The selection of facts and EPSV ALL end, too: the next
    /// user must not inherit them. TLS ends as well (RFC 4217 §11).
    pub fn reinitialize(&mut self) {
        *self = Self {
            security: self.security.renewed(),
            ..Self::new()
        };
    }

    /// May this command be executed now? If not, the reply that says why.
    ///
    /// Admitting RNFR or REST forgets the marker that an earlier one set, so that a refused second RNFR leaves nothing
    /// to rename.
    pub fn admit(&mut self, command: &Command) -> Result<(), Reply> {
        if command.verb().needs_login && !self.is_logged_in() {
            return Err(Reply::new(530, "please log in with USER and PASS"));
        }
        self.security.admit(command)?;
        match command {
            Command::Pass(_) => self.admit_pass(),
            Command::Acct(_) => self.admit_acct(),
            Command::Port(_)
            | Command::Pasv
            | Command::Eprt(_)
            | Command::Lprt(_)
            | Command::Lpsv
                if self.epsv_all =>
            {
                Err(Reply::new(503, "only EPSV is allowed after EPSV ALL"))
            }
            Command::Type(representation) => admit_representation(*representation),
            Command::Stru(structure) => admit_structure(*structure),
            Command::Mode(mode) => admit_transfer_mode(*mode),
            Command::Rnto(_) if self.rename_marker.is_none() => {
                Err(Reply::new(503, "send RNFR directly before RNTO"))
            }
            Command::Rnfr(_) => {
                self.rename_marker = None;
                Ok(())
            }
            Command::Rest(_) => {
                self.restart_marker = 0;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn admit_pass(&self) -> Result<(), Reply> {
        match self.stage {
            LoginStage::NeedsPassword(_) => Ok(()),
            LoginStage::NoUser => Err(Reply::new(503, "send USER first")),
            LoginStage::NeedsAccount(_) => Err(Reply::new(503, "send ACCT now")),
            LoginStage::In(_) => Err(Reply::new(202, "already logged in")),
        }
    }

    fn admit_acct(&self) -> Result<(), Reply> {
        match self.stage {
            LoginStage::NeedsAccount(_) => Ok(()),
            LoginStage::NoUser => Err(Reply::new(503, "send USER first")),
            LoginStage::NeedsPassword(_) => Err(Reply::new(503, "send PASS first")),
            LoginStage::In(_) => Err(Reply::new(202, "no account is needed")),
        }
    }

    /// After a command was answered, whatever the answer: REST and RNFR reach only as far as the next command that is
    /// not one of those that may stand between marker and use ([`Verb::keeps_markers`]); RNFR keeps the marker it has
    /// just set. This is the only place where they die of age.
    pub fn finish(&mut self, verb: &'static Verb) {
        if verb.keeps_markers {
            return;
        }
        self.restart_marker = 0;
        if verb.word != "RNFR" {
            self.rename_marker = None;
        }
    }

    /// After a line that was no command (unknown verb, bad argument): the markers die. A REST that could not be read
    /// must not leave an older one in force.
    pub fn finish_unreadable(&mut self) {
        self.restart_marker = 0;
        self.rename_marker = None;
    }

    // Login.

    /// How far the login has come.
    pub fn stage(&self) -> &LoginStage {
        &self.stage
    }

    /// Is somebody logged in?
    pub fn is_logged_in(&self) -> bool {
        matches!(self.stage, LoginStage::In(_))
    }

    /// The name given with USER, at whatever stage.
    pub fn user(&self) -> Option<&Text> {
        match &self.stage {
            LoginStage::NoUser => None,
            LoginStage::NeedsPassword(user)
            | LoginStage::NeedsAccount(user)
            | LoginStage::In(user) => Some(user),
        }
    }

    /// USER was answered 331. Ends the login before, if there was one: "flushing any user, password, and account
    /// information already supplied" (RFC 959 §4.1.1). Transfer parameters stay.
    pub fn expect_password(&mut self, user: Text) {
        self.stage = LoginStage::NeedsPassword(user);
        self.cwd = Pathname::root();
    }

    /// USER or PASS was answered 332.
    pub fn expect_account(&mut self, user: Text) {
        self.stage = LoginStage::NeedsAccount(user);
        self.cwd = Pathname::root();
    }

    /// The login is complete (230); `home` becomes the working directory.
    pub fn logged_in(&mut self, user: Text, home: &Pathname) {
        self.stage = LoginStage::In(user);
        self.cwd = Pathname::root().join(home).normalize();
    }

    /// The login failed (530): USER is needed again.
    pub fn login_failed(&mut self) {
        self.stage = LoginStage::NoUser;
        self.cwd = Pathname::root();
    }

    // Security.

    /// How far AUTH, PBSZ, PROT and CCC have come.
    pub fn security(&self) -> &Security {
        &self.security
    }

    /// To tell what has become of AUTH, PBSZ, PROT and CCC.
    pub fn security_mut(&mut self) -> &mut Security {
        &mut self.security
    }

    // Pathnames.

    /// The working directory: absolute, in normal form.
    pub fn cwd(&self) -> &Pathname {
        &self.cwd
    }

    /// CWD or CDUP succeeded. A relative path is taken from the present working directory.
    pub fn set_cwd(&mut self, path: &Pathname) {
        self.cwd = self.resolve(path);
    }

    /// The absolute normal form of a pathname in a command. Never leaves `/`.
    pub fn resolve(&self, path: &Pathname) -> Pathname {
        self.cwd.join(path).normalize()
    }

    // Markers.

    /// REST was answered 350.
    pub fn set_restart_marker(&mut self, offset: u64) {
        self.restart_marker = offset;
    }

    /// The offset at which the transfer that is now executed begins; 0 without REST. Taken only once.
    pub fn take_restart_marker(&mut self) -> u64 {
        std::mem::take(&mut self.restart_marker)
    }

    /// RNFR was answered 350; `from` is resolved.
    pub fn set_rename_marker(&mut self, from: Pathname) {
        self.rename_marker = Some(from);
    }

    /// What RNTO renames. An admitted RNTO finds it there.
    pub fn take_rename_marker(&mut self) -> Option<Pathname> {
        self.rename_marker.take()
    }

    // Parameters.

    /// TYPE in force.
    pub fn representation(&self) -> RepresentationType {
        self.representation
    }

    /// TYPE was answered 200.
    pub fn set_representation(&mut self, representation: RepresentationType) {
        self.representation = representation;
    }

    /// STRU in force.
    pub fn structure(&self) -> Structure {
        self.structure
    }

    /// STRU was answered 200.
    pub fn set_structure(&mut self, structure: Structure) {
        self.structure = structure;
    }

    /// MODE in force.
    pub fn transfer_mode(&self) -> TransferMode {
        self.transfer_mode
    }

    /// MODE was answered 200.
    pub fn set_transfer_mode(&mut self, mode: TransferMode) {
        self.transfer_mode = mode;
    }

    /// Was EPSV ALL accepted?
    pub fn epsv_all(&self) -> bool {
        self.epsv_all
    }

    /// EPSV ALL was answered 200. It cannot be taken back, only REIN ends it (RFC 2428 §4).
    pub fn set_epsv_all(&mut self) {
        self.epsv_all = true;
    }

    /// Does the user read our names as UTF-8? True from the start (RFC 2640 §2.2 makes it the default); OPTS UTF8 OFF
    /// changes it. Pathnames are bytes in any case; only texts that we make up depend on it.
    pub fn utf8(&self) -> bool {
        self.utf8
    }

    /// OPTS UTF8 ON or OFF.
    pub fn set_utf8(&mut self, utf8: bool) {
        self.utf8 = utf8;
    }

    /// The facts that MLST and MLSD tell (OPTS MLST, RFC 3659 §7.9).
    pub fn facts(&self) -> &FactSet {
        &self.facts
    }

    /// OPTS MLST.
    pub fn set_facts(&mut self, facts: FactSet) {
        self.facts = facts;
    }
}

/// A NPrint, I and L 8 (the same as I here). `TYPE A N` is `TYPE A` spelled out. T and C ask for page control that
/// nobody prints any more; E was never found outside of mainframes; other byte sizes have no meaning on our storage.
fn admit_representation(representation: RepresentationType) -> Result<(), Reply> {
    match representation {
        RepresentationType::Ascii(Format::NonPrint)
        | RepresentationType::Image
        | RepresentationType::Local(8) => Ok(()),
        RepresentationType::Ascii(Format::Telnet | Format::Carriage) => Err(Reply::new(
            504,
            "of the ASCII formats only N (non-print) is implemented",
        )),
        RepresentationType::Ebcdic(_) => {
            Err(Reply::new(504, "TYPE E is not implemented, use A or I"))
        }
        RepresentationType::Local(_) => {
            Err(Reply::new(504, "TYPE L is implemented for 8 bits only"))
        }
    }
}

fn admit_structure(structure: Structure) -> Result<(), Reply> {
    match structure {
        Structure::File => Ok(()),
        Structure::Record | Structure::Page => Err(Reply::new(504, "only STRU F is implemented")),
    }
}

fn admit_transfer_mode(mode: TransferMode) -> Result<(), Reply> {
    match mode {
        TransferMode::Stream => Ok(()),
        TransferMode::Block | TransferMode::Compressed | TransferMode::Deflate => {
            Err(Reply::new(504, "only MODE S is implemented"))
        }
    }
}

/// Does this EPSV ask for the promise that only EPSV will follow (RFC 2428 §4)?
pub fn is_epsv_all(command: &Command) -> bool {
    matches!(command, Command::Epsv(EpsvArgument::All))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Command {
        Command::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error:?}"))
    }

    /// What the executor of a server that agrees to everything would do.
    fn execute(pi: &mut ServerPi, command: &Command) -> u16 {
        if let Err(reply) = pi.admit(command) {
            pi.finish(command.verb());
            return reply.code();
        }
        let code = match command {
            Command::User(user) if user.as_bytes() == b"anonymous" => {
                pi.logged_in(user.clone(), &Pathname::root());
                230
            }
            Command::User(user) => {
                pi.expect_password(user.clone());
                331
            }
            Command::Pass(_) => match pi.user().cloned() {
                Some(user) if user.as_bytes() == b"acct" => {
                    pi.expect_account(user);
                    332
                }
                Some(user) if user.as_bytes() == b"wrong" => {
                    pi.login_failed();
                    530
                }
                Some(user) => {
                    pi.logged_in(user, &"/home".parse().unwrap());
                    230
                }
                None => 500,
            },
            Command::Acct(_) => {
                let user = pi.user().cloned().unwrap();
                pi.logged_in(user, &Pathname::root());
                230
            }
            Command::Rein => {
                pi.reinitialize();
                220
            }
            Command::Type(representation) => {
                pi.set_representation(*representation);
                200
            }
            Command::Rest(offset) => {
                pi.set_restart_marker(*offset);
                350
            }
            Command::Rnfr(path) if path.as_bytes() == b"missing" => 550,
            Command::Rnfr(path) => {
                let from = pi.resolve(path);
                pi.set_rename_marker(from);
                350
            }
            Command::Rnto(_) => {
                pi.take_rename_marker().unwrap();
                250
            }
            Command::Retr(_) => match pi.take_restart_marker() {
                0 => 226,
                _ => 250, // told apart by the tests
            },
            Command::Cwd(path) => {
                pi.set_cwd(path);
                250
            }
            command if is_epsv_all(command) => {
                pi.set_epsv_all();
                200
            }
            _ => 200,
        };
        pi.finish(command.verb());
        code
    }

    /// Each line of a transcript: command, code.
    fn transcript(text: &str) {
        let mut pi = ServerPi::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (sent, want) = line.rsplit_once(" -> ").unwrap();
            let got = match Command::parse(sent.as_bytes()) {
                Ok(command) => execute(&mut pi, &command),
                Err(error) => {
                    pi.finish_unreadable();
                    error.reply().code()
                }
            };
            assert_eq!(got.to_string(), want.trim(), "{line}\nin:\n{text}");
        }
    }

    #[test]
    fn login_goes_user_pass_acct() {
        transcript(
            "PASS x -> 503\nACCT x -> 503\nUSER joe -> 331\nACCT x -> 503\nPASS x -> 230\nPASS x -> 202\nACCT x -> 202",
        );
        transcript(
            "USER acct -> 331\nPASS x -> 332\nPASS x -> 503\nPWD -> 530\nACCT x -> 230\nPWD -> 200",
        );
        transcript("USER anonymous -> 230\nPASS me@home -> 202");
        transcript(
            "USER wrong -> 331\nPASS x -> 530\nPASS x -> 503\nUSER joe -> 331\nPASS x -> 230",
        );
    }

    #[test]
    fn nothing_of_a_login_survives_user_and_rein() {
        transcript(
            "USER joe -> 331\nPASS x -> 230\nPWD -> 200\nUSER jim -> 331\nPWD -> 530\nPASS x -> 230\nPWD -> 200",
        );
        transcript("USER joe -> 331\nPASS x -> 230\nREIN -> 220\nPWD -> 530\nPASS x -> 503");
        let mut pi = ServerPi::new();
        for line in [
            "USER joe",
            "PASS x",
            "TYPE I",
            "EPSV ALL",
            "REST 5",
            "CWD /deep/er",
        ] {
            execute(&mut pi, &command(line));
        }
        assert_eq!(pi.cwd().as_bytes(), b"/deep/er");
        execute(&mut pi, &command("REIN"));
        assert_eq!(
            pi.representation(),
            RepresentationType::Ascii(Format::NonPrint)
        );
        assert_eq!(
            (pi.epsv_all(), pi.take_restart_marker(), pi.cwd().as_bytes()),
            (false, 0, &b"/"[..])
        );
    }

    #[test]
    fn a_second_user_keeps_the_transfer_parameters() {
        let mut pi = ServerPi::new();
        for line in ["USER joe", "PASS x", "TYPE I", "USER jim", "PASS x"] {
            execute(&mut pi, &command(line));
        }
        assert_eq!(pi.representation(), RepresentationType::Image);
        assert_eq!(pi.user().unwrap().as_bytes(), b"jim");
    }

    #[test]
    fn every_verb_that_needs_a_login_is_refused_before_it() {
        for verb in crate::command::VERBS {
            let admitted = ServerPi::new().admit(&command(verb.example));
            if verb.needs_login {
                assert_eq!(admitted.unwrap_err().code(), 530, "{}", verb.word);
            } else if !matches!(
                verb.word,
                "PASS" | "ACCT" | "AUTH" | "PBSZ" | "PROT" | "CCC"
            ) {
                assert_eq!(admitted, Ok(()), "{}", verb.word);
            }
        }
    }

    #[test]
    fn rename_marker_dies_with_the_next_command() {
        let login = "USER anonymous -> 230\n";
        transcript(&format!(
            "{login}RNTO b -> 503\nRNFR a -> 350\nRNTO b -> 250\nRNTO c -> 503"
        ));
        transcript(&format!("{login}RNFR a -> 350\nPWD -> 200\nRNTO b -> 503"));
        transcript(&format!(
            "{login}RNFR a -> 350\nNONSENSE -> 500\nRNTO b -> 503"
        ));
        transcript(&format!(
            "{login}RNFR a -> 350\nRNFR missing -> 550\nRNTO b -> 503"
        ));
    }

    #[test]
    fn restart_marker_reaches_over_the_data_connection_commands_only() {
        let login = "USER anonymous -> 230\n";
        transcript(&format!(
            "{login}REST 5 -> 350\nRETR a -> 250\nRETR a -> 226"
        ));
        transcript(&format!("{login}REST 5 -> 350\nPASV -> 200\nRETR a -> 250"));
        transcript(&format!("{login}REST 5 -> 350\nEPSV -> 200\nRETR a -> 250"));
        transcript(&format!(
            "{login}REST 5 -> 350\nPORT 127,0,0,1,200,200 -> 200\nRETR a -> 250"
        ));
        transcript(&format!(
            "{login}REST 5 -> 350\nCWD b -> 250\nRETR a -> 226"
        ));
        transcript(&format!(
            "{login}REST 5 -> 350\nREST 99999999999999999999 -> 501\nRETR a -> 226"
        ));
    }

    #[test]
    fn after_epsv_all_only_epsv_arranges_data_connections() {
        transcript(
            "USER anonymous -> 230\nEPSV -> 200\nEPSV ALL -> 200\nEPSV -> 200\nPASV -> 503\nPORT 127,0,0,1,200,200 -> 503\n\
             EPRT |1|127.0.0.1|50000| -> 503\nLPSV -> 503\nREIN -> 220\nUSER anonymous -> 230\nPASV -> 200",
        );
    }

    #[test]
    fn parameters_that_are_not_implemented_get_an_honest_504() {
        transcript(
            "USER anonymous -> 230\nTYPE A -> 200\nTYPE A N -> 200\ntype i -> 200\nTYPE L 8 -> 200\nTYPE A T -> 504\nTYPE A C -> 504\nTYPE E -> 504\n\
             TYPE E N -> 504\nTYPE L 36 -> 504\nSTRU F -> 200\nSTRU R -> 504\nSTRU P -> 504\nMODE S -> 200\nMODE B -> 504\nMODE C -> 504\nMODE Z -> 504",
        );
    }

    #[test]
    fn pathnames_resolve_against_the_working_directory() {
        let mut pi = ServerPi::new();
        pi.logged_in(Text::new("joe").unwrap(), &"/home/joe".parse().unwrap());
        for (path, want) in [
            ("a", "/home/joe/a"),
            ("/a", "/a"),
            ("..", "/home"),
            ("../../../..", "/"),
            ("./x//y/", "/home/joe/x/y"),
        ] {
            assert_eq!(
                pi.resolve(&path.parse().unwrap()).as_bytes(),
                want.as_bytes(),
                "{path}"
            );
        }
    }
}
