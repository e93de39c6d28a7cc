//! From the events of a session to its picture. Pure: opens nothing.
