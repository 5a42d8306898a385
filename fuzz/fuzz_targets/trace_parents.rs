//! The fuzzer of [`keysherd_fuzz::trace_parents`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::trace_parents(data));
