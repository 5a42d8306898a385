//! The fuzzer of [`keysherd_fuzz::role_merges`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::role_merges(data));
