//! What servers say when they refuse, for the log of the gateway.

use keysherd_base::Fault;

/// Longest text of a server that is kept, in characters.
const WORDS_MAX: usize = 500;
/// A piece of a secret that is long enough to matter, in bytes.
const PIECE_BYTES: usize = 4;

/// The fault with what the server `said`, for the log; without it where a piece of one of the
/// `secrets` is in it: servers quote statements, and cut what they quote anywhere.
pub(crate) fn with_words<'a>(
    fault: Fault,
    said: &str,
    secrets: impl IntoIterator<Item = &'a str>,
) -> Fault {
    // Looking takes a time that both lengths multiply to, and a server says as much as it likes.
    let end = said.char_indices().nth(WORDS_MAX).map_or(said.len(), |(at, _)| at);
    let kept = said.get(..end).unwrap_or_default();
    if secrets.into_iter().any(|secret| has_piece(kept, secret)) {
        return fault;
    }
    fault.with_private(kept)
}

fn has_piece(said: &str, secret: &str) -> bool {
    let (said, secret) = (said.as_bytes(), secret.as_bytes());
    let length = secret.len().min(PIECE_BYTES);
    length > 0
        && secret.windows(length).any(|piece| said.windows(length).any(|there| there == piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "kJ8sYw2LqVb7TzRx";

    #[test]
    fn only_what_is_kept_is_looked_through() {
        let long = format!("denied {}{SECRET}", "\u{e9}".repeat(WORDS_MAX));
        let fault = format!("{:?}", with_words(Fault::bad_request("refused"), &long, Some(SECRET)));
        assert!(fault.contains("denied") && !fault.contains(SECRET), "{fault}");
        // The last piece that is kept is looked at, too.
        let edge = format!("{}{SECRET}", "x".repeat(WORDS_MAX - PIECE_BYTES));
        let fault = format!("{:?}", with_words(Fault::bad_request("refused"), &edge, Some(SECRET)));
        assert!(!fault.contains("xxx"), "{fault}");
    }

    #[test]
    fn a_secret_is_in_no_log_however_a_server_cuts_it() {
        let near = |quoted: &str| format!("syntax error near 'IDENTIFIED BY '{quoted}");
        for (from, to) in [(0, 16), (0, 4), (0, 9), (12, 16), (5, 11)] {
            let fault = Fault::bad_request("refused");
            let fault = with_words(fault, &near(&SECRET[from..to]), Some(SECRET));
            assert!(!format!("{fault:?}").contains(&SECRET[from..to]), "{fault:?}");
        }
        let said = with_words(Fault::bad_request("refused"), &near("..."), Some(SECRET));
        assert!(format!("{said:?}").contains("IDENTIFIED BY"), "{said:?}");
        let said = with_words(Fault::bad_request("refused"), "no such role", None);
        assert!(format!("{said:?}").contains("no such role"), "{said:?}");
    }
}
