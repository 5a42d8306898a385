//! The fuzzer of [`keysherd_fuzz::certificates`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::certificates(data));
