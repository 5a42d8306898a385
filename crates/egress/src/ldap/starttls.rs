//! Asking a directory to go on with TLS (RFC 4511 section 4.14).

use std::{fmt, io};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The first message of a connection: an extended request with the name of StartTLS.
const REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 4_096;

/// Why a connection does not go on with TLS.
#[derive(Debug)]
pub enum NoTls {
    /// The directory hangs up.
    Lost(io::Error),
    /// What answers is no directory.
    NotLdap,
    /// The directory refuses with this result code (RFC 4511 section 4.1.9).
    Refused(u8),
}

impl fmt::Display for NoTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(error) => write!(f, "hangs up: {error}; check the port"),
            Self::NotLdap => f.write_str("does not speak LDAP; check the port"),
            Self::Refused(code) => write!(
                f,
                "does not go on with TLS ({code}); turn that on there, or give an address that \
                 begins with ldaps"
            ),
        }
    }
}

/// Asks the directory at the other end to go on with TLS (StartTLS); nothing else is said.
///
/// # Errors
/// [`NoTls`], which goes on after the place in a sentence.
pub async fn ask_for_tls(tcp: &mut TcpStream) -> Result<(), NoTls> {
    tcp.write_all(REQUEST).await.map_err(NoTls::Lost)?;
    let mut head = [0; 2];
    tcp.read_exact(&mut head).await.map_err(NoTls::Lost)?;
    let more = match head {
        [0x30, short @ ..=0x7f] => Some(usize::from(short)),
        [0x30, 0x81] => Some(usize::from(tcp.read_u8().await.map_err(NoTls::Lost)?)),
        [0x30, 0x82] => Some(usize::from(tcp.read_u16().await.map_err(NoTls::Lost)?)),
        [0x30, 0x84] => usize::try_from(tcp.read_u32().await.map_err(NoTls::Lost)?).ok(),
        _ => None,
    };
    let more = more.filter(|more| *more <= ANSWER_BYTES_MAX).ok_or(NoTls::NotLdap)?;
    let mut message = vec![0; more];
    tcp.read_exact(&mut message).await.map_err(NoTls::Lost)?;
    match code(&message).ok_or(NoTls::NotLdap)? {
        0 => Ok(()),
        code => Err(NoTls::Refused(code)),
    }
}

/// The result code in an extended response to the first message.
fn code(message: &[u8]) -> Option<u8> {
    let response = message.strip_prefix(b"\x02\x01\x01\x78")?;
    let (length, rest) = response.split_first()?;
    let rest = match length {
        ..=0x7f => rest,
        0x81 => rest.get(1..)?,
        0x82 => rest.get(2..)?,
        0x84 => rest.get(4..)?,
        _ => return None,
    };
    match rest {
        [0x0a, 1, code, ..] => Some(*code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_a_code() {
        assert_eq!(REQUEST.len(), usize::from(REQUEST[1]) + 2);
        let good = b"\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert_eq!(code(good), Some(0));
        assert_eq!(code(b"\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x34\x04"), Some(0x34));
        for length in 0..good.len() - 4 {
            assert_eq!(code(&good[..length]), None, "{length}");
        }
        for bad in [
            b"\x02\x01\x02\x78\x07\x0a\x01\x00".as_slice(),
            b"\x02\x01\x01\x61\x07\x0a\x01\x00",
            b"\x02\x01\x01\x78\x80\x0a\x01\x00",
            b"\x02\x01\x01\x78\x07\x0a\x02\x00\x00",
        ] {
            assert_eq!(code(bad), None, "{bad:?}");
        }
    }
}
