//! What all log targets have in common.

use keysherd_audit::Filter;
use keysherd_base::{AccessId, Fault, FolderPath};
use keysherd_sinks::{Format, Settings, Sink};
use keysherd_wire::{Args, Field, Flag, Group, Int, Text};

use crate::commands::audit::status_filter;
use crate::forwarding::Forwarder;

const ENABLE: Field<Flag> = Field::flag("enable", "Whether records are sent.").default("true");
const OUTPUT_FORMAT: Field<Text> =
    Field::text("output-format", "How records are written: text or json.").default("text");
const PULL_INTERVAL: Field<Int> =
    Field::int("pull-interval", "Seconds between two looks for news, 1 to 3600.").default("10");
pub(super) const FORWARDER_NAME: Field<Text> = Field::text(
    "forwarder-name",
    "The name of this target among several; without one it is the one that V2 knows.",
);
const FROM_RECORD: Field<Int> = Field::int(
    "from-record",
    "The number of the first record to send; without it, the first of all, or where it was.",
);
const FILTER_ACTION: Field<Text> =
    Field::text("filter-action", "Only records of this action; all for every one.");
const FILTER_ACCESS_ID: Field<Text> =
    Field::text("filter-access-id", "Only records of this access id; all for every one.");
const FILTER_FOLDER: Field<Text> =
    Field::text("filter-folder", "Only records about something in this folder; / for every one.");
const FILTER_STATUS: Field<Text> =
    Field::text("filter-status", "Only records with this status, or failed; all for every one.");

/// The fields of every target.
pub(super) static COMMON: Group = Group {
    title: "Forwarding",
    fields: &[
        ENABLE.spec(),
        OUTPUT_FORMAT.spec(),
        PULL_INTERVAL.spec(),
        FORWARDER_NAME.spec(),
        FROM_RECORD.spec(),
        FILTER_ACTION.spec(),
        FILTER_ACCESS_ID.spec(),
        FILTER_FOLDER.spec(),
        FILTER_STATUS.spec(),
    ],
};

/// Takes a filter away.
const ALL: &str = "all";
const NAME_BYTES_MAX: usize = 64;
const PULL_SECONDS: u32 = 10;
const PULL_SECONDS_MAX: i64 = 3_600;

fn bad(field: &str, want: &str) -> Fault {
    Fault::bad_request(format!("invalid value of '{field}': {want}"))
}

/// The target's name.
///
/// # Errors
/// [`Fault::bad_request`].
pub(super) fn name(args: &Args) -> Result<String, Fault> {
    let name = args.get(&FORWARDER_NAME)?.unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) {
        return Err(bad(
            FORWARDER_NAME.name(),
            "it must be at most 64 letters, digits, dots, dashes and underscores",
        ));
    }
    Ok(name)
}

/// The target that the arguments make of the one there was, and where it begins.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(super) fn changed(
    args: &Args,
    name: String,
    sink: &'static dyn Sink,
    settings: Settings,
    old: Option<(Format, u32, Filter)>,
) -> Result<(Forwarder, Option<u64>), Fault> {
    let (format, pull_seconds, filter) =
        old.unwrap_or((Format::Text, PULL_SECONDS, Filter::default()));
    let format = match args.get(&OUTPUT_FORMAT)?.map(|text| text.to_ascii_lowercase()).as_deref() {
        None => format,
        Some("text") => Format::Text,
        Some("json") => Format::Json,
        Some(_) => return Err(bad(OUTPUT_FORMAT.name(), "it must be text or json")),
    };
    let pull_seconds = match args.get(&PULL_INTERVAL)? {
        None => pull_seconds,
        Some(given) => Some(given)
            .filter(|given| (1..=PULL_SECONDS_MAX).contains(given))
            .and_then(|given| u32::try_from(given).ok())
            .ok_or_else(|| bad(PULL_INTERVAL.name(), "it must be 1 to 3600 seconds"))?,
    };
    let from = match args.get(&FROM_RECORD)? {
        None => None,
        Some(given) => {
            let from = u64::try_from(given).ok().filter(|from| *from > 0);
            Some(from.ok_or_else(|| bad(FROM_RECORD.name(), "the first record has number 1"))?)
        }
    };
    let enabled = args.get_or(&ENABLE, true)?;
    let filter = narrowed(args, filter)?;
    Ok((
        Forwarder {
            name,
            enabled,
            sink,
            format,
            pull_seconds,
            filter,
            settings,
            begin: None,
            place_key: None,
        },
        from,
    ))
}

fn narrowed(args: &Args, mut filter: Filter) -> Result<Filter, Fault> {
    let given = |field: &Field<Text>| -> Result<Option<Option<String>>, Fault> {
        let text = args.get(field)?;
        Ok(text.map(|text| (!text.eq_ignore_ascii_case(ALL)).then_some(text)))
    };
    if let Some(action) = given(&FILTER_ACTION)? {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        if action.as_ref().is_some_and(|text| text.len() > 128 || !text.bytes().all(plain)) {
            return Err(bad(FILTER_ACTION.name(), "it must be an action, such as get_item"));
        }
        filter.action = action;
    }
    if let Some(id) = given(&FILTER_ACCESS_ID)? {
        if let Some(text) = &id {
            let wrong = |_| bad(FILTER_ACCESS_ID.name(), "it must be an access id");
            AccessId::parse(text).map_err(wrong)?;
        }
        filter.access_id = id;
    }
    if let Some(folder) = args.get(&FILTER_FOLDER)? {
        let folder = FolderPath::parse(&folder)?.to_string();
        filter.folder = (folder != "/").then_some(folder);
    }
    if let Some(status) = given(&FILTER_STATUS)? {
        filter.status = status.map(|text| status_filter(&text)).transpose()?;
    }
    Ok(filter)
}
