//! The fuzzer of [`keysherd_fuzz::tokens`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::tokens(data));
