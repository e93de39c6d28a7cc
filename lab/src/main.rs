//! wharf-lab

fn main() {}
