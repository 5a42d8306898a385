//! The fuzzer of [`keysherd_fuzz::kerberos_tokens`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::kerberos_tokens(data));
