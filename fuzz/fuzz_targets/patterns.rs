//! The fuzzer of [`keysherd_fuzz::patterns`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::patterns(data));
