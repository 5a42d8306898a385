//! The shapes of answers that several commands share, as the V2 API models them.

pub(crate) mod auth_method;
pub(crate) mod item;
pub(crate) mod page;
pub(crate) mod role;
