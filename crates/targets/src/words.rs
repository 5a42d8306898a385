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
    if secrets.into_iter().any(|secret| has_piece(said, secret)) {
        return fault;
    }
    fault.with_private(said.chars().take(WORDS_MAX).collect::<String>())
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
