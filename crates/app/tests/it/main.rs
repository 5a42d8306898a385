//! The binary `keysherd` as a process of its own, attacked from outside: over HTTPS, by signals,
//! by full disks, and with its files in the hands of others.
#![expect(clippy::unwrap_used, reason = "a test that fails says so by panicking")]

mod kit;
#[path = "../../../crypto/tests/softhsm/mod.rs"]
mod softhsm;

mod advisor;
mod audit_export;
mod audit_log;
mod audit_records;
mod audit_search;
mod audit_uses;
mod aws;
mod bad_arguments;
mod browser_logins;
mod canary;
mod certificates;
mod cloud_tokens;
mod clouds;
mod cluster;
mod cluster_attacks;
mod cluster_by_hand;
mod cluster_canary;
mod cluster_faults;
mod command_line;
mod configuration;
mod confinement;
mod crash;
mod customer_fragments;
mod customer_thieves;
mod disk_full;
mod first_start;
mod fragment_delivery;
mod fragment_files;
mod fragment_hsm;
mod guard_rails;
mod hostile;
mod identities;
mod interrupted;
mod items;
mod keys;
mod keys_at_rest;
mod kubernetes;
mod large_answers;
mod lenient;
mod listing;
mod manager_logs;
mod owner;
mod owner_cluster;
mod owner_orders;
mod packaging;
mod recovery;
mod refresh;
mod role_configuration;
mod roles;
mod rotation;
mod routes;
mod saml;
mod second;
mod secrets;
mod stolen;
mod stopping;
mod tampering;
mod tokens;
mod universal_identity;
mod walk;
