//! Finds out why no data connection comes about: walks every path, compares what was sent with what arrived, and says
//! who must act and how.
