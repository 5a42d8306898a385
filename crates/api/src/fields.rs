//! Fields and groups that several commands share, each written once.

use keysherd_wire::{Field, Flag, Group, List, Text};

/// The bearer token.
pub(crate) const TOKEN: Field<Text> =
    Field::text("token", "The token that auth returned.").secret();
/// A universal-identity token instead of a bearer token.
pub(crate) const UID_TOKEN: Field<Text> =
    Field::text("uid-token", "A universal-identity token, instead of a token.").secret();
/// Whether values that are JSON come back as JSON.
pub(crate) const JSON: Field<Flag> =
    Field::flag("json", "Return values that are JSON as JSON instead of text.");

/// How a caller identifies itself; in nearly every command.
pub(crate) const SESSION: Group =
    Group { title: "Session", fields: &[TOKEN.spec(), UID_TOKEN.spec(), JSON.spec()] };

/// The name of the object a command is about.
pub(crate) const NAME: Field<Text> =
    Field::text("name", "Path of the object.").required().short('n');
/// A new path.
pub(crate) const NEW_NAME: Field<Text> = Field::text("new-name", "New path of the object.");
/// Free text.
pub(crate) const DESCRIPTION: Field<Text> =
    Field::text("description", "Free text about the object.").sentinel("default_metadata");
/// Tags of a new object.
pub(crate) const TAGS: Field<List> = Field::list("tags", "Tags of the object.").short('t');
/// Delete protection.
pub(crate) const DELETE_PROTECTION: Field<Flag> =
    Field::flag("delete-protection", "Refuse deletion until this is switched off.")
        .documented_as("delete_protection");
/// Regular or personal items.
pub(crate) const ACCESSIBILITY: Field<Text> =
    Field::text("accessibility", "Only regular items are served yet.")
        .default("regular")
        .choices(&["regular"]);
/// Where the next page starts.
pub(crate) const PAGINATION_TOKEN: Field<Text> =
    Field::text("pagination-token", "The next_page of the page before.");
/// Versions kept.
pub(crate) const MAX_VERSIONS: Field<Text> =
    Field::text("max-versions", "How many versions are kept, 1 to 1000.");
/// The older name of the description.
pub(crate) const METADATA: Field<Text> =
    Field::text("metadata", "The older name of description.").sentinel("default_metadata");
/// Tags to add.
pub(crate) const ADD_TAG: Field<List> = Field::list("add-tag", "Tags to add.");
/// Tags to remove.
pub(crate) const RM_TAG: Field<List> = Field::list("rm-tag", "Tags to remove.");
/// Substring of paths.
pub(crate) const FILTER: Field<Text> = Field::text("filter", "Only paths that contain this text.");
