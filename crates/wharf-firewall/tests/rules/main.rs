//! The rules of every case, in every dialect.

mod admitted;
mod cases;
mod golden;
mod ports;
