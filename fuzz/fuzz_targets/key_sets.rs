//! The fuzzer of [`keysherd_fuzz::key_sets`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::key_sets(data));
