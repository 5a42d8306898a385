//! PostgreSQL in a directory of its own. The tests of the store use this file, too.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use self::ports::free_port;

#[path = "ports.rs"]
pub(crate) mod ports;

/// The password of its one user.
pub(crate) const PASSWORD: &str = "test-password";

/// A running server. It ends with the process that started it, however that ends.
pub(crate) struct Postgres {
    pub(crate) port: u16,
    programs: PathBuf,
    dir: PathBuf,
    user: Option<(u32, u32)>,
    // Stops the server when this end of its input is closed.
    _keeper: Child,
}

/// The server that tests share which do not do anything to it. What it has is not durable.
pub(crate) fn shared() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(|| {
        Postgres::start("-c fsync=off -c max_connections=300 -c max_prepared_transactions=8")
    })
}

impl Postgres {
    /// A server that takes encrypted connections only; certificate and key in PEM.
    pub(crate) fn start_with_tls(certificate: &str, key: &str) -> Self {
        let options = "-c ssl=on -c ssl_cert_file=../cert.pem -c ssl_key_file=../key.pem \
                       -c hba_file=hba.conf";
        let allowed = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
        let files = [("cert.pem", certificate), ("key.pem", key), ("hba.conf", allowed)];
        Self::prepared(options, &files)
    }

    /// A server with further options.
    pub(crate) fn start(options: &str) -> Self {
        Self::prepared(options, &[])
    }

    fn prepared(options: &str, files: &[(&str, &str)]) -> Self {
        let server = Self::made(files);
        server.run(options);
        server
    }

    /// A server with further files in its directory, not started.
    fn made(files: &[(&str, &str)]) -> Self {
        let programs = programs();
        let user = unprivileged();
        let dir = TempDir::with_prefix("keysherd-postgres-").unwrap().keep();
        if let Some((uid, gid)) = user {
            chown(&dir, Some(uid), Some(gid)).unwrap();
        }
        let password = dir.join("password");
        for (name, content) in [("password", PASSWORD)].iter().chain(files) {
            let file = dir.join(name);
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            if let Some((uid, gid)) = user {
                chown(&file, Some(uid), Some(gid)).unwrap();
            }
        }
        let port = free_port();
        let keeper = keeper(&programs, &dir, user);
        let server = Self { port, programs, dir, user, _keeper: keeper };
        let mut init = server.program("initdb");
        init.arg("-D").arg(server.data()).arg("--pwfile").arg(&password);
        init.args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "-N"]);
        done(&mut init);
        server
    }

    /// Starts it, where it was started before, and waits until it is ready.
    pub(crate) fn run(&self, options: &str) {
        done(&mut self.starting(options));
    }

    fn starting(&self, options: &str) -> Command {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} \
             -c shared_buffers=32MB {options}",
            self.port,
            self.dir.display()
        );
        let mut start = self.program("pg_ctl");
        start.arg("-D").arg(self.data()).args(["-s", "-w", "-t", "300", "-o", &options]);
        start.arg("-l").arg(self.dir.join("log")).arg("start");
        start
    }

    /// A server that has a small disk besides, in a mount namespace that ends with it; and a
    /// database called `store` whose tables are there. `None` where the tests may not mount.
    pub(crate) fn start_with_small_disk(megabytes: u32) -> Option<(Self, PathBuf)> {
        let (uid, gid) = unprivileged()?;
        let server = Self::made(&[]);
        let disk = server.dir.join("disk");
        fs::create_dir(&disk).unwrap();
        let mount = format!(
            "mount -t tmpfs -o size={megabytes}m,mode=700,uid={uid},gid={gid} tmpfs \"$0\" && \
             exec \"$@\""
        );
        let start = server.starting("");
        let mut within = Command::new("unshare");
        within.args(["--mount", "sh", "-c", &mount]).arg(&disk).arg(start.get_program());
        within.args(start.get_args()).current_dir(&server.dir).stdin(Stdio::null());
        within.env("LC_ALL", "C.UTF-8").env("HOME", &server.dir);
        done(&mut within);
        let seen = format!("/proc/{}/root{}", server.pid(), disk.display());
        server.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", disk.display()));
        server.sql("postgres", "CREATE DATABASE store TABLESPACE small");
        Some((server, PathBuf::from(seen)))
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&self) {
        let pid = self.pid();
        // It has no more of them from now on.
        self.freeze();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        done(Command::new("kill").args(["-9", pid.as_str()]));
        // Those it had started see to it that nothing is left, and then it may be started.
        let mut stop = self.program("pg_ctl");
        let _ = stop.arg("-D").arg(self.data()).args(["-s", "-m", "immediate", "stop"]).output();
        let is_there = |pid: &str| Path::new("/proc").join(pid).exists();
        let until = Instant::now() + Duration::from_secs(300);
        while children.split_whitespace().chain([pid.as_str()]).any(is_there) {
            assert!(Instant::now() < until, "processes of the killed server do not end");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// From now on it accepts connections and never says anything on them.
    pub(crate) fn freeze(&self) {
        done(Command::new("kill").args(["-STOP", self.pid().as_str()]));
    }

    /// It goes on.
    pub(crate) fn thaw(&self) {
        done(Command::new("kill").args(["-CONT", self.pid().as_str()]));
    }

    fn pid(&self) -> String {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        file.lines().next().unwrap().to_owned()
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The URL of a database, with the password.
    pub(crate) fn url(&self, database: &str) -> String {
        Self::url_at(self.port, database)
    }

    /// The same through whoever listens there.
    pub(crate) fn url_at(port: u16, database: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// What a server is started with to have its store in a database. Makes the password file.
    pub(crate) fn arguments(&self, password: &Path, database: &str) -> [String; 4] {
        arguments_at(&self.open_url(database), password)
    }

    /// The URL of a database, without the password.
    pub(crate) fn open_url(&self, database: &str) -> String {
        self.url(database).replace(&format!(":{PASSWORD}"), "")
    }

    /// Makes an empty database.
    pub(crate) fn create(&self, database: &str) {
        self.sql("postgres", &format!("CREATE DATABASE \"{database}\""));
    }

    /// Runs a statement as the superuser; gives what it answers, one row a line.
    pub(crate) fn sql(&self, database: &str, statement: &str) -> String {
        done(&mut self.psql(database, statement))
    }

    /// Runs a statement as somebody else; gives what it answers, or what the server says to it.
    pub(crate) fn sql_as(
        &self,
        (user, password): (&str, &str),
        database: &str,
        statement: &str,
    ) -> Result<String, String> {
        let mut psql = psql(self.port, database, statement);
        psql.args(["-U", user]).env("PGPASSWORD", password);
        let output = psql.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The same without waiting for its end.
    pub(crate) fn begin_sql(&self, database: &str, statement: &str) -> Child {
        let mut psql = self.psql(database, statement);
        psql.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn psql(&self, database: &str, statement: &str) -> Command {
        psql(self.port, database, statement)
    }

    fn program(&self, name: &str) -> Command {
        command(&self.programs.join(name), self.user, &self.dir)
    }
}

/// What a server is started with to have its store at a URL without a password. Makes the password
/// file.
pub(crate) fn arguments_at(url: &str, password: &Path) -> [String; 4] {
    fs::write(password, PASSWORD).unwrap();
    fs::set_permissions(password, fs::Permissions::from_mode(0o600)).unwrap();
    let file = password.to_str().unwrap().to_owned();
    ["--database".to_owned(), url.to_owned(), "--database-password-file".to_owned(), file]
}

/// Runs a statement as the superuser on the server that listens there.
pub(crate) fn sql_at(port: u16, database: &str, statement: &str) -> String {
    done(&mut psql(port, database, statement))
}

fn psql(port: u16, database: &str, statement: &str) -> Command {
    let mut psql = command(&programs().join("psql"), None, Path::new("/"));
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]);
    psql.args(["-U", "postgres", "-p", &port.to_string(), "-d", database]);
    psql.args(["-c", statement]).env("PGPASSWORD", PASSWORD);
    psql
}

/// Where the programs are: the newest version, as Debian places them, or wherever they are found.
pub(crate) fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let there = versions.map(|version| version.path().join("bin"));
    let newest = there.filter(|bin| bin.join("initdb").is_file()).max();
    newest.expect("PostgreSQL is missing; on Debian: apt-get install postgresql")
}

/// The user it runs as when the tests run as root, which it refuses.
pub(crate) fn unprivileged() -> Option<(u32, u32)> {
    let id = |flag: &str| {
        let output = Command::new("id").arg(flag).arg("postgres").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse::<u32>().unwrap()
    };
    let me = Command::new("id").arg("-u").output().unwrap().stdout;
    (me == b"0\n").then(|| (id("-u"), id("-g")))
}

pub(crate) fn command(program: &Path, user: Option<(u32, u32)>, dir: &Path) -> Command {
    let mut command = match user {
        None => Command::new(program),
        Some((uid, gid)) => {
            let mut command = Command::new("setpriv");
            command.args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"]);
            command.arg(program);
            command
        }
    };
    // Somewhere that user may be.
    command.current_dir(dir).env("LC_ALL", "C.UTF-8").env("HOME", dir).stdin(Stdio::null());
    command
}

/// A shell that waits for the end of this process, and then stops the server and tidies up.
fn keeper(programs: &Path, dir: &Path, user: Option<(u32, u32)>) -> Child {
    let mut keeper = command(Path::new("/bin/sh"), user, Path::new("/"));
    keeper.args(["-c", "cat > /dev/null; \"$0\" -D \"$1/data\" -m immediate stop; rm -rf \"$1\""]);
    keeper.arg(programs.join("pg_ctl")).arg(dir);
    keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
