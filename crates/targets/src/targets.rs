//! The members, each in its own file.

mod db;
pub mod rabbitmq;
mod web;

use keysherd_base::Fault;

use crate::{Server, Settings, Target};

static TARGETS: &[&dyn Target] = &[&db::Db, &rabbitmq::RabbitMq, &web::Web];

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
