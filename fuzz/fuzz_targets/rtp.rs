//! RTP into a bridge.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| media::fuzz::rtp(bytes));
