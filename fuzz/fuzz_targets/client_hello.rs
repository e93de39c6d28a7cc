#![no_main]

#[path = "../checks/client_hello.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::check(data));
