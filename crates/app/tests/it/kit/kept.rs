//! Servers that end with the process that started them, however that ends. The tests of engines use
//! this file, too.

use std::path::Path;
use std::process::{Command, Stdio};

/// What runs `program` until this end of its input is closed, then kills it with all that it
/// started, does `end`, and removes the directory.
pub(crate) fn kept(dir: &Path, end: &str, program: &str) -> Command {
    let mut keeper = Command::new("sh");
    // A session of its own, since a shell without a terminal has no groups of processes.
    let script = format!(
        "setsid \"$@\" < /dev/null & cat > /dev/null; kill -9 -$!; wait; {end}; rm -rf \"$0\""
    );
    keeper.args(["-c", &script]).arg(dir).arg(program);
    keeper.stdin(Stdio::piped());
    keeper
}
