//! The fuzzer of [`keysherd_fuzz::evidence`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::evidence(data));
