//! `keysherd gateway endpoints` and `keysherd gateway doctor`: what a gateway has to reach, and
//! whether it does.
//!
//! Both read the settings and the data directory, change nothing, and need no running gateway nor
//! mind one.

mod checks;
mod endpoints;
mod sign_in;

use clap::ArgMatches;
use serde_json::{Value, json};

use self::checks::{Check, Verdict};
use self::endpoints::{Endpoint, Known};
use crate::config::gateway::GatewaySettings;
use crate::exit::Exit;
use crate::roles::process::write_stdout;

/// Prints what the gateway has to reach.
///
/// # Errors
/// When the data directory cannot be used.
pub(crate) fn endpoints(settings: GatewaySettings, flags: &ArgMatches) -> Result<(), Exit> {
    let known = Known::read(settings)?;
    let endpoints = known.endpoints();
    if flags.get_flag("json") {
        return print(&json!({ "endpoints": endpoints, "remarks": known.remarks() }));
    }
    let mut text = String::new();
    for Endpoint { name, host, port, protocol, proxy, why } in &endpoints {
        let way = proxy.as_ref().map_or_else(String::new, |proxy| format!(" through {proxy}"));
        text.push_str(&format!("{name:<28} {host}:{port}/{protocol}{way}: {why}\n"));
    }
    for remark in known.remarks() {
        text.push_str(&format!("note: {remark}\n"));
    }
    write_stdout(&text);
    Ok(())
}

/// Tries everything that the gateway needs, and prints what fails and what to do.
///
/// # Errors
/// [`Exit::Unreachable`] when something cannot be reached, [`Exit::Refused`] when somebody refuses
/// this gateway, [`Exit::Files`] when its directory cannot be used; the first of these that fails.
pub(crate) async fn doctor(settings: GatewaySettings, json: bool) -> Result<(), Exit> {
    let checks = match Known::read(settings) {
        Ok(known) => checks::all(&known).await,
        // What is wrong with the directory is a finding like others.
        Err(exit @ Exit::Configuration(_)) => return Err(exit),
        Err(exit) => vec![Check::of_directory(&exit)],
    };
    let failed = checks.iter().find_map(|check| check.failure());
    if json {
        print(&json!({ "healthy": failed.is_none(), "checks": checks }))?;
    } else {
        let mut text = String::new();
        for Check { name, verdict, detail, fix } in &checks {
            let mark = match verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Unreachable | Verdict::Refused | Verdict::Files => "FAILED",
            };
            text.push_str(&format!("{mark:<8} {name}: {detail}\n"));
            if !fix.is_empty() {
                text.push_str(&format!("         {fix}\n"));
            }
        }
        write_stdout(&text);
    }
    failed.map_or(Ok(()), Err)
}

fn print(value: &Value) -> Result<(), Exit> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Exit::Damaged(e.to_string()))?;
    write_stdout(&format!("{text}\n"));
    Ok(())
}
