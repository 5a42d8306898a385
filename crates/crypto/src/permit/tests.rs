//! Tests of `permit`.
