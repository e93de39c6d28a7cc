//! One file a command. What several of them need is in `crate::session` (client) and
//! [`foundation`] (server).

mod acme;
pub(crate) mod ban;
pub(crate) mod bookmark;
pub(crate) mod cat;
mod certificate;
pub(crate) mod check;
mod custody;
pub(crate) mod doctor;
pub(crate) mod doctor_host;
pub(crate) mod du;
pub(crate) mod explain;
pub(crate) mod find;
pub(crate) mod firewall;
pub(crate) mod forget;
mod foundation;
pub(crate) mod get;
mod in_force;
mod inherited;
pub(crate) mod install;
pub(crate) mod kept;
pub(crate) mod ladder;
pub(crate) mod ls;
pub(crate) mod mirror;
pub(crate) mod mkdir;
pub(crate) mod mv;
mod notify;
mod orders;
mod pam;
pub(crate) mod privilege;
pub(crate) mod proxy;
mod proxy_tls;
pub(crate) mod put;
pub(crate) mod queue;
pub(crate) mod remove;
pub(crate) mod serve;
pub(crate) mod stat;
mod state_directory;
mod storage_worker;
mod system_users;
pub(crate) mod user;
mod user_certificate;

#[cfg(feature = "drill")]
pub(crate) use kept::broker;
pub(crate) mod watch;
