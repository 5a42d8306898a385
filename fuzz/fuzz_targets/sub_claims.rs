//! The fuzzer of [`keysherd_fuzz::sub_claims`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::sub_claims(data));
