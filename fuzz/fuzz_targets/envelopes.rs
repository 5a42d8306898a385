//! The fuzzer of [`keysherd_fuzz::envelopes`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::envelopes(data));
