//! The fuzzer of [`keysherd_fuzz::command_line`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::command_line(data));
