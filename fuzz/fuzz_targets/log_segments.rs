//! The fuzzer of [`keysherd_fuzz::log_segments`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::log_segments(data));
