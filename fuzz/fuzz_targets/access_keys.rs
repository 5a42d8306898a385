//! The fuzzer of [`keysherd_fuzz::access_keys`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::access_keys(data));
