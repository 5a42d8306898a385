//! Servers that speak MySQL's protocol: this machine's MariaDB, and MySQL 8.0 as Ubuntu 22.04 had
//! it on its first day, which Debian has not. It comes with every library that it is linked with,
//! and with their loader: nothing of this machine's is asked for. The tests of engines use this
//! file, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use keysherd_crypto::hash::sha256;

use super::installed::{installed, step};

/// Where the packages are. What a release began with stays there.
const SOURCE: &str = "http://archive.ubuntu.com/ubuntu/pool/main/";
/// The packages, each after its SHA-256.
const PACKAGES: &[&str] = &[
    "69a97fa36a94ce981cf4a5fd6eb674003fa42559b442ba9807309c69d1b90fdb \
     m/mysql-8.0/mysql-server-core-8.0_8.0.28-0ubuntu4_amd64.deb",
    "2dcfe0b49d7cccfbf1bd6a3f627cf44bea9f51fb32f7e0e552a0df75698e0d27 \
     liba/libaio/libaio1_0.3.112-13build1_amd64.deb",
    "ea9a27e0ebdd0cfc9c750d94f8074f3a35d1f97dcc77ae04c370fb498a6b6db2 \
     g/glibc/libc6_2.35-0ubuntu3_amd64.deb",
    "9317ae74915b9e4372f7506fbd16ae2a021e0ead79a8d88f96dad49b87d94508 \
     libe/libevent/libevent-core-2.1-7_2.1.12-stable-1build3_amd64.deb",
    "078211a125a9ef5a9c7d24eb441761cefde8812b69889f7cee96824b0dc66831 \
     libe/libevent/libevent-pthreads-2.1-7_2.1.12-stable-1build3_amd64.deb",
    "c9a93721431be07557c810d7e1b24c3b3c51f398334ded104362a68a415b9e61 \
     g/gcc-12/libgcc-s1_12-20220319-1ubuntu1_amd64.deb",
    "58a154f6307289813da2276f900498ef536ae7c0522d2cf31a3c3c5cf62dfd9a \
     i/icu/libicu70_70.1-2_amd64.deb",
    "ac9b54d0feb840345060c74fb687675c5e1eb2b195effafae38c5f9991041e98 \
     l/lz4/liblz4-1_1.9.3-2build2_amd64.deb",
    "0721c89001fbbd1ada23e89da5d60e762763c1a7b3dc814a2e9a518480a8043d \
     n/numactl/libnuma1_2.0.14-3ubuntu2_amd64.deb",
    "74213165bb99962044366f56d43eaebf7f7ffd7903d60820abd8373f6fe067c0 \
     p/protobuf/libprotobuf-lite23_3.12.4-1ubuntu7_amd64.deb",
    "11a83260542e05aebbbafce9164d594287d2584be80972e08708528fe06f80d3 \
     o/openssl/libssl3_3.0.2-0ubuntu1_amd64.deb",
    "035cfe195ddf3a091abbc0c323285772ccbdbb2fb75279e44a0915748b4e5726 \
     g/gcc-12/libstdc++6_12-20220319-1ubuntu1_amd64.deb",
    "ae7db00ce8b093e50c994518b90203544e063b4bc574836a048bb142b950b2c9 \
     libz/libzstd/libzstd1_1.4.8+dfsg-3build1_amd64.deb",
    "52449467942cc943d651fd16867014e9339f3657935fc09b75b3347aa5a78066 \
     z/zlib/zlib1g_1.2.11.dfsg-2ubuntu9_amd64.deb",
];
/// The libraries of these packages, below their root.
const LIBRARIES: [&str; 2] = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    /// Debian's.
    MariaDb,
    /// Oracle's, 8.0.28.
    MySql,
}

impl Product {
    /// Those that can run here: MySQL is had for one kind of processor only.
    pub(crate) fn all() -> &'static [Self] {
        match cfg!(target_arch = "x86_64") {
            true => &[Self::MariaDb, Self::MySql],
            false => &[Self::MariaDb],
        }
    }

    /// Makes the data of a server in `dir`, whose superuser is `root` and has no password, and
    /// gives the words that start it there: the program first.
    pub(crate) fn prepared(self, dir: &Path, port: u16) -> Vec<String> {
        let data = format!("--datadir={}", dir.join("data").display());
        let mut words = match self {
            Self::MariaDb => {
                let mut install = Command::new("mariadb-install-db");
                install.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
                step(install.args(["--skip-test-db", &data]).args(as_root()));
                vec![mariadb().to_owned(), "--no-defaults".to_owned()]
            }
            Self::MySql => {
                let words = mysql();
                let mut install = Command::new(&words[0]);
                install.args(&words[1..]).args(["--initialize-insecure", &data]);
                step(install.args(as_root()));
                words
            }
        };
        words.push(data);
        words.push(format!("--socket={}", dir.join("socket").display()));
        words.push(format!("--pid-file={}", dir.join("pid").display()));
        words.push(format!("--port={port}"));
        // What it has is not durable.
        let rest = ["--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0"];
        words.extend(rest.iter().chain(as_root()).map(|word| (*word).to_owned()));
        words
    }
}

/// It refuses to run as root without being told.
fn as_root() -> &'static [&'static str] {
    let me = Command::new("id").arg("-u").output().unwrap().stdout;
    if me == b"0\n" { &["--user=root"] } else { &[] }
}

fn mariadb() -> &'static str {
    let there = ["/usr/sbin/mariadbd", "/usr/libexec/mariadbd", "/usr/bin/mariadbd"];
    let found = there.into_iter().find(|path| Path::new(path).is_file());
    found.expect("MariaDB is missing; on Debian: apt-get install mariadb-server")
}

/// The words that MySQL's server is started with, wherever its data is.
fn mysql() -> Vec<String> {
    let root = installed("mysql", "8.0.28", PACKAGES, |root| {
        PACKAGES.iter().for_each(|package| unpack(root, package));
    });
    let in_root = |path: &str| root.join(path).display().to_string();
    let mut words = vec![in_root("lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")];
    words.push("--library-path".to_owned());
    words.push(LIBRARIES.map(in_root).join(":"));
    words.push(in_root("usr/sbin/mysqld"));
    words.push("--no-defaults".to_owned());
    words.push(format!("--basedir={}", in_root("usr")));
    // Less of everything that a server of a test does not need.
    let small = [
        "--mysqlx=OFF",
        "--skip-log-bin",
        "--secure-file-priv=NULL",
        "--performance-schema=OFF",
        "--innodb-log-file-size=4M",
        "--innodb-buffer-pool-size=16M",
    ];
    words.extend(small.map(str::to_owned));
    words
}

/// Downloads a package, unless it is not what it was, and unpacks it below `root`.
fn unpack(root: &Path, package: &str) {
    let (hash, path) = package.split_once(' ').unwrap();
    let url = format!("{SOURCE}{path}");
    let file: PathBuf = root.join("package.deb");
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--location", "--retry", "3"]);
    curl.args(["--connect-timeout", "20", "--max-time", "600", "--output"]);
    step(curl.arg(&file).arg(&url));
    let has = hex::encode(sha256(&[&fs::read(&file).unwrap()]));
    assert_eq!(has, hash, "{url} is not what it was");
    step(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(root));
    fs::remove_file(file).unwrap();
}
