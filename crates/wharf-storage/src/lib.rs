//! File stores for FTP: a jailed directory, memory, and the suite every store passes
