//! `lymph_scenarios::fuzzing::line` on whatever libFuzzer thinks of.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lymph_scenarios::fuzzing::line(data));
