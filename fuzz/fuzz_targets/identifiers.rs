//! The fuzzer of [`keysherd_fuzz::identifiers`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::identifiers(data));
