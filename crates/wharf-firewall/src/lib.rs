//! From who stands where, and what data modes are offered, to the connections that must pass, and from those to
//! firewall rules in many dialects. Pure: opens nothing, asks nobody.
