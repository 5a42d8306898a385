//! The fuzzer of [`keysherd_fuzz::recovery_shares`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::recovery_shares(data));
