//! The byte relay: a connection to control that control joins to a manager.
//!
//! The caller sends one header and then speaks to the manager through the connection, with TLS of
//! its own from end to end. Control sees the header, the amounts and the times.
//!
//! Header: `KSRL` | version u8 = 1 | manager index u8. Answer: one byte, 0 when the connection is
//! joined, otherwise why it is not ([`Refused`]).

use std::time::Duration;

use keysherd_egress::Egress;
use keysherd_fragments::manager_set::ManagerIndex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use crate::connections::Activity;
use crate::dial::connect_tcp;
use crate::limits::Limits;
use crate::peer::Peer;

/// Says where managers are, and who may reach them.
pub trait RelayTargets: Send + Sync {
    /// The addresses (`host:port`) of the manager with this index, to be tried in turn; none when
    /// there is no such manager or `from` may not reach it.
    fn addresses(&self, from: &Peer, manager: ManagerIndex) -> Vec<String>;
}

const MAGIC: [u8; 4] = *b"KSRL";
const FORMAT: u8 = 1;
/// Length of the header that asks a relay for a manager.
pub const RELAY_HEADER_BYTES: usize = 6;
/// Bytes on their way in one direction.
const PIECE_BYTES: usize = 16 * 1024;
/// How long a relayed connection has to be quiet to be closed at shutdown.
const QUIET: Duration = Duration::from_millis(250);
/// Time for the relay to reach a manager.
const REACH_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a relay did not join a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The header is not one.
    Header = 1,
    /// No such manager for this caller.
    Unknown = 2,
    /// The manager cannot be reached from the relay.
    Unreachable = 3,
}

/// The header for the manager with this index.
pub(crate) fn header(manager: ManagerIndex) -> [u8; RELAY_HEADER_BYTES] {
    let [a, b, c, d] = MAGIC;
    [a, b, c, d, FORMAT, manager.get()]
}

/// The manager that a relay's header asks for; `None` for anything but a header.
pub fn read_relay_header(bytes: [u8; RELAY_HEADER_BYTES]) -> Option<ManagerIndex> {
    let [a, b, c, d, format, index] = bytes;
    let is_header = [a, b, c, d] == MAGIC && format == FORMAT;
    ManagerIndex::new(index).filter(|_| is_header)
}

/// Asks a relay at the other end of `stream` to join it to `manager`.
///
/// # Errors
/// Why it does not, in words.
pub(crate) async fn ask<S>(stream: &mut S, manager: ManagerIndex) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error: std::io::Error| format!("the relay closed the connection: {error}");
    stream.write_all(&header(manager)).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    match stream.read_u8().await.map_err(failed)? {
        0 => Ok(()),
        code if code == Refused::Unknown as u8 => {
            Err(format!("the relay knows no manager {manager}, or not for this role"))
        }
        code if code == Refused::Unreachable as u8 => {
            Err(format!("the relay cannot reach manager {manager}"))
        }
        code => Err(format!("the relay refused with code {code}")),
    }
}

/// Joins `stream` to the manager that its header asks for, until either side ends it.
pub(crate) async fn serve<S>(
    mut stream: S,
    peer: Peer,
    targets: &dyn RelayTargets,
    activity: &Activity,
    limits: &Limits,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let joined = timeout(limits.handshake_timeout, join(&mut stream, peer, targets)).await;
    let (manager, target) = match joined {
        Ok(Ok(joined)) => joined,
        Ok(Err(refused)) => {
            tracing::debug!(?peer, ?refused, "not relayed");
            // It may be gone already, which is as good.
            drop(stream.write_all(&[refused as u8]).await);
            drop(stream.shutdown().await);
            return;
        }
        Err(_) => {
            tracing::debug!(?peer, "relay header took too long");
            return;
        }
    };
    if stream.write_all(&[0]).await.is_err() || stream.flush().await.is_err() {
        return;
    }
    tracing::debug!(?peer, %manager, "relaying");
    let (near_in, near_out) = tokio::io::split(stream);
    let (far_in, far_out) = tokio::io::split(target);
    let copying = async {
        tokio::join!(copy(near_in, far_out, activity), copy(far_in, near_out, activity));
    };
    tokio::select! {
        () = copying => {}
        () = quiet(activity, limits.relay_idle_timeout) => {}
    }
}

async fn join<S>(
    stream: &mut S,
    peer: Peer,
    targets: &dyn RelayTargets,
) -> Result<(ManagerIndex, TcpStream), Refused>
where
    S: AsyncRead + Unpin,
{
    let mut bytes = [0; RELAY_HEADER_BYTES];
    stream.read_exact(&mut bytes).await.map_err(|_| Refused::Header)?;
    let manager = read_relay_header(bytes).ok_or(Refused::Header)?;
    let addresses = targets.addresses(&peer, manager);
    if addresses.is_empty() {
        return Err(Refused::Unknown);
    }
    // Managers are where control's own operator put them, or on its side of the network.
    let direct = Egress::default();
    for address in &addresses {
        match connect_tcp(&direct, address, REACH_TIMEOUT).await {
            Ok(target) => return Ok((manager, target)),
            Err(error) => {
                tracing::debug!(%manager, error = error.why, "the relay cannot reach a manager");
            }
        }
    }
    Err(Refused::Unreachable)
}

/// Copies until the source ends, and passes the end on.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    activity: &Activity,
) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(len @ 1..) = from.read(&mut piece).await {
        activity.touch();
        if to.write_all(&piece[..len]).await.is_err() || to.flush().await.is_err() {
            return;
        }
        activity.touch();
    }
    drop(to.shutdown().await);
}

/// Ready when nothing has been relayed for `limit`, or for a moment during shutdown.
async fn quiet(activity: &Activity, limit: Duration) {
    let mut ticks = interval(QUIET);
    loop {
        ticks.tick().await;
        let enough = if activity.finish.is_cancelled() { QUIET } else { limit };
        if activity.idle() >= enough {
            return;
        }
    }
}
