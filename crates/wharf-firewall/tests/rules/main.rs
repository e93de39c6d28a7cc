//! The rules of every case, in every dialect.

mod cases;
mod golden;
mod ports;
