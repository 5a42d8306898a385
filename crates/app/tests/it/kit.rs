//! What the tests share: servers as processes, a client, waiting with deadlines.

mod api;
mod cluster;
mod commands;
mod http;
mod liar;
mod login_provider;
mod needles;
mod node;
mod oidc_provider;
pub(crate) mod openssl;
mod orders;
mod poll;
mod proxy;
mod python;
mod records;
mod run;
pub(crate) mod saml;
mod server;
mod stolen;
mod stub;

pub(crate) use api::{Api, Person, Rule, rule_args};
pub(crate) use cluster::{Cluster, Node, Wish as ClusterWish};
pub(crate) use commands::{Spec, commands};
pub(crate) use http::{Connection, Http, Reply};
pub(crate) use liar::Liar;
pub(crate) use login_provider::{LoginProvider, chromium};
pub(crate) use needles::Needles;
pub(crate) use oidc_provider::OidcProvider;
pub(crate) use orders::{order, owner_key};
pub(crate) use poll::{LONG, in_full, random, wait_for, wait_until};
pub(crate) use proxy::Proxy;
pub(crate) use records::{records, records_of};
pub(crate) use run::{Finished, KEYSHERD, finish, keysherd};
pub(crate) use server::{Bootstrap, Process, Server, Site, announced_url, audit};
pub(crate) use stolen::{Share, documents_in, open_document, project, question, shares_in};
pub(crate) use stub::{Asked, Stub, json as json_answer};
