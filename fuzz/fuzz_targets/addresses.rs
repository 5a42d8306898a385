//! The fuzzer of [`keysherd_fuzz::addresses`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::addresses(data));
