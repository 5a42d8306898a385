//! PEM texts as clients send them: as they are, or in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Fault;

/// Longest PEM text, in bytes: a chain of a dozen certificates.
const PEM_BYTES_MAX: usize = 64 * 1024;

/// The PEM text that `given`, the value of `field`, is or encodes.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(crate) fn pem_text(field: &str, given: &str) -> Result<String, Fault> {
    let begins = |text: &str| text.trim_start().starts_with("-----BEGIN ");
    if given.len() <= PEM_BYTES_MAX {
        if begins(given) {
            return Ok(given.to_owned());
        }
        let compact: String = given.split_whitespace().collect();
        let decoded = STANDARD.decode(compact).ok().and_then(|text| String::from_utf8(text).ok());
        if let Some(text) = decoded.filter(|text| begins(text)) {
            return Ok(text);
        }
    }
    Err(Fault::bad_request(format!(
        "'{field}' holds no PEM text; give the content of the file, as it is or in base64, with at \
         most {PEM_BYTES_MAX} bytes"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pem_text_comes_as_it_is_or_in_base64() {
        let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        assert_eq!(pem_text("cert", pem).unwrap(), pem);
        let encoded = STANDARD.encode(pem);
        assert_eq!(pem_text("cert", &encoded).unwrap(), pem);
        let folded = format!("{}\n{}\n", &encoded[..20], &encoded[20..]);
        assert_eq!(pem_text("cert", &folded).unwrap(), pem);
        for bad in ["", "AAAA", "/etc/ssl/cert.pem", &"A".repeat(PEM_BYTES_MAX + 1)] {
            assert!(pem_text("cert", bad).unwrap_err().public().contains("'cert'"));
        }
    }
}
