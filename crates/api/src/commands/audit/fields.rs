//! The fields that say which audit records are meant.

use keysherd_audit::{Filter, StatusFilter};
use keysherd_base::{Fault, FolderPath, ItemPath, Timestamp};
use keysherd_wire::{Args, Field, Group, Text};

const FROM: Field<Text> =
    Field::text("from", "Only records of this time or later: RFC 3339, or seconds since 1970.");
const TO: Field<Text> =
    Field::text("to", "Only records before this time: RFC 3339, or seconds since 1970.");
const ITEM: Field<Text> = Field::text("item-name", "Only records about the item of this path.");
const FOLDER: Field<Text> =
    Field::text("folder", "Only records about something in this folder or below it.");
const ACCESS_ID: Field<Text> = Field::text("access-id", "Only records of this access id.");
const UNIQUE_ID: Field<Text> =
    Field::text("unique-id", "Only records of this person or machine within an auth method.");
const ACTION: Field<Text> =
    Field::text("action", "Only records of this action, such as get_secret_value.");
const STATUS: Field<Text> =
    Field::text("status", "Only records with this HTTP status, or failed for all but 200.");

/// Which records.
pub(super) const FILTER: Group = Group {
    title: "Records",
    fields: &[
        FROM.spec(),
        TO.spec(),
        ITEM.spec(),
        FOLDER.spec(),
        ACCESS_ID.spec(),
        UNIQUE_ID.spec(),
        ACTION.spec(),
        STATUS.spec(),
    ],
};

/// Longest text that is looked for; those of records are not longer.
const TEXT_BYTES_MAX: usize = keysherd_audit::TEXT_BYTES_MAX;

/// Reads the filter.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(super) fn filter(args: &Args) -> Result<Filter, Fault> {
    let item = args.get(&ITEM)?.map(|path| ItemPath::parse(&path)).transpose()?;
    let folder = args.get(&FOLDER)?.map(|path| FolderPath::parse(&path)).transpose()?;
    Ok(Filter {
        from: time(args, &FROM)?,
        to: time(args, &TO)?,
        item: item.map(|path| path.to_string()),
        folder: folder.map(|path| path.to_string()),
        access_id: text(args, &ACCESS_ID)?,
        unique_id: text(args, &UNIQUE_ID)?,
        action: text(args, &ACTION)?,
        status: args.get(&STATUS)?.map(|text| status(&text)).transpose()?,
    })
}

fn text(args: &Args, field: &Field<Text>) -> Result<Option<String>, Fault> {
    match args.get(field)? {
        Some(text) if text.len() > TEXT_BYTES_MAX => Err(Fault::bad_request(format!(
            "'{}' is {} bytes long; at most {TEXT_BYTES_MAX} are allowed",
            field.name(),
            text.len()
        ))),
        text => Ok(text),
    }
}

fn time(args: &Args, field: &Field<Text>) -> Result<Option<Timestamp>, Fault> {
    let Some(text) = args.get(field)? else { return Ok(None) };
    let seconds = || text.parse().ok().map(Timestamp::from_seconds);
    let time = Timestamp::parse_rfc3339(&text).or_else(seconds);
    time.map(Some).ok_or_else(|| {
        Fault::bad_request(format!(
            "invalid value of '{}': give a time such as 2026-01-05T10:11:12Z, or seconds since \
             1970",
            field.name()
        ))
    })
}

/// Reads which outcomes are meant.
///
/// # Errors
/// [`Fault::bad_request`].
pub(in crate::commands) fn status(text: &str) -> Result<StatusFilter, Fault> {
    if text.eq_ignore_ascii_case("failed") {
        return Ok(StatusFilter::Failed);
    }
    let status = text.parse().ok().filter(|status| (100..600).contains(status));
    status.map(StatusFilter::Exactly).ok_or_else(|| {
        Fault::bad_request("invalid value of 'status': give an HTTP status such as 401, or failed")
    })
}
