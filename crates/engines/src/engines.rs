//! The members, each in its own file.

mod aws;
mod custom;
mod k8s;
mod ldap;
pub(crate) mod mysql;
mod postgresql;
mod rabbitmq;
pub(crate) mod redis;
mod redshift;

use crate::Engine;

static ENGINES: &[&dyn Engine] = &[
    &aws::AwsAccount,
    &custom::Custom,
    &k8s::K8s,
    &ldap::Ldap,
    &mysql::Mysql,
    &postgresql::MEMBER,
    &rabbitmq::RabbitMq,
    &redis::Redis,
    &redshift::MEMBER,
];

/// Every member.
pub fn all() -> &'static [&'static dyn Engine] {
    ENGINES
}

/// The member with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Engine> {
    ENGINES.iter().copied().find(|engine| engine.kind().name == name)
}
