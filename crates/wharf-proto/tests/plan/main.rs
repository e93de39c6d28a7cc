//! The search for a data connection against simulated networks: what is tried on which control connection, in which order
//! and for how long; and, in every order in which the lanes may come to an end, what must always hold.

mod network;
mod orders;
mod rules;
mod searches;
