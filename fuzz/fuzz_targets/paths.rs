//! The fuzzer of [`keysherd_fuzz::paths`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::paths(data));
