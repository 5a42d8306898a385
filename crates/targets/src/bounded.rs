//! A connection on which a server can say only so much: whoever makes a target chooses the server,
//! and drivers keep what it says until it has said it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a server says in one session at most, in bytes.
pub(crate) const SAID_BYTES_MAX: usize = 4 << 20;

/// A stream that fails when more than so many bytes come out of it.
pub(crate) struct Bounded<S> {
    stream: S,
    left: usize,
}

impl<S> Bounded<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, left: SAID_BYTES_MAX }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let came = buffer.filled().len().saturating_sub(before);
        match this.left.checked_sub(came) {
            Some(left) => this.left = left,
            None => {
                // Whoever fails has read nothing.
                buffer.set_filled(before);
                return Poll::Ready(Err(io::Error::other("the server says too much")));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn who_talks_without_end_is_not_listened_to() {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let talker = tokio::spawn(async move { while far.write_all(&[7; 4_096]).await.is_ok() {} });
        let mut heard = Vec::new();
        let error = Bounded::new(near).read_to_end(&mut heard).await.unwrap_err();
        assert_eq!(error.to_string(), "the server says too much");
        assert!(heard.len() <= SAID_BYTES_MAX, "{}", heard.len());
        talker.await.unwrap();
    }
}
