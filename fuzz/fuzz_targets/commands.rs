//! The fuzzer of [`keysherd_fuzz::commands`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::commands(data));
