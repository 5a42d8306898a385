//! The fuzzer of [`keysherd_fuzz::plane_messages`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::plane_messages(data));
