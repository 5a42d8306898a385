//! `keysherd-bench`: measures a running server beside what the machine can do at best.
//!
//! Linux only: it reads `/proc`. Every row is a closed loop with a bounded time, over TLS 1.3 with
//! keep-alive and with audit on; beside it, in the same run, stand a bare TLS echo on the same
//! HTTP stack and a loop of bare `fdatasync` calls on the same disk. Aims are printed, never
//! asserted. See the performance reference, section 2d, for the definitions of the rows.

mod actor;
mod apart;
mod audit_log;
mod connection;
mod console;
mod cores;
mod decide;
mod drive;
mod dynamic;
mod echo;
mod edge;
mod generator;
mod issuer;
mod leases;
mod link;
mod load;
mod machine;
mod names;
mod place;
mod process;
mod product;
mod raw;
mod report;
mod reviewer;
mod rewrap;
mod row;
mod scripts;
mod served;
mod settings;
mod template;
mod walk;

use std::process::ExitCode;

/// The allocator of the server, so that the echo pays the same for memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let matches = settings::command().get_matches();
    let outcome = match matches.subcommand() {
        Some(("echo", flags)) => echo::serve(flags),
        Some(("apart", flags)) => in_runtime(apart::run(flags)),
        Some(("audit", flags)) => in_runtime(audit_log::run(flags)),
        Some(("decide", flags)) => decide::run(flags),
        Some(("dynamic", flags)) => in_runtime(dynamic::run(flags)),
        Some(("edge", flags)) => in_runtime(edge::run(flags)),
        Some(("leases", flags)) => in_runtime(leases::run(flags)),
        Some(("link", flags)) => link::run(flags),
        Some(("reviewer", flags)) => reviewer::serve(flags),
        _ => settings::Settings::of(&matches).and_then(|settings| measure(&settings)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::note(&format!("keysherd-bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(settings: &settings::Settings) -> Result<(), String> {
    let report = in_runtime(drive::run(settings))?;
    console::say(&if settings.json { report.json() } else { report.table() });
    Ok(())
}

/// One thread: the client must leave the other cores to what it measures.
fn in_runtime<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(work)
}
