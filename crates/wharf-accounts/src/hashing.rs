//! Password hashes: argon2id, checked by a few threads at most.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::{Output, PasswordHash as Phc};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use rustix::process::{getpriority_process, setpriority_process};
use tokio::sync::{Semaphore, oneshot};
use wharf_proto::Secret;

use crate::Denied;

/// Memory in KiB, passes and lanes for new hashes: the minimum of the OWASP Password Storage Cheat Sheet (19 MiB, 2, 1).
/// One check takes some 20 ms of one core.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What a hash in a users file may ask for at most: a check must not be able to stop the server.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 16;

/// A hash with the parameters of new ones that no password is known for.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$d2hhcmYvbm9ib2R5L3NhbHQ\
    $6b0VPQ2Ct0m1cHqTtVbUuV8yV7mJx8hB3oYw1Zk5n0s";

/// More than `DEFAULT_MMAP_THRESHOLD_MAX` of glibc
const MAPPED: usize = 33 << 20;

/// The nice value of a thread that checks a password, which is Linux's own for each thread: all cores may be busy with
/// guesses, and whoever is logged in shall not wait for them.
const LESS_URGENT: i32 = 5;

/// Logins that may wait for a free thread; with 20 ms each, the last one waits about a second per core.
const QUEUE: usize = 64;

/// A PHC string of an argon2id hash with acceptable parameters. Does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// Why a string is not such a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashError {
    /// Not a PHC string with salt and hash.
    Form,
    /// Not argon2id, version 19.
    Algorithm,
    /// Asks for more memory or time than a check may cost.
    Cost,
    /// The password could not be hashed: no randomness, no memory.
    Failed,
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("not a password hash of the form $argon2id$..."),
            Self::Algorithm => f.write_str("only argon2id hashes, version 19, are supported"),
            Self::Cost => write!(
                f,
                "the hash is too costly: at most m={MOST_MEMORY_KIB},t={MOST_PASSES},p={MOST_LANES}"
            ),
            Self::Failed => f.write_str("the password could not be hashed"),
        }
    }
}

impl std::error::Error for HashError {}

impl PasswordHash {
    /// Hashes a password with the parameters for new ones and a random salt. Blocks for some 20 ms.
    pub fn of(password: &Secret) -> Result<Self, HashError> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashError::Failed)?;
        let hash: Phc = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password(password.expose())
            .map_err(|_| HashError::Failed)?;
        Ok(Self(hash.to_string()))
    }

    /// Reads a PHC string.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let phc = Phc::new(text).map_err(|_| HashError::Form)?;
        if phc.salt.is_none() || phc.hash.is_none() {
            return Err(HashError::Form);
        }
        if phc.algorithm.as_str() != "argon2id" || phc.version != Some(19) {
            return Err(HashError::Algorithm);
        }
        let params = Params::try_from(&phc).map_err(|_| HashError::Form)?;
        if params.m_cost() > MOST_MEMORY_KIB
            || params.t_cost() > MOST_PASSES
            || params.p_cost() > MOST_LANES
        {
            return Err(HashError::Cost);
        }
        Ok(Self(text.to_owned()))
    }

    /// A hash that no password has, to spend the time of a check on.
    pub fn of_nobody() -> Self {
        Self(NOBODY.to_owned())
    }

    /// The PHC string, for the users file.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is the hash of that password. Blocks for as long as hashing.
    pub fn matches(&self, password: &Secret) -> bool {
        self.found_with(password).is_some_and(|matches| matches)
    }

    /// As `verify_password` of the argon2 crate, with memory of our own choosing
    fn found_with(&self, password: &Secret) -> Option<bool> {
        let phc = Phc::new(&self.0).ok()?;
        let (salt, wanted) = (phc.salt?, phc.hash?);
        let params = Params::try_from(&phc).ok()?;
        let mut memory = memory(params.block_count());
        let mut found = [0; Output::MAX_LENGTH];
        let found = found.get_mut(..wanted.len())?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(password.expose(), &salt, found, &mut memory)
            .ok()?;
        // Outputs are compared in constant time.
        Some(Output::new(found).ok()? == wanted)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(****)")
    }
}

/// Memory for a check that goes back to the system after it
///
/// glibc learns to keep freed blocks of up to 32 MiB, in each arena for itself, and each of the many threads that take
/// turns in checking may have its own: a few hundred wrong passwords made a gigabyte of it. Larger blocks are always
/// mapped and unmapped; of what lies behind the length no page is ever touched.
fn memory(blocks: usize) -> Vec<Block> {
    let mut memory = Vec::with_capacity(blocks.max(MAPPED / Block::SIZE));
    memory.resize(blocks, Block::new());
    memory
}

/// Checks passwords off the sessions' path: as many at once as there are cores, a bounded number waiting, and
/// [`Denied::TooBusy`] for the rest, so that guessing passwords costs the server neither its memory (19 MiB a check)
/// nor its other sessions.
pub struct HashPool {
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl HashPool {
    /// A pool for the cores of this machine.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::with_limits(cores, QUEUE)
    }

    /// A pool with so many checks at once and so many waiting.
    pub fn with_limits(at_once: usize, waiting: usize) -> Self {
        let at_once = at_once.max(1);
        Self {
            running: Arc::new(Semaphore::new(at_once)),
            admitted: Arc::new(Semaphore::new(at_once + waiting)),
        }
    }

    /// Whether it is the hash of that password.
    pub async fn matches(&self, hash: PasswordHash, password: Secret) -> Result<bool, Denied> {
        let Ok(admitted) = Arc::clone(&self.admitted).try_acquire_owned() else {
            return Err(Denied::TooBusy);
        };
        let running = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(|closed| Denied::Broken(closed.into()))?;
        // The permits go along: a session that ends does not end the work of its check.
        let (done, checked) = oneshot::channel();
        let check = move || {
            // Where it is not allowed, the check is as important as everything else.
            if getpriority_process(None).is_ok_and(|now| now < LESS_URGENT) {
                let _ = setpriority_process(None, LESS_URGENT);
            }
            let matches = hash.matches(&password);
            drop((running, admitted));
            // Nobody is left to hear it when the session has ended.
            let _ = done.send(matches);
        };
        let thread = std::thread::Builder::new().name("password".to_owned());
        thread
            .spawn(check)
            .map_err(|error| Denied::Broken(error.into()))?;
        checked
            .await
            .map_err(|stopped| Denied::Broken(stopped.into()))
    }
}

impl Default for HashPool {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        text.parse().unwrap()
    }

    #[test]
    fn a_password_matches_its_hash_only() {
        let hash = PasswordHash::of(&secret("right")).unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(PasswordHash::parse(hash.expose()).unwrap(), hash);
        assert!(hash.matches(&secret("right")));
        assert!(!hash.matches(&secret("wrong")));
        assert_ne!(PasswordHash::of(&secret("right")).unwrap(), hash, "salted");
        assert_eq!(format!("{hash:?}"), "PasswordHash(****)");
    }

    #[test]
    fn nobody_has_the_usual_parameters() {
        let nobody = PasswordHash::parse(NOBODY).unwrap();
        assert_eq!(nobody, PasswordHash::of_nobody());
        let params = Params::try_from(&Phc::new(NOBODY).unwrap()).unwrap();
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (MEMORY_KIB, PASSES, LANES)
        );
        assert_eq!(params.output_len(), Some(Params::DEFAULT_OUTPUT_LEN));
    }

    #[test]
    fn only_argon2id_of_bearable_cost() {
        let rest = "$d2hhcmYvbm9ib2R5L3NhbHQ$6b0VPQ2Ct0m1cHqTtVbUuV8yV7mJx8hB3oYw1Zk5n0s";
        for (text, error) in [
            ("", HashError::Form),
            ("secret", HashError::Form),
            ("$argon2id$v=19$m=19456,t=2,p=1", HashError::Form),
            (
                &format!("$argon2i$v=19$m=19456,t=2,p=1{rest}"),
                HashError::Algorithm,
            ),
            (
                &format!("$argon2id$v=16$m=19456,t=2,p=1{rest}"),
                HashError::Algorithm,
            ),
            (
                &format!("$argon2id$m=19456,t=2,p=1{rest}"),
                HashError::Algorithm,
            ),
            (
                &format!("$argon2id$v=19$m=4194304,t=2,p=1{rest}"),
                HashError::Cost,
            ),
            (
                &format!("$argon2id$v=19$m=19456,t=99,p=1{rest}"),
                HashError::Cost,
            ),
        ] {
            assert_eq!(PasswordHash::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[tokio::test]
    async fn too_many_checks_are_turned_away() {
        let pool = HashPool::with_limits(1, 1);
        let check = || pool.matches(PasswordHash::of_nobody(), secret("guess"));
        let (one, two, three) = tokio::join!(check(), check(), check());
        assert!(!one.unwrap() && !two.unwrap());
        assert!(matches!(three, Err(Denied::TooBusy)));
        assert!(!check().await.unwrap(), "and served again");
    }
}
