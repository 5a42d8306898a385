//! The fuzzer of [`keysherd_fuzz::service_accounts`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::service_accounts(data));
