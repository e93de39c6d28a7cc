//! The FTP server: server-PI and server-DTP
