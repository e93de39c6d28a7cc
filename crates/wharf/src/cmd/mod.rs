//! One file a command. What several of them need is in `crate::session` (client) and
//! [`foundation`] (server).

mod acme;
pub(crate) mod ban;
pub(crate) mod cat;
mod certificate;
pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod doctor_host;
pub(crate) mod firewall;
pub(crate) mod forget;
mod foundation;
pub(crate) mod get;
pub(crate) mod ladder;
pub(crate) mod ls;
pub(crate) mod mkdir;
pub(crate) mod mv;
pub(crate) mod proxy;
mod proxy_tls;
pub(crate) mod put;
pub(crate) mod remove;
pub(crate) mod serve;
pub(crate) mod stat;
mod state_directory;
pub(crate) mod user;
