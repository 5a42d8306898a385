//! The members, each in its own file.

mod artifactory;
pub(crate) mod aws;
mod azure;
pub(crate) mod cassandra;
mod chef;
pub(crate) mod custom;
mod dockerhub;
mod eks;
mod gcp;
mod github;
mod gitlab;
mod gke;
mod google_workspace;
pub(crate) mod hanadb;
mod k8s;
pub(crate) mod ldap;
pub(crate) mod mongodb;
pub(crate) mod mssql;
pub(crate) mod mysql;
mod openai;
mod ping;
mod postgresql;
mod rabbitmq;
mod rdp;
pub(crate) mod redis;
mod redshift;
mod snowflake;
mod venafi;

use crate::Engine;

static ENGINES: &[&dyn Engine] = &[
    &artifactory::MEMBER,
    &aws::AwsAccount,
    &azure::Entra,
    &chef::MEMBER,
    &cassandra::Cassandra,
    &custom::Custom,
    &dockerhub::MEMBER,
    &eks::EksTokens,
    &gcp::GoogleCloud,
    &github::MEMBER,
    &gitlab::MEMBER,
    &gke::GkeTokens,
    &google_workspace::Workspace,
    &hanadb::Hanadb,
    &k8s::K8s,
    &ldap::Ldap,
    &mongodb::Mongodb,
    &mssql::Mssql,
    &mysql::Mysql,
    &openai::MEMBER,
    &ping::MEMBER,
    &postgresql::MEMBER,
    &rabbitmq::RabbitMq,
    &rdp::Rdp,
    &redis::Redis,
    &redshift::MEMBER,
    &snowflake::Snowflake,
    &venafi::Venafi,
];

/// Every member.
pub fn all() -> &'static [&'static dyn Engine] {
    ENGINES
}

/// The member with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Engine> {
    ENGINES.iter().copied().find(|engine| engine.kind().name == name)
}
