//! Configuration of the roles: one file per concern, each read and validated by the same function.

pub(crate) mod account;
pub(crate) mod acme;
pub(crate) mod addresses;
pub(crate) mod at_rest;
pub(crate) mod audit;
pub(crate) mod caching;
pub(crate) mod carry;
pub(crate) mod cluster;
mod confinement;
pub(crate) mod control;
pub(crate) mod data_dir;
mod database;
pub(crate) mod db;
pub(crate) mod edge;
pub(crate) mod egress;
pub(crate) mod enroll;
pub(crate) mod environment;
mod first_settings;
pub(crate) mod fragments;
pub(crate) mod gateway;
mod identity;
pub(crate) mod manager_logs;
pub(crate) mod metrics;
pub(crate) mod owner_key;
pub(crate) mod recovery;
pub(crate) mod server;
pub(crate) mod serving;
mod settings;
pub(crate) mod tls;
pub(crate) mod traces;

pub(crate) use data_dir::default as data_dir_default;
