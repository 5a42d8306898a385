//! A way for drivers that open their connections by themselves: a port of this machine behind which
//! there is a connection of ours, so that address rules, proxy, encryption and bounds are those of
//! all connections. What a driver says to the port is not encrypted; it stays in this machine.
//!
//! Others on this machine can find the port. Nothing that opens a session is here: whoever comes
//! would have to sign in. Still only this very process gets through, once; others are hung up on,
//! and do not keep it out. The port stays taken as long as the relay is there, so that nobody else
//! can wait at it for what a driver says: whoever drives keeps the relay until the driver is gone.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use keysherd_base::Fault;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use crate::server::Stream;

#[cfg(test)]
mod tests;

/// Where this process finds the connections of the machine, and its own open files.
const CONNECTIONS: &str = "/proc/self/net/tcp";
const OPEN_FILES: &str = "/proc/self/fd";
/// How much of the list of connections is read, in bytes: some 100,000 connections.
const CONNECTIONS_BYTES_MAX: u64 = 16 << 20;
/// How long nobody is let in when nobody can be.
const AFTER_FAILED: Duration = Duration::from_millis(50);
/// Columns of the list: this end, the other end, and the number of the socket.
const COLUMNS: [usize; 3] = [1, 2, 9];

/// What carries bytes between a port of this machine and a server. It ends with this value.
pub(crate) struct Relay {
    address: SocketAddrV4,
    _carrier: Carrier,
}

impl Relay {
    /// Opens a port behind which there is this connection.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when this machine gives no port.
    pub(crate) async fn to(stream: Stream) -> Result<Self, Fault> {
        let unopened = |error| {
            Fault::unavailable("this gateway has no port left for a driver; try again later")
                .with_private(error)
        };
        let free = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let listener = TcpListener::bind(free).await.map_err(unopened)?;
        let SocketAddr::V4(address) = listener.local_addr().map_err(unopened)? else {
            return Err(Fault::internal("a port of another kind than was asked for"));
        };
        let carrier = Carrier::of(async move {
            let driver = admitted(&listener).await;
            tokio::select! {
                () = carry(stream, driver) => {}
                () = refuse_all(&listener) => {}
            }
            // The connection is over, and the port is still nobody else's.
            refuse_all(&listener).await;
        });
        Ok(Self { address, _carrier: carrier })
    }

    /// Where the driver connects to.
    pub(crate) fn address(&self) -> SocketAddrV4 {
        self.address
    }
}

/// The first connection that comes from this process; others are closed.
async fn admitted(listener: &TcpListener) -> TcpStream {
    loop {
        let stream = accepted(listener).await;
        let (Ok(SocketAddr::V4(here)), Ok(SocketAddr::V4(there))) =
            (stream.local_addr(), stream.peer_addr())
        else {
            continue;
        };
        // Whoever cannot be told from others is one of them.
        let ours = spawn_blocking(move || is_of_this_process(there, here)).await;
        if matches!(ours, Ok(Ok(true))) {
            return stream;
        }
    }
}

async fn accepted(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // The connection was gone already, or this process has too many files open.
            Err(_) => sleep(AFTER_FAILED).await,
        }
    }
}

/// Closes whatever comes.
async fn refuse_all(listener: &TcpListener) {
    loop {
        drop(accepted(listener).await);
    }
}

/// Whether the connection from `from` to `to`, both on this machine, is held open by this process.
/// Only the kernel says what is asked here, so nobody can claim it.
fn is_of_this_process(from: SocketAddrV4, to: SocketAddrV4) -> io::Result<bool> {
    let list = File::open(CONNECTIONS)?.take(CONNECTIONS_BYTES_MAX);
    let (from, to) = (as_listed(from), as_listed(to));
    for line in BufReader::new(list).lines() {
        let line = line?;
        let [Some(near), Some(far), Some(socket)] =
            COLUMNS.map(|column| line.split_ascii_whitespace().nth(column))
        else {
            continue;
        };
        if near == from && far == to {
            // Sockets that nobody holds any more have no number.
            return Ok(socket != "0" && is_open_here(socket)?);
        }
    }
    Ok(false)
}

/// An address as the kernel lists it: the bytes of the address read as a number of this machine.
fn as_listed(address: SocketAddrV4) -> String {
    let ip = u32::from_ne_bytes(address.ip().octets());
    format!("{ip:08X}:{:04X}", address.port())
}

/// Whether the socket of this number is among this process's open files.
fn is_open_here(socket: &str) -> io::Result<bool> {
    let wanted = format!("socket:[{socket}]");
    for entry in std::fs::read_dir(OPEN_FILES)? {
        // What was closed in between is not what is looked for.
        let link = std::fs::read_link(entry?.path());
        if link.is_ok_and(|link| link == Path::new(&wanted)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Carries bytes until one end is closed, or says too much, which ends the other.
async fn carry(
    mut one: impl AsyncRead + AsyncWrite + Unpin,
    mut other: impl AsyncRead + AsyncWrite + Unpin,
) {
    let _ = copy_bidirectional(&mut one, &mut other).await;
}

/// Something that carries bytes on the side. It ends with this value.
pub(crate) struct Carrier(JoinHandle<()>);

impl Carrier {
    fn of(doing: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(doing))
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.0.abort();
    }
}
