//! The fuzzer of [`keysherd_fuzz::proxy_answers`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::proxy_answers(data));
