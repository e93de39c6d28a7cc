//! RFC 959 and its family as values and rules: no sockets, no files, no clock
