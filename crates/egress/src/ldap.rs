//! What stands between a driver of LDAP (RFC 4511) and a directory.
//!
//! The driver keeps what a directory says until a message is complete, however long that is, and
//! reads what is inside of what by calling itself. Whoever made the configuration chose the
//! directory, and before TLS anybody on the way may speak for it. So the driver is given one end of
//! a pair of sockets, and what is carried to it is looked at first.

mod nested;
mod odd;
mod starttls;

use std::io;
use std::os::unix::net::UnixStream;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::task::JoinHandle;

use self::nested::Nested;
use crate::heard::{Bound, Heard};

pub use odd::sensible;
pub use starttls::{NoTls, ask_for_tls};

/// The address by which drivers know a socket that they are given.
pub const HERE: &str = "ldapi:///";

/// What carries bytes between a driver and a directory, until it is dropped.
#[derive(Debug)]
pub struct Relay(JoinHandle<()>);

impl Relay {
    /// The driver's end, and what carries between the other end and the directory at `stream`,
    /// which is encrypted already. It ends when the directory says more than
    /// [`SAID_BYTES_MAX`](crate::heard::SAID_BYTES_MAX), or nests deeper than directories do.
    ///
    /// # Errors
    /// Those of the machine, when it has no more sockets.
    pub fn new<S>(stream: S) -> io::Result<(UnixStream, Self)>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut stream = Heard::new(Heard::new(stream, Bound::default()), Nested::default());
        let (mut ours, theirs) = tokio::net::UnixStream::pair()?;
        let theirs = theirs.into_std()?;
        let relay = tokio::spawn(async move {
            // Whichever end is closed, or says too much, ends the other.
            let _ = copy_bidirectional(&mut stream, &mut ours).await;
        });
        Ok((theirs, Self(relay)))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.abort();
    }
}
