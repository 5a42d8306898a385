//! The members, each in its own file.

mod aws;
mod azure;
mod cassandra;
mod custom;
mod gcp;
mod hanadb;
mod ldap;
mod mongodb;
mod mssql;
mod mysql;
mod openai;
mod postgresql;
mod redis;
mod redshift;
mod snowflake;
mod ssh;
mod windows;

use crate::rotator::Rotator;

static ROTATORS: &[&dyn Rotator] = &[
    &aws::MEMBER,
    &azure::MEMBER,
    &cassandra::MEMBER,
    &custom::MEMBER,
    &gcp::MEMBER,
    &hanadb::MEMBER,
    &ldap::MEMBER,
    &mongodb::MEMBER,
    &mssql::MEMBER,
    &mysql::MEMBER,
    &openai::MEMBER,
    &postgresql::MEMBER,
    &redis::MEMBER,
    &redshift::MEMBER,
    &snowflake::MEMBER,
    &ssh::MEMBER,
    &windows::MEMBER,
];

/// Every rotator.
pub fn all() -> &'static [&'static dyn Rotator] {
    ROTATORS
}

/// The rotator with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Rotator> {
    ROTATORS.iter().copied().find(|rotator| rotator.kind().name == name)
}
