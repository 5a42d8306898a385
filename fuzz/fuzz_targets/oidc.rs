//! The fuzzer of [`keysherd_fuzz::oidc`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::oidc(data));
