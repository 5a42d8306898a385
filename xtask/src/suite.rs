//! `cargo xtask test`: everything that must hold before a change is done, in one command.
//!
//! Steps run in order; the first that fails is the last. The closing line counts the tests of all
//! steps; a step without tests of its own counts as one.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::console::{complain, say};
use crate::counts::Counts;
use crate::product::cargo;
use crate::{
    census, conformance, dist, failures, ferretdb, helm, kube, pebble, process, root, tidy, tools,
};

/// What a step ran with, and what it found.
type Step = fn(&mut Run) -> Result<Counts, String>;

/// The steps by name, in order.
const STEPS: &[(&str, Step)] = &[
    ("tools", tools_step),
    ("format", format),
    ("clippy", clippy),
    ("tidy", tidy_step),
    ("cargo test", cargo_test),
    ("conformance", conformance_step),
    ("census", census_step),
    ("cargo deny", cargo_deny),
    ("clean tree", clean_tree),
];

/// One run of all steps.
struct Run {
    /// Whether slow tools are built when they are missing.
    all: bool,
    /// What the working tree was like at the start; `None` without git.
    tree: Option<String>,
    /// What the tests that failed said, for the end of the log.
    failures: Vec<String>,
}

/// `cargo xtask test [--all]`.
///
/// # Errors
/// When a step failed.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let all = match arguments {
        [] => false,
        [flag] if flag == "--all" => true,
        _ => return Err("usage: cargo xtask test [--all]".to_owned()),
    };
    let mut run = Run { all, tree: working_tree(), failures: Vec::new() };
    let mut total = Counts::default();
    let mut report = Vec::new();
    let mut failed = None;
    for (name, step) in STEPS {
        say(&format!("\n== {name}"));
        let begin = Instant::now();
        let counts = step(&mut run).unwrap_or_else(|error| {
            complain(&error);
            Counts::one(false)
        });
        total = total.and(counts);
        report.push(line(name, counts, begin.elapsed()));
        if counts.failed > 0 {
            failed = Some(*name);
            break;
        }
    }
    say(&format!("\n{}", report.join("\n")));
    if let Some(name) = failed {
        run.failures.iter().for_each(|line| say(line));
        say(&format!("stopped: {name} failed"));
    } else {
        if !kube::PROGRAM.is_built() {
            say(
                "not tested: logins with a real Kubernetes API server; cargo xtask kube builds one",
            );
        }
        if !helm::PROGRAM.is_built() {
            say("not tested: the chart; cargo xtask helm builds what renders it");
        }
        if !ferretdb::PROGRAM.is_built() {
            say("not tested: users of a real MongoDB server; cargo xtask ferretdb builds one");
        }
        if !pebble::PROGRAM.is_built() {
            say("not tested: certificates of ACME authorities; cargo xtask pebble builds one");
        }
    }
    say(&total.to_string());
    if failed.is_some() { Err(String::new()) } else { Ok(()) }
}

fn line(name: &str, counts: Counts, took: Duration) -> String {
    let mark = if counts.failed == 0 { "ok    " } else { "FAILED" };
    format!("{mark} {name:<12} {:>7.1} s  {counts}", took.as_secs_f64())
}

fn tools_step(run: &mut Run) -> Result<Counts, String> {
    tools::need_rust_components()?;
    tools::need_c_compiler()?;
    tools::need_python()?;
    tools::need_node()?;
    tools::need_softhsm()?;
    tools::need_xmlsec()?;
    tools::need_slapd()?;
    tools::need_samba()?;
    tools::need_sshd()?;
    tools::need_postgres()?;
    tools::need_mariadb()?;
    tools::need_redis()?;
    tools::need_rabbitmq()?;
    tools::need_kerberos()?;
    tools::need_networks()?;
    tools::need_faketime()?;
    tools::need_rsyslog()?;
    tools::need_openssl()?;
    tools::need_chromium()?;
    if run.all {
        tools::need_patroni()?;
    }
    let programs = [kube::PROGRAM, helm::PROGRAM, ferretdb::PROGRAM, pebble::PROGRAM];
    for program in programs.iter().filter(|_| run.all) {
        if let Err(error) = program.build() {
            // Not every machine reaches the sources; the end says what was not tested.
            complain(&format!("no {}: {error}", program.name));
        }
    }
    Ok(Counts::one(true))
}

fn format(_: &mut Run) -> Result<Counts, String> {
    one(in_project(&["fmt", "--all", "--check"]))
}

fn clippy(_: &mut Run) -> Result<Counts, String> {
    one(in_project(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn tidy_step(_: &mut Run) -> Result<Counts, String> {
    tidy::run(&[]).map(|()| Counts::one(true))
}

fn cargo_test(run: &mut Run) -> Result<Counts, String> {
    let mut command = in_project(&["test", "--workspace", "--no-fail-fast"]);
    // Many tests wait for servers, or for something to end.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    command.env("RUST_TEST_THREADS", (cores * 2).to_string());
    if run.all {
        // Tests that have a short form and one of minutes take the long one.
        command.env("KEYSHERD_TEST_ALL", "1");
        // What is shipped is tested as it is shipped.
        command.env("KEYSHERD_TEST_DIST", dist::build_static()?);
    }
    let finished = process::watch(&mut command)?;
    let mut counts = Counts::of_cargo(&finished.text);
    run.failures = failures::of_cargo(&finished.text);
    if !finished.success && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok(counts)
}

fn conformance_step(_: &mut Run) -> Result<Counts, String> {
    conformance::count(&[])
}

fn census_step(_: &mut Run) -> Result<Counts, String> {
    census::run().map(|()| Counts::one(true))
}

fn cargo_deny(run: &mut Run) -> Result<Counts, String> {
    let Some(deny) = tools::cargo_deny(run.all)? else {
        say("not checked: cargo-deny is not here; cargo xtask test --all builds it");
        return Ok(Counts::default());
    };
    let check = |what: &[&str]| {
        let mut command = Command::new(&deny);
        let quiet = ["--offline", "check", "--hide-inclusion-graph"];
        command.current_dir(root::project()).args(quiet).args(what);
        process::run(&mut command)
    };
    // cargo-deny reads the manifests of every platform's crates.
    process::run(&mut in_project(&["fetch", "--quiet", "--locked"]))?;
    check(&["bans", "licenses", "sources"])?;
    if advisories_are_here() {
        check(&["advisories"])?;
        return Ok(Counts { passed: 2, failed: 0 });
    }
    say("not checked: advisories; there is no database in $CARGO_HOME/advisory-dbs");
    Ok(Counts::one(true))
}

/// Whether a database of advisories was fetched earlier; not every machine can reach it.
fn advisories_are_here() -> bool {
    let home = std::env::var_os("CARGO_HOME").map(std::path::PathBuf::from);
    let home = home.or_else(|| {
        std::env::var_os("HOME")
            .map(|home| home.into())
            .map(|home: std::path::PathBuf| home.join(".cargo"))
    });
    home.and_then(|home| std::fs::read_dir(home.join("advisory-dbs")).ok())
        .is_some_and(|entries| entries.flatten().next().is_some())
}

/// The steps above must leave no file behind and change none.
fn clean_tree(run: &mut Run) -> Result<Counts, String> {
    if run.tree.is_none() {
        say("not checked: this is not a git working tree");
        return Ok(Counts::default());
    }
    if working_tree() == run.tree {
        return Ok(Counts::one(true));
    }
    let _ =
        process::run(Command::new("git").current_dir(root::project()).args(["status", "--short"]));
    Err("the tests changed the working tree".to_owned())
}

/// Everything that differs from the last commit, as text.
fn working_tree() -> Option<String> {
    let git = |words: &[&str]| {
        process::read(Command::new("git").current_dir(root::project()).args(words)).ok()
    };
    let status = git(&["status", "--porcelain=v1", "--untracked-files=all"])?;
    Some(status + &git(&["diff", "HEAD"])?)
}

fn one(mut command: Command) -> Result<Counts, String> {
    process::run(&mut command).map(|()| Counts::one(true))
}

fn in_project(words: &[&str]) -> Command {
    let mut command = Command::new(cargo());
    command.current_dir(root::project()).args(words);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_line_says_what_failed_and_how_long_it_took() {
        let counts = Counts { passed: 3, failed: 1 };
        let text = line("clippy", counts, Duration::from_millis(1_250));
        assert_eq!(text, "FAILED clippy           1.2 s  3 passed, 1 failed");
    }
}
