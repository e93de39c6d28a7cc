//! Several sources of users, asked in order.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Authenticator, Credentials, Denied, Granted};

/// The first source that grants a login wins. A wrong password in one source does not keep the others from being
/// asked, so that the time tells nobody which source knows a name.
pub struct Chain {
    sources: Vec<Arc<dyn Authenticator>>,
}

impl Chain {
    /// Asks in this order; without any source everybody is refused.
    pub fn new(sources: impl Into<Vec<Arc<dyn Authenticator>>>) -> Self {
        Self {
            sources: sources.into(),
        }
    }
}

#[async_trait]
impl Authenticator for Chain {
    async fn login(&self, who: &Credentials) -> Result<Granted, Denied> {
        let mut worst = Denied::Refused;
        for source in &self.sources {
            match source.login(who).await {
                Ok(granted) => return Ok(granted),
                // A source that could not tell leaves the question open, which is no refusal.
                Err(Denied::Refused) => {}
                Err(Denied::TooBusy) if matches!(worst, Denied::Broken(_)) => {}
                Err(other) => worst = other,
            }
        }
        Err(worst)
    }

    async fn login_by_certificate(&self, who: &Credentials) -> Result<Option<Granted>, Denied> {
        let mut outcome = Ok(None);
        for source in &self.sources {
            match source.login_by_certificate(who).await {
                Ok(None) => {}
                Ok(granted) => return Ok(granted),
                Err(denied) => outcome = Err(denied),
            }
        }
        outcome
    }

    fn needs_password(&self, user: &[u8]) -> bool {
        self.sources
            .iter()
            .all(|source| source.needs_password(user))
    }
}
