//! rsyslog: takes syslog over TCP, UDP and TLS, and writes each message into a file.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::loopback::{free_port, write_certificates};
use super::poll::wait_until;

const RSYSLOGD: &str = "/usr/sbin/rsyslogd";

/// A running rsyslog; ended on drop.
pub(crate) struct Rsyslog {
    /// The ports.
    pub(crate) tcp: u16,
    pub(crate) udp: u16,
    pub(crate) tls: u16,
    /// The certificate of its authority, in PEM.
    pub(crate) ca_pem: String,
    child: Option<Child>,
    dir: TempDir,
}

impl Rsyslog {
    /// One on free ports.
    pub(crate) fn start() -> Self {
        assert!(Path::new(RSYSLOGD).exists(), "rsyslog is missing; on Debian: rsyslog-gnutls");
        let dir = TempDir::with_prefix("keysherd-rsyslog-").unwrap();
        let ca_pem = write_certificates(dir.path(), "a collector's authority");
        let [tcp, udp, tls] = [(); 3].map(|()| free_port());
        let mut rsyslog = Self { tcp, udp, tls, ca_pem, child: None, dir };
        fs::write(rsyslog.path("conf"), rsyslog.configuration()).unwrap();
        rsyslog.go_on();
        rsyslog
    }

    /// Starts it again.
    pub(crate) fn go_on(&mut self) {
        let log = File::create(self.path("log")).unwrap();
        let mut command = Command::new(RSYSLOGD);
        command.arg("-n").arg("-f").arg(self.path("conf")).arg("-i").arg(self.path("pid"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let ports = [self.tcp, self.tls];
        // As the kernel writes an address and a port.
        let udp = format!(": 0100007F:{:04X} ", self.udp);
        wait_until("rsyslog to listen", || {
            ports.iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok())
                && fs::read_to_string("/proc/net/udp").unwrap().contains(&udp)
        });
    }

    /// Ends it without warning.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The messages that came in this way: `tcp`, `udp` or `tls`.
    pub(crate) fn messages(&self, way: &str) -> Vec<String> {
        let text = fs::read(self.path(way)).unwrap_or_default();
        let text = String::from_utf8(text).unwrap();
        // The last line may be on its way.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(str::to_owned).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn configuration(&self) -> String {
        let at = self.dir.path().display();
        let Self { tcp, udp, tls, .. } = self;
        let set = |way: &str| {
            format!(
                "ruleset(name=\"{way}\") {{ action(type=\"omfile\" file=\"{at}/{way}\" \
                 template=\"whole\") }}\n"
            )
        };
        format!(
            "global(workDirectory=\"{at}\" maxMessageSize=\"128k\" \
             defaultNetstreamDriverCAFile=\"{at}/ca.pem\" \
             defaultNetstreamDriverCertFile=\"{at}/cert.pem\" \
             defaultNetstreamDriverKeyFile=\"{at}/key.pem\")\n\
             template(name=\"whole\" type=\"string\" string=\"%rawmsg%\\n\")\n{}{}{}\
             module(load=\"imudp\")\nmodule(load=\"imptcp\")\n\
             module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" \
             streamDriver.authMode=\"anon\")\n\
             input(type=\"imudp\" address=\"127.0.0.1\" port=\"{udp}\" rcvbufSize=\"8m\" \
             ruleset=\"udp\")\n\
             input(type=\"imptcp\" address=\"127.0.0.1\" port=\"{tcp}\" ruleset=\"tcp\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{tls}\" ruleset=\"tls\")\n",
            set("tcp"),
            set("udp"),
            set("tls"),
        )
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        self.kill();
    }
}
