//! The fuzzer of [`keysherd_fuzz::database_exports`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::database_exports(data));
