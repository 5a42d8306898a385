//! The fuzzer of [`keysherd_fuzz::statements`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::statements(data));
