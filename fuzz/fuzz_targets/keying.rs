//! STUN, DTLS and SRTP before keys.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| media::fuzz::keying(bytes));
