//! The bare echo: the server's HTTP stack with nothing behind it, in a process of its own. The
//! bench starts itself again for it, with the hidden command `echo`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};
use keysherd_http::{Limits, Listener, TlsReload, TlsVersions, Transport, Workers};
use tokio::sync::oneshot;

use crate::console;

/// The hidden command.
pub(crate) fn command() -> Command {
    let file = |name: &'static str| {
        Arg::new(name).long(name).required(true).value_parser(value_parser!(PathBuf))
    };
    Command::new("echo").hide(true).args([file("certificate"), file("key")])
}

/// Serves until standard input ends.
///
/// # Errors
/// When the certificate is unusable or no port is free.
pub(crate) fn serve(flags: &ArgMatches) -> Result<(), String> {
    let file = |name: &str| {
        let path = flags.get_one::<PathBuf>(name).ok_or(format!("--{name} is missing"))?;
        read(path)
    };
    let (certificate, key) = (file("certificate")?, file("key")?);
    let tls = TlsReload::from_pem(&certificate, &key, TlsVersions::default());
    let tls = tls.map_err(|fault| fault.to_string())?;
    // The same runtime and workers as `keysherd server` has.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::bind(any, Limits::default(), Workers::default()).await;
        let listener = listener.map_err(|fault| fault.to_string())?;
        console::say(&format!("The echo listens on https://{}", listener.address()));
        let served = listener.echo(Transport::Tls(tls), input_end()).await;
        served.map(|_| ()).map_err(|fault| fault.to_string())
    })
}

/// Ends with standard input.
pub(crate) async fn input_end() {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let _input = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _gone = ended.send(());
    });
    // A thread that could not be waited for has ended, too.
    let _either = end.await;
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
