//! Challenges to requests of ours.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sip::fuzz::challenge(bytes));
