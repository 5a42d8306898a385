//! The fuzzer of [`keysherd_fuzz::keytabs`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::keytabs(data));
