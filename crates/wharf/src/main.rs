//! FTP that simply works: server and client in one program.

fn main() {}
