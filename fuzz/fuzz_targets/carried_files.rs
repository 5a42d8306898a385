//! The fuzzer of [`keysherd_fuzz::carried_files`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::carried_files(data));
