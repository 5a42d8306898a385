//! The fuzzer of [`keysherd_fuzz::json_edge`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::json_edge(data));
