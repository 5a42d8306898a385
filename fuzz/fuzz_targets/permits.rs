//! The fuzzer of [`keysherd_fuzz::permits`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::permits(data));
