//! The fuzzer of [`keysherd_fuzz::ciphertexts`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::ciphertexts(data));
