//! A PostgreSQL in a directory of its own, and sessions on it.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

/// Its one user.
pub(super) const USER: &str = "postgres";
pub(super) const PASSWORD: &str = "bench-password";

/// A running server, which ends with this value.
pub(super) struct Database {
    pub(super) port: u16,
    programs: PathBuf,
    data: PathBuf,
    user: Option<(u32, u32)>,
}

impl Database {
    /// Makes one in `directory` and starts it.
    ///
    /// # Errors
    /// When PostgreSQL is missing, or does not start.
    pub(super) fn start(directory: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("no database: {error}");
        let programs = programs()?;
        let home = tempfile::Builder::new().prefix("keysherd-bench-pg-").tempdir();
        let home = home.map_err(failed)?.keep();
        let user = unprivileged()?;
        let password = home.join("password");
        std::fs::write(&password, PASSWORD).map_err(failed)?;
        for path in [&home, &password] {
            if let Some((user, group)) = user {
                chown(path, Some(user), Some(group)).map_err(failed)?;
            }
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        drop(listener);
        let database = Self { port, programs, data: home.join("data"), user };
        let mut init = database.program("initdb");
        init.arg("--pwfile").arg(&password);
        done(init.args(["-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "-N"]))?;
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={}",
            home.display()
        );
        let mut start = database.program("pg_ctl");
        start.args(["-s", "-w", "-t", "60", "-o", &options, "-l"]).arg(home.join("log"));
        done(start.arg("start"))?;
        crate::console::note(&format!("PostgreSQL of {} at {port}", directory.display()));
        Ok(database)
    }

    /// A new session.
    ///
    /// # Errors
    /// When the server refuses it.
    pub(super) async fn session(&self) -> Result<Session, String> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(USER).password(PASSWORD).dbname("postgres");
        let (client, driver) = config.connect(NoTls).await.map_err(|error| error.to_string())?;
        let driver = tokio::spawn(async move {
            // What went wrong is said to whoever asked.
            let _ended = driver.await;
        });
        Ok(Session { client, driver })
    }

    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = match self.user {
            None => Command::new(program),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                let (user, group) = (format!("--reuid={user}"), format!("--regid={group}"));
                command.args([user.as_str(), group.as_str(), "--clear-groups"]).arg(program);
                command
            }
        };
        command.arg("-D").arg(&self.data).env("LC_ALL", "C.UTF-8").current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Nothing of it is needed any more.
        let _ended = self.program("pg_ctl").args(["-s", "-m", "immediate", "stop"]).status();
        if let Some(home) = self.data.parent() {
            let _removed = std::fs::remove_dir_all(home);
        }
    }
}

/// A session. It ends with this value.
pub(super) struct Session {
    client: Client,
    driver: JoinHandle<()>,
}

impl Session {
    /// Runs statements.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn run(&self, statements: &str) -> Result<(), String> {
        self.client.batch_execute(statements).await.map_err(|error| format!("{error:?}"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The newest version, as Debian places them.
fn programs() -> Result<PathBuf, String> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let there = versions.map(|version| version.path().join("bin"));
    let newest = there.filter(|bin| bin.join("initdb").is_file()).max();
    newest.ok_or_else(|| "PostgreSQL is missing; on Debian: apt-get install postgresql".to_owned())
}

/// The user it runs as when this runs as root, which it refuses.
fn unprivileged() -> Result<Option<(u32, u32)>, String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let id = |flag: &str| {
        let output = Command::new("id").args([flag, "postgres"]).output();
        let text = output.map_err(|error| error.to_string())?.stdout;
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        text.parse::<u32>().map_err(|_| "there is no user 'postgres' to run it as".to_owned())
    };
    Ok(Some((id("-u")?, id("-g")?)))
}

fn done(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
