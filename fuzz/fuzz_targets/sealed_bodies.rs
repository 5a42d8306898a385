//! The fuzzer of [`keysherd_fuzz::sealed_bodies`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::sealed_bodies(data));
