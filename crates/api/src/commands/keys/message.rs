//! What the commands that encrypt and decrypt share: how a key is named, contexts and texts.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, ItemId, ItemPath, SecretBytes};
use keysherd_plane::grants::ItemRef;
use keysherd_wire::{Args, Field, Group, Int, Map, Text};

use crate::crypt::TransitMessage;

const KEY_NAME: Field<Text> =
    Field::text("key-name", "Path of the key; empty when it is named by an id.").short('k');
const ITEM_ID: Field<Int> = Field::int("item-id", "The key's integer id.").short('I');
const DISPLAY_ID: Field<Text> = Field::text("display-id", "The key's display id.").short('d');
const VERSION: Field<Int> = Field::int(
    "version",
    "A key version; the newest for encrypting, the ciphertext's own for decrypting.",
);
const CONTEXT: Field<Map> = Field::map(
    "encryption-context",
    "Bound to the ciphertext: decrypting needs the same. CBC keys take iv here.",
)
.short('X');

/// How a key is named, and what is bound to its messages.
pub(super) const KEY: Group = Group {
    title: "Key",
    fields: &[KEY_NAME.spec(), ITEM_ID.spec(), DISPLAY_ID.spec(), VERSION.spec(), CONTEXT.spec()],
};

/// One message with the key that `args` names.
pub(super) fn message(args: &Args, data: SecretBytes) -> Result<TransitMessage, Fault> {
    let key = match (args.get(&KEY_NAME)?, args.get(&ITEM_ID)?, args.get(&DISPLAY_ID)?) {
        (Some(name), _, _) => ItemRef::Path(ItemPath::parse(&name)?),
        (None, _, Some(display)) => ItemRef::Display(display),
        (None, Some(id), None) => ItemRef::Id(ItemId(id)),
        (None, None, None) => return Err(Fault::bad_request("missing required field 'key-name'")),
    };
    let context = args.get(&CONTEXT)?.unwrap_or_default();
    build(key, args.get(&VERSION)?, context, data)
}

/// One message.
pub(super) fn build(
    key: ItemRef,
    version: Option<i64>,
    context: BTreeMap<String, String>,
    data: SecretBytes,
) -> Result<TransitMessage, Fault> {
    let invalid = || Fault::bad_request("invalid value of 'version': it must be 1 or more");
    let version = match version {
        None | Some(0) => None,
        Some(version) => Some(u32::try_from(version).map_err(|_| invalid())?),
    };
    let iv = context.get("iv").map(|text| initialization_vector(text)).transpose()?;
    Ok(TransitMessage { key, version, context: canonical(&context), iv, data })
}

fn initialization_vector(text: &str) -> Result<[u8; 16], Fault> {
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    bytes.ok_or_else(|| {
        Fault::bad_request("invalid value of encryption-context iv: base64 of 16 bytes is needed")
    })
}

/// Names and texts in ascending order, each with its length in front, so that no two contexts have
/// the same bytes.
fn canonical(context: &BTreeMap<String, String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in context.iter().flat_map(|(name, text)| [name, text]) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

/// Base64 to bytes.
pub(super) fn decoded(field: &str, text: &str) -> Result<SecretBytes, Fault> {
    STANDARD
        .decode(text)
        .map(SecretBytes::new)
        .map_err(|_| Fault::bad_request(format!("invalid value of '{field}': it is not base64")))
}

/// Bytes to base64.
pub(super) fn encoded(bytes: &SecretBytes) -> String {
    STANDARD.encode(bytes.expose())
}

/// Whether a format field asks for base64; absent means text.
pub(super) fn wants_base64(format: Option<&str>) -> bool {
    format.is_some_and(|format| format.eq_ignore_ascii_case("base64"))
}

/// A plaintext as the caller wants it.
pub(super) fn shown(plaintext: &SecretBytes, base64: bool) -> Result<String, Fault> {
    if base64 {
        return Ok(encoded(plaintext));
    }
    String::from_utf8(plaintext.expose().clone()).map_err(|_| {
        Fault::bad_request("the plaintext is not text; ask for it with output-format base64")
    })
}
