//! The fuzzer of [`keysherd_fuzz::manifests`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::manifests(data));
