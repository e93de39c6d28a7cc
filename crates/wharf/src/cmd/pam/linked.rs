//! The library of PAM (`libpam`), by way of `nonstick`, which has its unsafe code.
//!
//! Modules run in this process and on this thread, and take the time that they take. Sessions and credentials
//! (`pam_open_session`, `pam_setcred`) are not asked for.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;

use nonstick::items::ItemsMut as _;
use nonstick::{
    AuthnFlags, Conversation, ConversationAdapter, ErrorCode, LibPamTransaction, PamShared as _,
    Transaction as _, TransactionBuilder,
};
use wharf_broker::Rejected;

use super::talk::{Stack, Talk, bounded, judge};

/// What stands for a terminal in what modules log and judge.
const TTY: &str = "ftp";

/// An empty password is nobody's, whatever the service says (`nullok`).
const FLAGS: AuthnFlags = AuthnFlags::DISALLOW_NULL_AUTHTOK;

/// Whether they belong together and the user may log in today. Blocks, also for the delay after a wrong password.
///
/// # Errors
/// Not, for a reason that is for the log; or PAM could not be begun.
pub(in crate::cmd) fn ask(
    service: &str,
    name: &str,
    password: &[u8],
    from: IpAddr,
) -> Result<(), Rejected> {
    let broken = |error: ErrorCode| Rejected::Broken(format!("PAM: {error}"));
    let mut transaction = TransactionBuilder::new_with_service(service)
        .username(name)
        .build(Talk::new(name, password).into_conversation())
        .map_err(broken)?;
    {
        let mut items = transaction.items_mut();
        let from = from.to_canonical().to_string();
        items
            .set_remote_host(Some(from.as_ref()))
            .and_then(|()| items.set_tty_name(Some(TTY.as_ref())))
            .map_err(broken)?;
    }
    judge(&mut Linked(transaction), name).map_err(Rejected::Refused)
}

struct Linked<C: Conversation>(LibPamTransaction<C>);

impl<C: Conversation> Stack for Linked<C> {
    fn authenticate(&mut self) -> Result<(), String> {
        self.0.authenticate(FLAGS).map_err(|it| it.to_string())
    }

    fn account(&mut self) -> Result<(), String> {
        let said = self.0.account_management(FLAGS);
        said.map_err(|it| it.to_string())
    }

    fn user(&mut self) -> Result<String, String> {
        use nonstick::items::Items as _;
        let user = self.0.items().user().map_err(|it| it.to_string())?;
        let user = user.ok_or_else(|| "none".to_owned())?;
        user.into_string().map_err(|_| "not text".to_owned())
    }
}

impl ConversationAdapter for Talk {
    fn prompt(&self, _: impl AsRef<OsStr>) -> nonstick::Result<OsString> {
        Ok(self.shown().into())
    }

    fn masked_prompt(&self, request: impl AsRef<OsStr>) -> nonstick::Result<OsString> {
        let password = self.hidden().ok_or_else(|| {
            log(
                self.shown(),
                "asks for more than a password",
                request.as_ref(),
            );
            ErrorCode::ConversationError
        })?;
        Ok(OsString::from_vec(password.to_vec()))
    }

    fn error_msg(&self, message: impl AsRef<OsStr>) {
        log(self.shown(), "error", message.as_ref());
    }

    fn info_msg(&self, message: impl AsRef<OsStr>) {
        log(self.shown(), "information", message.as_ref());
    }
}

/// Escaped: a module may repeat what a stranger has sent.
fn log(user: &str, kind: &'static str, said: &OsStr) {
    let said = bounded(&said.to_string_lossy());
    tracing::info!(?user, kind, ?said, "PAM says");
}
