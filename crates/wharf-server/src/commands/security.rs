//! RFC 2228 and RFC 4217: the verbs of the table that this server does not offer.

use wharf_proto::{Command, Reply};

use crate::failure::{Failure, Outcome};
use crate::session::Session;

impl Session {
    /// 502: known and not carried out. AUTH among them, so that a client that insists on TLS goes
    /// away and one that can do without goes on
    pub(super) fn not_offered(&mut self, command: &Command) -> Outcome {
        let word = command.verb().word;
        Err(Failure::Refused(Reply::new(
            502,
            format!("{word} is not offered here"),
        )))
    }
}
