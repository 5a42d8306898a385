//! The fuzzer of [`keysherd_fuzz::routes`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::routes(data));
