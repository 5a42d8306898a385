//! The fuzzer of [`keysherd_fuzz::decisions`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::decisions(data));
