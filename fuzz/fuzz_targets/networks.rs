//! The fuzzer of [`keysherd_fuzz::networks`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::networks(data));
