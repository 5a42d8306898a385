//! The fuzzer of [`keysherd_fuzz::saml_metadata`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::saml_metadata(data));
