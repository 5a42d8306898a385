//! The fuzzer of [`keysherd_fuzz::link_messages`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::link_messages(data));
