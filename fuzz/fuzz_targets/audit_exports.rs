//! The fuzzer of [`keysherd_fuzz::audit_exports`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::audit_exports(data));
