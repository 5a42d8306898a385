//! The fuzzer of [`keysherd_fuzz::name_templates`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysherd_fuzz::name_templates(data));
