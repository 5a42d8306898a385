//! The shapes of answers that several commands share, as the V2 API models them.

pub(crate) mod auth_method;
pub(crate) mod item;
pub(crate) mod page;
pub(crate) mod role;
mod rotation;
pub(crate) mod target;

use keysherd_base::Timestamp;
use serde::Serialize;

/// When an object was last used; left out where that is not known.
#[derive(Default, Serialize)]
pub(crate) struct LastUsed {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_date_display: Option<String>,
}

impl LastUsed {
    /// Shows a time.
    pub(crate) fn at(time: Option<Timestamp>) -> Self {
        let text = time.map(|time| time.rfc3339());
        Self { access_date: text.clone(), access_date_display: text }
    }
}
