//! The fuzzer of [`keysherd_fuzz::fragment_files`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::fragment_files(data));
