//! SIP messages and stream framing.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sip::fuzz::message(bytes));
