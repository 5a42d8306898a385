//! Fuzz targets as ordinary functions: one for each thing that reads bytes from outside.
//!
//! A target takes any bytes and panics when a property breaks. All are total (no bytes make the
//! reader panic); where something is accepted, writing it again gives the same; and no refusal
//! repeats a secret. The same functions run in two places: under a coverage-guided fuzzer (the
//! binaries in the directory `fuzz` of the project), and with a few thousand deterministic
//! mutations of [`Target::seeds`] in this crate's own tests.
//!
//! Not reached, because private to their crates: the gateway's transit messages and its files of
//! unconfirmed values, journals of reads, answers of clouds about their identities, the frames of
//! the manager's store.

mod access_keys;
mod addresses;
mod asserting;
mod assertions;
mod audit_chains;
mod audit_exports;
mod audit_records;
mod carried_files;
mod certificates;
mod ciphertexts;
mod command_line;
mod commands;
mod database_exports;
mod decisions;
mod dynamic_secrets;
mod envelopes;
mod evidence;
mod forms;
mod fragment_files;
mod fragment_messages;
mod fragment_samples;
mod identifiers;
mod input;
mod json_edge;
mod kerberos;
mod link_messages;
mod log_entries;
mod log_segments;
mod manifests;
mod matching;
mod networks;
mod oidc;
mod owner_files;
mod paths;
mod patterns;
mod permits;
mod plane_messages;
mod proxy_answers;
mod proxy_headers;
mod randomness;
mod role_merges;
mod routes;
mod saml_responses;
mod sealed_bodies;
mod service_accounts;
mod stand_in;
mod sub_claims;
mod tokens;
mod trace_parents;
mod web_tokens;

pub use access_keys::access_keys;
pub use addresses::addresses;
pub use assertions::assertions;
pub use audit_chains::audit_chains;
pub use audit_exports::audit_exports;
pub use audit_records::audit_records;
pub use carried_files::carried_files;
pub use certificates::certificates;
pub use ciphertexts::ciphertexts;
pub use command_line::command_line;
pub use commands::commands;
pub use database_exports::database_exports;
pub use decisions::decisions;
pub use dynamic_secrets::{name_templates, statements, vouching_texts};
pub use envelopes::{envelopes, sealed_envelopes};
pub use evidence::evidence;
pub use forms::forms;
pub use fragment_files::{fragment_files, recovery_shares};
pub use fragment_messages::fragment_messages;
pub use identifiers::identifiers;
pub use json_edge::json_edge;
pub use kerberos::{kerberos_tokens, keytabs};
pub use link_messages::link_messages;
pub use log_entries::log_entries;
pub use log_segments::log_segments;
pub use manifests::manifests;
pub use networks::networks;
pub use oidc::oidc;
pub use owner_files::owner_files;
pub use paths::paths;
pub use patterns::patterns;
pub use permits::permits;
pub use plane_messages::plane_messages;
pub use proxy_answers::proxy_answers;
pub use proxy_headers::proxy_headers;
pub use role_merges::role_merges;
pub use routes::routes;
pub use saml_responses::{saml_metadata, saml_responses};
pub use sealed_bodies::sealed_bodies;
pub use service_accounts::service_accounts;
pub use sub_claims::sub_claims;
pub use tokens::tokens;
pub use trace_parents::trace_parents;
pub use web_tokens::{key_sets, web_tokens};

/// A target: what to run, and where to begin.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of the function, of the fuzzer's binary and of the directory of its corpus.
    pub name: &'static str,
    /// Panics when a property does not hold for these bytes.
    pub run: fn(&[u8]),
    /// Structurally valid inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many mutations the tests try; fewer where one takes long.
    pub rounds: usize,
}

macro_rules! targets {
    ($($name:ident from $module:ident, $seeds:ident, $rounds:literal;)*) => {
        /// Every target, by name. (One macro for this crate: name and function cannot drift.)
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($name),
            run: $name,
            seeds: $module::$seeds,
            rounds: $rounds,
        }),*];
    };
}

targets! {
    access_keys from access_keys, seeds, 10_000;
    addresses from addresses, seeds, 10_000;
    assertions from assertions, seeds, 300;
    audit_chains from audit_chains, seeds, 10_000;
    audit_exports from audit_exports, seeds, 3_000;
    audit_records from audit_records, seeds, 3_000;
    carried_files from carried_files, seeds, 1_000;
    certificates from certificates, seeds, 3_000;
    ciphertexts from ciphertexts, seeds, 3_000;
    command_line from command_line, seeds, 3_000;
    commands from commands, seeds, 10_000;
    database_exports from database_exports, seeds, 3_000;
    decisions from decisions, seeds, 10_000;
    envelopes from envelopes, seeds, 10_000;
    evidence from evidence, seeds, 1_000;
    forms from forms, seeds, 10_000;
    fragment_files from fragment_files, file_seeds, 10_000;
    fragment_messages from fragment_messages, seeds, 10_000;
    identifiers from identifiers, seeds, 10_000;
    json_edge from json_edge, seeds, 3_000;
    kerberos_tokens from kerberos, token_seeds, 3_000;
    key_sets from web_tokens, key_seeds, 10_000;
    keytabs from kerberos, keytab_seeds, 10_000;
    link_messages from link_messages, seeds, 10_000;
    log_entries from log_entries, seeds, 10_000;
    log_segments from log_segments, seeds, 3_000;
    manifests from manifests, seeds, 1_000;
    name_templates from dynamic_secrets, template_seeds, 3_000;
    networks from networks, seeds, 10_000;
    oidc from oidc, seeds, 300;
    owner_files from owner_files, seeds, 10_000;
    paths from paths, seeds, 10_000;
    patterns from patterns, seeds, 10_000;
    permits from permits, seeds, 10_000;
    plane_messages from plane_messages, seeds, 10_000;
    proxy_answers from proxy_answers, seeds, 10_000;
    proxy_headers from proxy_headers, seeds, 10_000;
    recovery_shares from fragment_files, share_seeds, 10_000;
    role_merges from role_merges, seeds, 3_000;
    routes from routes, seeds, 10_000;
    saml_metadata from saml_responses, metadata_seeds, 1_000;
    saml_responses from saml_responses, response_seeds, 1_000;
    sealed_bodies from sealed_bodies, seeds, 10_000;
    sealed_envelopes from envelopes, sealed_seeds, 10_000;
    service_accounts from service_accounts, seeds, 10_000;
    statements from dynamic_secrets, statement_seeds, 3_000;
    sub_claims from sub_claims, seeds, 10_000;
    tokens from tokens, seeds, 10_000;
    trace_parents from trace_parents, seeds, 10_000;
    vouching_texts from dynamic_secrets, vouching_seeds, 10_000;
    web_tokens from web_tokens, token_seeds, 10_000;
}
