//! `lymph_scenarios::fuzzing::grok` on whatever libFuzzer thinks of.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lymph_scenarios::fuzzing::grok(data));
