//! The family of targets: places where credentials are made or changed, with what signs in there.
//!
//! A member is one file under `targets/` and two lines in `targets.rs`. It says what it is called,
//! which settings it has, how V2 shows them, and how to find out whether they work. Commands, the
//! rights on targets and where they are kept are written once, elsewhere.
//!
//! Connectors (`aws`, `cassandra`, `hanadb`, `http`, `ldap`, `mongodb`, `mssql`, `mysql`,
//! `postgres`, `redis`, `snowflake`, `ssh`, `winrm`) are here, because what makes temporary
//! credentials (`engines`) goes the same way as what tries a target out. A connection is encrypted
//! and its server's certificate checked unless the settings say otherwise; a server that refuses
//! TLS is not talked to without.

pub mod aws;
pub mod cassandra;
pub mod cluster;
mod conformance;
mod endpoints;
pub mod google;
pub mod hanadb;
pub mod http;
mod kept;
mod kind;
pub mod ldap;
mod lender;
mod member;
pub mod mongodb;
pub mod mssql;
pub mod mysql;
mod pem;
pub mod postgres;
pub mod redis;
mod server;
pub mod snowflake;
pub mod ssh;
mod targets;
#[cfg(test)]
mod testing;
pub mod winrm;
mod words;

pub use conformance::complaints;
pub use endpoints::Endpoints;
pub use keysherd_wire::Settings;
pub use kind::{Kind, Spelling, naming_complaints};
pub use lender::{Lender, Lent};
pub use member::{BoxFuture, Identity, Target, Voucher, Way};
pub use pem::pem;
pub use server::{Given, NOT_ADMITTED, Named, Server, WRONG_CREDENTIALS};
pub use targets::{
    all, artifactory, aws_account, azure, by_name, by_type, database, dockerhub, eks, gcp, github,
    gitlab, gke, k8s, ldap_directory, ldap_is_active_directory, linked, mongodb_site, openai, ping,
    rabbitmq, snowflake_account, ssh_machine, ssh_proof, webhook, windows_account, windows_machine,
    windows_machine_alone,
};
