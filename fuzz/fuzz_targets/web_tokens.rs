//! The fuzzer of [`keysherd_fuzz::web_tokens`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::web_tokens(data));
