//! A PostgreSQL of its own for one suite, in which dynamic secrets make their users.

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{process, tools};

#[path = "../../../crates/app/tests/it/kit/ports.rs"]
mod ports;

/// Where Debian places its versions.
const VERSIONS: &str = "/usr/lib/postgresql";

/// A running server, which takes anybody from this machine.
pub(super) struct Postgres {
    programs: PathBuf,
    directory: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
}

impl Postgres {
    /// Makes and starts one.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub(super) fn start() -> Result<Self, String> {
        tools::need_postgres()?;
        let made = process::read(Command::new("mktemp").args(["-d", "-t", "keysherd-pg-XXXXXX"]))?;
        let directory = PathBuf::from(made.trim());
        let port = ports::free_port();
        let server = Self { programs: programs()?, directory, user: unprivileged()?, port };
        if let Some((uid, gid)) = server.user {
            chown(&server.directory, Some(uid), Some(gid))
                .map_err(|error| format!("{}: {error}", server.directory.display()))?;
        }
        let data = server.data();
        let mut init = server.program("initdb");
        init.arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"]);
        process::run(&mut init)?;
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories={}",
            server.directory.display()
        );
        let mut start = server.program("pg_ctl");
        start.arg("-D").arg(&data).args(["-s", "-w", "-t", "300", "-o", &options]);
        start.arg("-l").arg(server.directory.join("log")).arg("start");
        process::run(&mut start)?;
        Ok(server)
    }

    /// Where it listens.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = match self.user {
            None => Command::new(program),
            Some((uid, gid)) => {
                let mut command = Command::new("setpriv");
                let user = [format!("--reuid={uid}"), format!("--regid={gid}")];
                command.args(user).arg("--clear-groups").arg(program);
                command
            }
        };
        // Somewhere that user may be.
        command.current_dir(&self.directory).env("LC_ALL", "C.UTF-8");
        command.env("HOME", &self.directory).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = self.program("pg_ctl");
        // Nothing of it is needed any more, whatever comes of this.
        stop.arg("-D").arg(self.data()).args(["-s", "-m", "immediate", "stop"]);
        let _ = process::run(&mut stop);
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn programs() -> Result<PathBuf, String> {
    let versions = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let there = versions.map(|version| version.path().join("bin"));
    there
        .filter(|bin| bin.join("initdb").is_file())
        .max()
        .ok_or_else(|| "PostgreSQL is missing; on Debian: apt-get install postgresql".to_owned())
}

/// The user it runs as where this runs as root, which it refuses.
fn unprivileged() -> Result<Option<(u32, u32)>, String> {
    let id = |arguments: &[&str]| {
        let text = process::read(Command::new("id").args(arguments))?;
        text.trim().parse::<u32>().map_err(|error| format!("id: {error}"))
    };
    if id(&["-u"])? != 0 {
        return Ok(None);
    }
    Ok(Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?)))
}
