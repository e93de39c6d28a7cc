//! A simulated network of hosts, NATs and firewalls on virtual time, for tests
