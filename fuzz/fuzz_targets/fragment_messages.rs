//! The fuzzer of [`keysherd_fuzz::fragment_messages`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::fragment_messages(data));
