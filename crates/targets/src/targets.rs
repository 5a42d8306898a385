//! The members, each in its own file.

pub mod artifactory;
mod aws;
pub mod azure;
mod db;
pub mod dockerhub;
pub mod eks;
mod f5_big_ip;
pub mod gcp;
pub mod github;
pub mod gitlab;
pub mod gke;
mod globalsign;
mod globalsign_atlas;
mod godaddy;
mod hashi_vault;
pub mod k8s;
mod ldap;
pub mod linked;
pub mod openai;
pub mod ping;
pub mod rabbitmq;
mod salesforce;
mod ssh;
mod web;
mod windows;
mod zerossl;

use keysherd_base::Fault;

use crate::{Server, Settings, Target};

pub use aws::account as aws_account;
pub use db::{site as mongodb_site, snowflake as snowflake_account};
pub use ldap::{directory as ldap_directory, is_active_directory as ldap_is_active_directory};
pub use ssh::{proof as ssh_proof, server as ssh_machine};
pub use web::webhook;
pub use windows::{
    account as windows_account, machine as windows_machine, machine_alone as windows_machine_alone,
};

static TARGETS: &[&dyn Target] = &[
    &artifactory::ArtifactoryTarget,
    &aws::AwsTarget,
    &azure::AzureTarget,
    &db::Db,
    &dockerhub::DockerhubTarget,
    &eks::EksTarget,
    &f5_big_ip::MEMBER,
    &gcp::GcpTarget,
    &github::GithubTarget,
    &gitlab::GitlabTarget,
    &gke::GkeTarget,
    &globalsign::MEMBER,
    &globalsign_atlas::MEMBER,
    &godaddy::MEMBER,
    &hashi_vault::MEMBER,
    &k8s::K8s,
    &ldap::Ldap,
    &linked::LinkedTarget,
    &openai::OpenAiTarget,
    &ping::PingTarget,
    &rabbitmq::RabbitMq,
    &salesforce::MEMBER,
    &ssh::Ssh,
    &web::Web,
    &windows::MEMBER,
    &zerossl::MEMBER,
];

/// Every member.
pub fn all() -> &'static [&'static dyn Target] {
    TARGETS
}

/// The member with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Target> {
    TARGETS.iter().copied().find(|target| target.kind().name == name)
}

/// The member of whose type a target is.
pub fn by_type(type_name: &str) -> Option<&'static dyn Target> {
    TARGETS.iter().copied().find(|target| target.kind().types.contains(&type_name))
}

/// The server that a database target's settings name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn database(settings: &Settings) -> Result<Server, Fault> {
    db::server(settings)
}
