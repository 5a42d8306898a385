//! Where other roles are, as far as the configuration says and not the owner's bundle.

use std::collections::BTreeMap;

use clap::Arg;
use keysherd_fragments::bundle::address::is_address;
use keysherd_fragments::manager_set::ManagerIndex;

use super::settings::{Settings, options, wrong};
use crate::exit::Exit;

/// Most addresses of control.
const CONTROLS_MAX: usize = 16;

/// Addresses of managers by index; they win over those in the bundle.
pub(crate) type ManagerAddresses = BTreeMap<ManagerIndex, String>;

/// The option that says where control is.
pub(super) fn control_option(help: &'static str) -> Arg {
    options("control", "HOST:PORT", help)
}

/// The option that says where managers are.
pub(super) fn manager_option() -> Arg {
    options(
        "manager",
        "INDEX=HOST:PORT",
        "Where a fragment manager listens, if not where the trust bundle says; repeatable",
    )
}

/// The addresses of control.
pub(super) fn controls(settings: &Settings<'_>) -> Result<Vec<String>, Exit> {
    let controls = settings.texts("control")?;
    if let Some(bad) = controls.iter().find(|text| !is_address(text)) {
        return Err(wrong("control", bad, "a host and a port, such as control.example:8400"));
    }
    if controls.len() > CONTROLS_MAX {
        let count = controls.len().to_string();
        return Err(wrong("number of --control", &count, &format!("at most {CONTROLS_MAX}")));
    }
    Ok(controls)
}

/// The addresses of managers.
pub(super) fn managers(settings: &Settings<'_>) -> Result<ManagerAddresses, Exit> {
    let mut addresses = ManagerAddresses::new();
    for text in settings.texts("manager")? {
        let parts = text.split_once('=').and_then(|(index, address)| {
            let index = index.parse().ok().and_then(ManagerIndex::new)?;
            is_address(address).then(|| (index, address.to_owned()))
        });
        let (index, address) = parts.ok_or_else(|| {
            wrong("manager", &text, "an index, '=' and an address, such as 2=fm2.example:8401")
        })?;
        if addresses.insert(index, address).is_some() {
            return Err(wrong("manager", &text, "the only address of its index"));
        }
    }
    Ok(addresses)
}
