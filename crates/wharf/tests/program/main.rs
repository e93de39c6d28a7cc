//! The program as its users meet it: the binary in a directory of its own, what it prints, and the
//! status it ends with.
//!
//! Every helper has a time limit and waits for lines and ends, never for a time. Ports are free ones.

mod bans;
mod bookmarks;
mod boundary;
mod fake_server;
mod gateway;
mod play;
mod schema;

mod client_certificates;
mod configuration;
mod crashes;
mod devices;
mod doctor;
mod events;
mod exit_codes;
mod firewall;
mod host;
mod hostile;
mod installed;
mod interactive;
mod ladders;
mod lost_reply;
mod memory;
mod mirror;
mod names;
mod proxy;
mod queue;
mod recipes;
mod server_start;
mod service;
mod sessions;
mod through_proxies;
mod transfers;
mod users;
