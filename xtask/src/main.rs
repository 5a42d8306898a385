//! Tasks of this project: `cargo xtask <task>`.
//!
//! The crate depends on no other crate of the workspace; what it has to know about the product it
//! asks the built binary. So it builds in seconds, also while something else does not.

mod census;
mod conformance;
mod console;
mod counts;
mod dist;
mod docs;
mod failures;
mod ferretdb;
mod go;
mod helm;
mod kube;
mod pebble;
mod process;
mod product;
mod root;
mod suite;
mod tidy;
mod tools;
mod v2;

use std::process::{Command, ExitCode};

const USAGE: &str = "\
usage: cargo xtask <task>

  test [--all]          everything that must hold; --all also builds slow tools
  tidy [--sources]      rules for the source tree; generated documents are up to date
  docs [--check]        write docs/reference, or say what is stale
  census                how much of the V2 API is served
  conformance [SUITE]   the official SDKs against a live server
  ferretdb, helm, kube, pebble
                        build the server of MongoDB's protocol, Helm, the Kubernetes API server, or
                          the ACME authority for the tests; test --all builds all of them
  dist [--dynamic]      the binary as it is shipped: static, or with PKCS#11 modules
  bench [ARGUMENT...]   measure a release build; `bench apart`: five processes beside one;
                          `bench audit`: searches of a long audit log;
                          `bench leases`: very many temporary credentials;
                          `bench dynamic`: credentials on PostgreSQL beside the same SQL by hand;
                          `bench edge`: gateways that keep reads, control near and far;
                          `bench decide`: policy decisions";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match words.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", &[][..]),
    };
    let result = match task {
        "test" => suite::run(rest),
        "tidy" => tidy::run(rest),
        "docs" => docs::run(rest),
        "census" => census::run(),
        "conformance" => conformance::run(rest),
        "kube" => kube::PROGRAM.build(),
        "ferretdb" => ferretdb::PROGRAM.build(),
        "helm" => helm::PROGRAM.build(),
        "pebble" => pebble::PROGRAM.build(),
        "dist" => dist::run(rest),
        "bench" => bench(rest),
        "help" | "--help" | "-h" => {
            console::say(USAGE);
            Ok(())
        }
        other => Err(format!("there is no task '{other}'\n\n{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_empty() {
                console::complain(&error);
            }
            ExitCode::FAILURE
        }
    }
}

/// The benches are a crate of their own, because they need the product's crates.
fn bench(arguments: &[String]) -> Result<(), String> {
    let mut command = Command::new(product::cargo());
    command
        .current_dir(root::project())
        .args(["run", "--quiet", "--release", "--package", "keysherd-bench", "--"])
        .args(arguments);
    process::run(&mut command)
}
