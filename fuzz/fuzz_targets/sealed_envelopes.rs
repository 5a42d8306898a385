//! The fuzzer of [`keysherd_fuzz::sealed_envelopes`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::sealed_envelopes(data));
