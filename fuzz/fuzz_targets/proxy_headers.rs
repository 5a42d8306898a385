//! The fuzzer of [`keysherd_fuzz::proxy_headers`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::proxy_headers(data));
