//! `lymph_protocol::fuzzing::envelope` on whatever libFuzzer thinks of.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lymph_protocol::fuzzing::envelope(data));
