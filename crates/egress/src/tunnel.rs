//! Asking a proxy for a way to somebody: CONNECT (RFC 9110 section 9.3.6, RFC 9112).

use std::fmt;

use keysherd_base::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::connect::Target;
use crate::proxy::Proxy;

/// Longest answer of a proxy before the tunnel, in bytes.
pub const ANSWER_BYTES_MAX: usize = 8 * 1024;

/// What a proxy said is no answer to CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads a proxy's answer: its status and its length in bytes, or `None` when it is not all there
/// yet. The body of a refusal is not part of it.
///
/// # Errors
/// [`Malformed`].
pub fn read_answer(bytes: &[u8]) -> Result<Option<(u16, usize)>, Malformed> {
    // A beginning that is not HTTP's is told at once: such a proxy might never go on.
    let begin = b"HTTP/1.";
    let common = bytes.len().min(begin.len());
    if bytes[..common] != begin[..common] {
        return Err(Malformed);
    }
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end.filter(|end| end + 4 <= ANSWER_BYTES_MAX) else {
        return if bytes.len() >= ANSWER_BYTES_MAX { Err(Malformed) } else { Ok(None) };
    };
    let mut lines = lines(&bytes[..end])?.into_iter();
    let status = lines.next().and_then(status).ok_or(Malformed)?;
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').ok_or(Malformed)?;
        let (name, value) = line.split_at(colon);
        let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
        let text = |b: &u8| *b == b'\t' || *b >= 0x20 && *b != 0x7f;
        if name.is_empty() || !name.iter().all(token) || !value.iter().all(text) {
            return Err(Malformed);
        }
    }
    Ok(Some((status, end + 4)))
}

/// The lines of a head, which end in CR and LF; neither is anywhere else.
fn lines(head: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut parts: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
    let last = parts.len().saturating_sub(1);
    for part in &mut parts[..last] {
        *part = part.strip_suffix(b"\r").ok_or(Malformed)?;
    }
    if parts.iter().any(|part| part.contains(&b'\r')) { Err(Malformed) } else { Ok(parts) }
}

fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let [b'0' | b'1', b' ', code @ ..] = rest else { return None };
    let (code, reason) = code.split_at_checked(3)?;
    if !(reason.is_empty() || reason.starts_with(b" ")) || !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = std::str::from_utf8(code).ok()?.parse().ok()?;
    (100..600).contains(&code).then_some(code)
}

/// Asks `proxy`, at the other end of `stream`, for `target`.
///
/// # Errors
/// What it does instead, to end a sentence about it.
pub(crate) async fn open<S>(stream: &mut S, proxy: &Proxy, target: &Target) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broke = |error: std::io::Error| format!("it breaks the connection: {error}");
    stream.write_all(request(proxy, target).expose().as_bytes()).await.map_err(broke)?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 1024]);
    loop {
        let read = stream.read(&mut chunk).await.map_err(broke)?;
        if read == 0 {
            return Err("it hangs up without an answer".to_owned());
        }
        answer.extend_from_slice(&chunk[..read]);
        let Some((status, length)) = read_answer(&answer)
            .map_err(|Malformed| "what it answers is no answer of an HTTP proxy".to_owned())?
        else {
            continue;
        };
        return match status {
            // The other end of a tunnel speaks second, so whatever comes now is the proxy's own.
            200..=299 if answer.len() > length => {
                Err("it sends bytes of its own into the connection".to_owned())
            }
            200..=299 => Ok(()),
            status => Err(refusal(status, proxy.user.is_some())),
        };
    }
}

fn request(proxy: &Proxy, target: &Target) -> SecretString {
    let mut text = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(authorization) = proxy.authorization() {
        text.push_str("Proxy-Authorization: ");
        text.push_str(authorization.expose());
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    SecretString::new(text)
}

fn refusal(status: u16, signed_in: bool) -> String {
    match status {
        // Tinyproxy says 401 to credentials that are wrong.
        401 | 407 if signed_in => format!(
            "it refuses the user or the password (status {status}); see --proxy-user and \
             --proxy-password-file"
        ),
        407 => {
            "it wants a sign-in (status 407); see --proxy-user and --proxy-password-file".to_owned()
        }
        300..=399 => format!("it redirects (status {status}), which is not followed"),
        403 => "it does not allow this target (status 403)".to_owned(),
        502 | 503 => format!("it does not reach the target (status {status})"),
        504 => "the target does not answer it in time (status 504)".to_owned(),
        other => format!("it answers with status {other}"),
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no answer of an HTTP proxy")
    }
}

impl std::error::Error for Malformed {}
