//! Anonymous login (RFC 1635): the users `anonymous` and `ftp`, with any password or an empty one.

use std::sync::Arc;

use async_trait::async_trait;
use wharf_proto::Pathname;
use wharf_storage::{Permissions, Scoped, Storage};

use crate::{Authenticator, Credentials, Denied, Granted, UserLimits};

const NAMES: [&str; 2] = ["anonymous", "ftp"];

/// Lets everybody in who asks for it.
pub struct Anonymous {
    storage: Arc<dyn Storage>,
    home: Pathname,
}

impl Anonymous {
    /// Everybody may look and read. `home` is the working directory to start in.
    pub fn new(storage: Arc<dyn Storage>, home: Pathname) -> Self {
        Self::with_permissions(storage, home, Permissions::READ_ONLY)
    }

    /// Everybody may do so much.
    pub fn with_permissions(
        storage: Arc<dyn Storage>,
        home: Pathname,
        permissions: Permissions,
    ) -> Self {
        let storage = Arc::new(Scoped::new(storage, &Pathname::root(), permissions));
        Self { storage, home }
    }
}

#[async_trait]
impl Authenticator for Anonymous {
    async fn login(&self, who: &Credentials) -> Result<Granted, Denied> {
        let asked = who.user.as_bytes();
        if !NAMES
            .iter()
            .any(|name| asked.eq_ignore_ascii_case(name.as_bytes()))
        {
            return Err(Denied::Refused);
        }
        Ok(Granted {
            user: NAMES[0].to_owned(),
            storage: Arc::clone(&self.storage),
            home: self.home.clone(),
            welcome: None,
            limits: UserLimits::default(),
        })
    }
}
