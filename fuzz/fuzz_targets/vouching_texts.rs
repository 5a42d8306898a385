//! The fuzzer of [`keysherd_fuzz::vouching_texts`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::vouching_texts(data));
