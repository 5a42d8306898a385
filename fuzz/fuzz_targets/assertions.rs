//! The fuzzer of [`keysherd_fuzz::assertions`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::assertions(data));
