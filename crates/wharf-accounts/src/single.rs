//! One user, made up on the command line.

use std::sync::Arc;

use async_trait::async_trait;
use wharf_proto::{Pathname, Secret};
use wharf_storage::Storage;

use crate::{Authenticator, Credentials, Denied, Granted, UserLimits};

/// One user with one password, which is kept in memory only and therefore not hashed.
pub struct Single {
    user: String,
    password: Secret,
    storage: Arc<dyn Storage>,
    home: Pathname,
}

impl Single {
    /// `home` is the working directory to start in. The rights are those of the storage.
    pub fn new(
        user: impl Into<String>,
        password: Secret,
        storage: Arc<dyn Storage>,
        home: Pathname,
    ) -> Self {
        Self {
            user: user.into(),
            password,
            storage,
            home,
        }
    }
}

#[async_trait]
impl Authenticator for Single {
    async fn login(&self, who: &Credentials) -> Result<Granted, Denied> {
        let user = same(who.user.as_bytes(), self.user.as_bytes());
        let password = same(who.password.expose(), self.password.expose());
        if !(user & password) {
            return Err(Denied::Refused);
        }
        Ok(Granted {
            user: self.user.clone(),
            storage: Arc::clone(&self.storage),
            home: self.home.clone(),
            welcome: None,
            limits: UserLimits::default(),
        })
    }
}

/// Compares in a time that depends on the length of what was offered only.
fn same(offered: &[u8], kept: &[u8]) -> bool {
    let mut different = u8::from(offered.len() != kept.len());
    let mut kept = kept.iter().cycle();
    for byte in offered {
        different |= byte ^ kept.next().copied().unwrap_or_default();
    }
    std::hint::black_box(different) == 0
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn comparing() {
        for (offered, kept, equal) in [
            ("", "", true),
            ("a", "a", true),
            ("", "a", false),
            ("a", "", false),
            ("aa", "a", false),
            ("a", "aa", false),
            ("abc", "abd", false),
        ] {
            let (offered, kept) = (offered.as_bytes(), kept.as_bytes());
            assert_eq!(same(offered, kept), equal);
        }
    }
}
