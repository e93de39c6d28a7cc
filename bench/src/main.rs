//! wharf-bench

fn main() {}
