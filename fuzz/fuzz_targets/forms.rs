//! The fuzzer of [`keysherd_fuzz::forms`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::forms(data));
