//! The FTP client library: user-PI and user-DTP
