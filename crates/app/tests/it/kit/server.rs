//! A server as a process of its own, in a directory of its own.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

use super::api::Api;
use super::http::Http;
use super::mounts::tell;
use super::poll::{Turn, wait_for, wait_until};
use super::run::{Finished, exit_code, keysherd, run};

/// A place for one installation: its data directory, a home, and the logs of its servers.
pub(crate) struct Site {
    root: TempDir,
    starts: AtomicU32,
    _turn: Turn,
}

/// What a server wrote for its first user.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bootstrap {
    pub(crate) url: String,
    pub(crate) ca_file: PathBuf,
    pub(crate) account_id: String,
    pub(crate) access_id: String,
    pub(crate) access_key: String,
    pub(crate) owner_email: String,
    pub(crate) owner_password_file: PathBuf,
}

impl Bootstrap {
    /// Reads the file.
    pub(crate) fn read(file: &Path) -> Self {
        let text = fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        serde_json::from_slice(&text).unwrap()
    }

    /// The owner's first password.
    pub(crate) fn owner_password(&self) -> String {
        fs::read_to_string(&self.owner_password_file).unwrap().trim_end().to_owned()
    }
}

impl Site {
    /// A new one. Waits until few others are in use.
    pub(crate) fn new() -> Self {
        let turn = Turn::take();
        let root = TempDir::with_prefix("keysherd-it-").unwrap();
        fs::create_dir(root.path().join("home")).unwrap();
        Self { root, starts: AtomicU32::new(0), _turn: turn }
    }

    /// A path in the site's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The home directory of everything that runs here.
    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Starts a server on a free port and waits until it is ready.
    pub(crate) fn start(&self) -> Server {
        self.start_with(&[])
    }

    /// The same with further arguments.
    pub(crate) fn start_with(&self, args: &[&str]) -> Server {
        let mut command = self.server(&self.data());
        command.args(args);
        self.launch(command).ready()
    }

    /// The command that starts a server on a free port.
    pub(crate) fn server(&self, data: &Path) -> Command {
        let mut command = keysherd(&self.home());
        command.args(["server", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data);
        command
    }

    /// Starts `command`, which runs a server, without waiting for anything.
    pub(crate) fn launch(&self, mut command: Command) -> Starting {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        let (out, err) = (self.path(&format!("{number}.out")), self.path(&format!("{number}.err")));
        let shown = format!("{command:?}");
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
        let last = File::open(&err).unwrap();
        let process = Process { child, out, err, last, shown };
        Starting { process, data: self.data(), ca: None }
    }

    /// Runs the binary here.
    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        run(&self.home(), args)
    }

    /// Runs `keysherd audit` on the data directory.
    pub(crate) fn audit(&self, args: &[&str]) -> Finished {
        audit(&self.home(), &self.data(), args)
    }
}

/// Runs `keysherd audit` on `data`.
pub(crate) fn audit(home: &Path, data: &Path, args: &[&str]) -> Finished {
    let mut command = keysherd(home);
    command.arg("audit").args(args).arg("--data-dir").arg(data);
    super::run::finish(&mut command, b"")
}

/// A running process with its output in files; killed on drop.
pub(crate) struct Process {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    /// The same, which can be read when the directory is gone.
    last: File,
    shown: String,
}

impl Process {
    /// What it wrote to standard output so far.
    pub(crate) fn out(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    /// What it wrote to standard error so far.
    pub(crate) fn err(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end; gives its exit code.
    pub(crate) fn wait(mut self) -> i32 {
        let shown = self.shown.clone();
        exit_code(&mut self.child, &shown)
    }

    /// Ends it without warning.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Ends it without warning and waits until it is gone, and what it held with it.
    pub(crate) fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How much is told of what a process said when its test fails, in lines.
const TOLD_MAX: usize = 15;

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            let mut said = String::new();
            let _ = self.last.read_to_string(&mut said);
            let from = said.lines().count().saturating_sub(TOLD_MAX);
            let last: Vec<&str> = said.lines().skip(from).collect();
            let who = self.shown.split("keysherd\" ").last().unwrap_or_default();
            tell(&format!("{who} said at last:\n{}", last.join("\n")));
        }
    }
}

/// A server that may not be ready yet, and may never be.
pub(crate) struct Starting {
    pub(crate) process: Process,
    data: PathBuf,
    ca: Option<PathBuf>,
}

impl Starting {
    /// The same whose clients trust another authority than the server's own.
    pub(crate) fn trusting(mut self, ca: &Path) -> Self {
        self.ca = Some(ca.to_owned());
        self
    }

    /// The same with another data directory than the site's.
    pub(crate) fn in_directory(mut self, data: PathBuf) -> Self {
        self.data = data;
        self
    }

    /// Waits until it answers.
    pub(crate) fn ready(self) -> Server {
        self.ready_with(&|data| data.join("bootstrap.json"))
    }

    /// The same; `bootstrap` says where the credentials are.
    pub(crate) fn ready_with(mut self, bootstrap: &dyn Fn(&Path) -> PathBuf) -> Server {
        let url = wait_for("a server to listen", || {
            if !self.process.runs() {
                panic!("the server ended: {}{}", self.process.out(), self.process.err());
            }
            announced_url(&self.process.out())
        });
        let bootstrap = Bootstrap::read(&bootstrap(&self.data));
        let ca = self.ca.take().unwrap_or_else(|| self.data.join("tls/ca.pem"));
        let http = Arc::new(Http::new(&url, &ca));
        wait_until("a server to be healthy", || {
            http.get("/health").is_ok_and(|reply| reply.status == 200)
        });
        Server { process: self.process, bootstrap, http, url }
    }
}

/// The address in what a server prints.
pub(crate) fn announced_url(out: &str) -> Option<String> {
    // The last line ends the announcement, so that all of it is there.
    let line = out.lines().find(|line| line.contains("listens on https://"))?;
    let complete = out.contains("credentials") || out.contains("was removed");
    let url = line.split_whitespace().find(|word| word.starts_with("https://"))?;
    complete.then(|| url.to_owned())
}

/// A server that answers; killed on drop.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) bootstrap: Bootstrap,
    pub(crate) http: Arc<Http>,
    pub(crate) url: String,
}

impl Server {
    /// Calls without a token.
    pub(crate) fn nobody(&self) -> Api {
        Api::new(self.http.clone())
    }

    /// Calls with a token of the first administrator.
    pub(crate) fn admin(&self) -> Api {
        let Bootstrap { access_id, access_key, .. } = &self.bootstrap;
        self.nobody().login(access_id, access_key)
    }

    /// Calls with a token of the account's owner.
    pub(crate) fn owner(&self) -> Api {
        let login = json!({
            "access-type": "password",
            "admin-email": self.bootstrap.owner_email,
            "admin-password": self.bootstrap.owner_password(),
        });
        let answer = self.nobody().ok("auth", login);
        self.nobody().with_token(answer["token"].as_str().unwrap())
    }

    /// Stops it as an operator does; demands that it ends well.
    pub(crate) fn stop(self) {
        self.process.signal(Signal::TERM);
        let err = self.process.err.clone();
        let code = self.process.wait();
        assert_eq!(code, 0, "{}", fs::read_to_string(err).unwrap_or_default());
    }

    /// A line of `/proc/<pid>/status`, in KiB.
    pub(crate) fn memory_kib(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
    }
}
