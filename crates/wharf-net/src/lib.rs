//! The only crate that opens sockets for FTP: control and data connections
