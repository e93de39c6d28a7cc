//! RFC 959 §4.1.1: USER PASS ACCT CWD CDUP REIN QUIT.

use std::sync::Arc;

use tokio::time::Instant;
use wharf_accounts::{Certificate, Credentials, Denied, Granted};
use wharf_net::seats::Full;
use wharf_proto::data_connection::sorting::User;
use wharf_proto::{Pathname, Reply, Secret, Text};

use crate::failure::{AtPath, Failure, Outcome};
use crate::log;
use crate::protection::Switch;
use crate::session::{Login, Session};

impl Session {
    /// Begins a login; one that stood before is forgotten
    pub(super) async fn user(&mut self, name: Text) -> Outcome {
        self.log_out();
        let certificate = self.certificate()?;
        let accounts = Arc::clone(&self.setup.accounts);
        if let Some(certificate) = certificate {
            let who = self.credentials(name.clone(), Secret::default(), Some(certificate));
            if let Some(reply) = self.log_in_by_certificate(who).await? {
                return Ok(reply);
            }
        }
        if !accounts.needs_password(name.as_bytes()) {
            return self.log_in(name, Secret::default()).await;
        }
        let reply = if is_anonymous(&name) {
            Reply::new(331, "Anonymous login: any password will do")
        } else {
            Reply::new(331, "Password required")
        };
        self.pi.expect_password(name);
        Ok(reply)
    }

    pub(super) async fn pass(&mut self, password: Secret) -> Outcome {
        match self.pi.user().cloned() {
            Some(name) => self.log_in(name, password).await,
            None => Err(Failure::Refused(Reply::new(503, "Send USER first"))),
        }
    }

    /// RFC 959 §5.4 allows 202 for a system without accounts
    pub(super) fn acct(&mut self) -> Outcome {
        Ok(Reply::new(202, "No account needed"))
    }

    fn credentials(
        &self,
        user: Text,
        password: Secret,
        certificate: Option<Certificate>,
    ) -> Credentials {
        Credentials {
            user,
            password,
            peer: self.peer().ip(),
            certificate,
        }
    }

    /// The login of a user for whom the certificate is enough (RFC 2228 §5.1: 232 "authorized by security data exchange");
    /// nothing for others, who go on as if there were no certificate
    async fn log_in_by_certificate(&mut self, who: Credentials) -> Result<Option<Reply>, Failure> {
        let accounts = Arc::clone(&self.setup.accounts);
        match accounts.login_by_certificate(&who).await {
            Ok(None) => Ok(None),
            Ok(Some(granted)) => {
                let user = who.user.as_bytes();
                self.may_try_by_certificate(who.peer, user).await?;
                self.enter(&who, granted, 232, "Logged in by certificate")
                    .await
                    .map(Some)
            }
            Err(denied) => Err(self.login_denied(&who, &denied).await),
        }
    }

    async fn log_in(&mut self, name: Text, password: Secret) -> Outcome {
        let certificate = self.certificate()?;
        let accounts = Arc::clone(&self.setup.accounts);
        let who = self.credentials(name, password, certificate);
        self.may_try(who.peer, who.user.as_bytes()).await?;
        let turn = self.setup.shared.limits.login_turn(who.peer).await;
        let checked = accounts.login(&who).await;
        drop(turn);
        match checked {
            Ok(granted) => self.enter(&who, granted, 230, "Logged in").await,
            Err(denied) => Err(self.login_denied(&who, &denied).await),
        }
    }

    /// The user is let in, unless there are enough sessions
    async fn enter(
        &mut self,
        who: &Credentials,
        granted: Granted,
        code: u16,
        text: &str,
    ) -> Outcome {
        let seat = match granted.limits.sessions {
            None => None,
            Some(maximum) => {
                let limits = &self.setup.shared.limits;
                let Some(seat) = limits.admit_user(&granted.user, maximum) else {
                    self.pi.login_failed();
                    tracing::info!(user = granted.user, maximum, "user has enough sessions");
                    return Err(Failure::Refused(Reply::new(
                        530,
                        "You have as many sessions as you may",
                    )));
                };
                Some(seat)
            }
        };
        if !self.share.log_in() {
            self.pi.login_failed();
            self.closing = true;
            tracing::warn!(
                user = granted.user,
                "no descriptors are left for the files of another session"
            );
            return Err(Failure::Refused(Reply::new(421, Full::All.to_string())));
        }
        let certificate = who.certificate.as_ref();
        tracing::info!(
            user = granted.user,
            certificate = certificate.map(|it| tracing::field::display(it.fingerprint)),
            "logged in"
        );
        let anonymous = is_anonymous(&who.user);
        self.note_succeeded(who.peer, who.user.as_bytes(), anonymous)
            .await;
        self.pi.logged_in(who.user.clone(), &granted.home);
        self.failed_logins = 0;
        let mut lines: Vec<Text> = granted
            .welcome
            .iter()
            .flat_map(|text| text.lines())
            .map(Text::lossy)
            .collect();
        lines.push(Text::lossy(text));
        if let Some(place) = &mut self.place {
            place.logged_in(if anonymous {
                User::Anonymous
            } else {
                User::Named(granted.user.clone())
            });
        }
        self.login = Some(Login {
            anonymous,
            granted,
            _seat: seat,
        });
        Ok(Reply::with_lines(code, lines))
    }

    async fn login_denied(&mut self, who: &Credentials, denied: &Denied) -> Failure {
        self.pi.login_failed();
        let text = match denied {
            Denied::Refused => {
                log::login_failed(who.user.as_bytes(), who.peer);
                self.failed_logins += 1;
                let user = who.user.as_bytes();
                if let Some(text) = self.note_failed(who.peer, user).await {
                    self.closing = true;
                    return Failure::Refused(Reply::new(421, text));
                }
                "Login incorrect"
            }
            Denied::TooBusy => "Too many logins at once, try again",
            other => {
                tracing::error!(error = other as &dyn std::error::Error, "login is broken");
                "Login is not possible now; the server's log says more"
            }
        };
        if self.failed_logins >= self.setup.config.login_attempts.max(1) {
            self.closing = true;
            tracing::warn!(client = %who.peer, "too many failed logins: closed");
            return Failure::Refused(Reply::new(
                530,
                format!("{text}; that was one too many, goodbye"),
            ));
        }
        Failure::Refused(Reply::new(530, text))
    }

    pub(super) async fn cwd(&mut self, path: &Pathname) -> Outcome {
        let full = self.pi.resolve(path);
        let found = self.storage()?.metadata(&full).await.at(path)?;
        if !found.is_dir() {
            return Err(Failure::file(path, "not a directory"));
        }
        let text = format!("Working directory is {}", full.display());
        self.pi.set_cwd(&full);
        Ok(Reply::new(250, text))
    }

    pub(super) async fn cdup(&mut self) -> Outcome {
        let full = self.pi.cwd().parent().unwrap_or_else(Pathname::root);
        // The directory above may be gone or closed to this user.
        let found = self.storage()?.metadata(&full).await.at(&full)?;
        if !found.is_dir() {
            return Err(Failure::file(&full, "not a directory"));
        }
        let text = format!("Working directory is {}", full.display());
        self.pi.set_cwd(&full);
        Ok(Reply::new(250, text))
    }

    /// Back to where the greeting left it (RFC 959 §4.1.1), which is in clear (RFC 4217 §11) unless the door is one for
    /// TLS
    pub(super) fn rein(&mut self) -> Outcome {
        let secured = self.pi.security().is_secured();
        self.start_over();
        if self.implicit {
            self.pi.security_mut().secured_implicitly();
        } else {
            self.tls = None;
            self.switch = secured.then_some(Switch::Clear);
        }
        Ok(Reply::new(220, "Ready for a new user"))
    }

    pub(super) fn quit(&mut self) -> Outcome {
        self.closing = true;
        Ok(Reply::new(221, "Goodbye"))
    }

    pub(super) fn log_out(&mut self) {
        // Only the end of a login gives time for another one; USER alone does not.
        if self.login.take().is_some() {
            self.nobody_since = Instant::now();
            if let Some(place) = &self.place {
                place.logged_out();
            }
        }
        self.data_port = None;
        self.pi.login_failed();
    }
}

/// The two names that RFC 1635 §2 and old habit know
fn is_anonymous(name: &Text) -> bool {
    name.is_word("anonymous") || name.is_word("ftp")
}
