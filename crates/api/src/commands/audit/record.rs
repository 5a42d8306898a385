//! An audit record as answers show it.

use keysherd_audit::{Published, Record};
use keysherd_base::Fault;

/// Shows the record with this encoding.
///
/// # Errors
/// [`Fault::internal`] for a record that somebody altered.
pub(super) fn shown(text: &str) -> Result<Published, Fault> {
    let record = Record::parse(text.as_bytes()).map_err(|bad| {
        Fault::internal(format_args!("{bad}; run keysherd audit verify on control's machine"))
    })?;
    Ok(Published::of(&record))
}
