//! Who to log in as: the address, flags, environment, netrc, a prompt, in this order.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use wharf_client::{Login, Machine, Netrc, Target};
use wharf_proto::{Secret, Text};

use crate::args::secret::SecretArgs;
use crate::args::{ClientArgs, FtpArgs};
use crate::catalogue::Cause;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::password;
use crate::profile;
use crate::secret_program;

/// Where logins may come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoginSources {
    pub(crate) user: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    /// Given explicitly; otherwise the default file is read, and complaints about it are warnings.
    pub(crate) netrc: Option<PathBuf>,
    /// A certificate is shown, which may be enough.
    pub(crate) certificate: bool,
    pub(crate) secret: SecretArgs,
    /// Standard input can be read once.
    stdin: Arc<OnceLock<Secret>>,
    /// How a person is asked for the password; `None` names user and host.
    pub(crate) question: Option<String>,
}

impl From<&ClientArgs> for LoginSources {
    fn from(args: &ClientArgs) -> Self {
        Self {
            user: args.user.clone(),
            password_file: args.password_file.clone(),
            netrc: args.netrc.clone(),
            certificate: args.tls.cert.is_some(),
            secret: args.secret.clone(),
            ..Self::default()
        }
    }
}

impl From<&FtpArgs> for LoginSources {
    fn from(args: &FtpArgs) -> Self {
        Self {
            user: args.user.clone(),
            password_file: args.password_file.clone(),
            netrc: args.netrc.clone(),
            certificate: args.tls.cert.is_some(),
            secret: args.secret.clone(),
            question: Some("Password: ".to_owned()),
            ..Self::default()
        }
    }
}

impl LoginSources {
    /// The login for an address.
    pub(crate) fn login(&self, target: &Target, output: &Output) -> Result<Login, Failure> {
        let host = target.endpoint().host.clone();
        let user = match (target.user(), &self.user) {
            (Some(user), _) => Some(user.clone()),
            (None, Some(user)) => Some(text(user)?),
            (None, None) => None,
        };
        self.login_as(&host, user, target.password().cloned(), output)
    }

    /// The login for a host, for `user` if one is known already.
    pub(crate) fn login_as(
        &self,
        host: &str,
        user: Option<Text>,
        password: Option<Secret>,
        output: &Output,
    ) -> Result<Login, Failure> {
        if let (Some(user), Some(password)) = (&user, &password) {
            return Ok(Login::new(user.clone(), password.clone()));
        }
        let said = profile::book()?.settings(host, None);
        let user = match (user, &said.user) {
            (None, Some(user)) => Some(text(user)?),
            (user, _) => user,
        };
        let told = self.password_file.is_some()
            || self.secret.password_stdin
            || self.secret.password_command.is_some();
        if told && user.is_none() {
            return Err(
                Failure::of(Cause::PasswordSource, "a password file needs a user")
                    .with_hint("ftp://USER@host/, or --user NAME"),
            );
        }
        if let Some(user) = &user
            && let Some(password) = self.told(host, user)?
        {
            return Ok(Login::new(user.clone(), password));
        }
        if let Some(user) = &user
            && let Some(password) = password::from_env()?
        {
            return Ok(Login::new(user.clone(), password));
        }
        if let Some(user) = &user {
            let password = match (&said.password_file, &said.password_command) {
                (Some(file), _) => Some(password::from_file(file, Exit::Usage)?),
                (None, Some(command)) => Some(secret_program::from_command(command, host, user)?),
                (None, None) => None,
            };
            if let Some(password) = password {
                return Ok(Login::new(user.clone(), password));
            }
        }
        let machine = self.machine(host, user.as_ref(), output)?;
        let account = machine.as_ref().and_then(|machine| machine.account.clone());
        let known = machine
            .as_ref()
            .and_then(|machine| machine.password.clone());
        let user = user.or_else(|| machine.and_then(|machine| machine.login));
        let Some(user) = user else {
            return Ok(anonymous());
        };
        if is_anonymous(&user) && known.is_none() {
            return Ok(Login {
                user,
                ..anonymous()
            });
        }
        let question = match &self.question {
            Some(question) => question.clone(),
            None => format!("Password for {}@{host}: ", user.display()),
        };
        let kept = match (&known, self.secret.keyring.or(said.keyring)) {
            (None, Some(keyring)) => keyring.lookup(host, &user)?,
            _ => None,
        };
        let password = match (known.or(kept), &self.secret.askpass) {
            (Some(password), _) => password,
            (None, Some(program)) => secret_program::ask(program, &question)?,
            (None, None) if password::can_prompt() => password::prompt(&question, Exit::Login)?,
            (None, None) if self.certificate => Secret::default(),
            (None, None) => {
                return Err(Failure::of(
                    Cause::NoPassword,
                    format!(
                        "no password for {}@{host}, and no terminal to ask on",
                        user.display()
                    ),
                )
                .with_hint(
                    "--password-file FILE, WHARF_PASSWORD, ~/.netrc and more: `wharf help login`",
                ));
            }
        };
        Ok(Login {
            account,
            ..Login::new(user, password)
        })
    }

    /// The password from a file, standard input or a command, where a flag says so.
    fn told(&self, host: &str, user: &Text) -> Result<Option<Secret>, Failure> {
        if let Some(file) = &self.password_file {
            return password::from_file(file, Exit::Usage).map(Some);
        }
        if self.secret.password_stdin {
            let read = match self.stdin.get() {
                Some(read) => read.clone(),
                None => password::from_stdin(Exit::Usage)?,
            };
            return Ok(Some(self.stdin.get_or_init(|| read).clone()));
        }
        let command = self.secret.password_command.as_deref();
        command
            .map(|it| secret_program::from_command(it, host, user))
            .transpose()
    }

    /// The netrc entry for a host.
    pub(crate) fn machine(
        &self,
        host: &str,
        user: Option<&Text>,
        output: &Output,
    ) -> Result<Option<Machine>, Failure> {
        let Some(path) = self.netrc.clone().or_else(Netrc::default_path) else {
            return Ok(None);
        };
        match Netrc::read(&path) {
            Ok(netrc) => Ok(netrc.find(host, user).cloned()),
            Err(error) => {
                let text = error.to_string();
                let (message, hint) = match text.split_once("\nhint: ") {
                    Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
                    None => (text, None),
                };
                if self.netrc.is_some() {
                    let failure = Failure::of(Cause::PasswordSource, message);
                    return Err(match hint {
                        Some(hint) => failure.with_hint(hint),
                        None => failure,
                    });
                }
                output.warning(&match hint {
                    Some(hint) => format!("{message} (not used; {hint})"),
                    None => format!("{message} (not used)"),
                });
                Ok(None)
            }
        }
    }
}

/// `anonymous`; its password is a courtesy (RFC 1635), `FTPANONPASS` or a placeholder.
pub(crate) fn anonymous() -> Login {
    let placeholder = Login::anonymous();
    match std::env::var("FTPANONPASS") {
        Ok(password) if !password.is_empty() => {
            Login::new(placeholder.user, Secret::new(Text::lossy(password)))
        }
        _ => placeholder,
    }
}

fn is_anonymous(user: &Text) -> bool {
    user.is_word("anonymous") || user.is_word("ftp")
}

fn text(user: &str) -> Result<Text, Failure> {
    Text::new(user).map_err(|_| {
        Failure::of(
            Cause::NotSendable,
            "a user's name must not contain control characters",
        )
    })
}
