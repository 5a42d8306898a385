//! The members, each in its own file.

mod mysql;
mod postgresql;
mod redis;
mod redshift;

use crate::Engine;

static ENGINES: &[&dyn Engine] =
    &[&mysql::Mysql, &postgresql::MEMBER, &redis::Redis, &redshift::MEMBER];

/// Every member.
pub fn all() -> &'static [&'static dyn Engine] {
    ENGINES
}

/// The member with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Engine> {
    ENGINES.iter().copied().find(|engine| engine.kind().name == name)
}
