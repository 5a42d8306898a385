//! Reading the file of customer fragments. No error repeats what stands in the file: a value could
//! stand anywhere.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Secret, Timestamp, Uid};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{
    DESCRIPTION_BYTES_MAX, FILE_BYTES_MAX, FRAGMENTS_MAX, FragmentEntry, FragmentFile,
    FragmentKind, NAME_BYTES_MAX, Problem, VALUE_BYTES, id_text, parse_id,
};

const LIST: &str = "customer_fragments";
/// The fields of an entry.
const FIELDS: &[&str] =
    &["id", "value", "name", "description", "fragment_type", "key_label", "backup_verified_at"];
/// Fields of fragments that are encrypted under a hardware key, which other gateways write.
const WRAPPED: &[&str] = &["wrap_alg", "wrap_iv", "wrap_tag"];

/// The fields of a JSON object, in order, repeated ones too.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

pub(super) fn file(bytes: &[u8]) -> Result<FragmentFile, Problem> {
    let all = |text: String| Problem { id: None, text };
    if bytes.len() > FILE_BYTES_MAX {
        let text = format!("the file has more than {FILE_BYTES_MAX} bytes");
        return Err(all(text));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(all("the file is empty".to_owned()));
    }
    let top = object(bytes).map_err(|(line, column)| {
        all(format!("the file is cut off or not JSON, at line {line}, column {column}"))
    })?;
    let [(name, list)] = top.0.as_slice() else {
        return Err(all(format!("the file must have one field, {LIST}")));
    };
    if name != LIST {
        return Err(all(format!("the file must have one field, {LIST}")));
    }
    let list: Vec<&RawValue> = serde_json::from_str(list.get())
        .map_err(|_| all(format!("{LIST} must be a list of objects")))?;
    if list.len() > FRAGMENTS_MAX {
        return Err(all(format!("the file has more than {FRAGMENTS_MAX} fragments")));
    }
    let mut file = FragmentFile::default();
    for (place, raw) in (1..).zip(list) {
        match entry(raw) {
            Ok(entry) => file.entries.push(entry),
            Err((id, why)) => {
                let name = id.map_or_else(String::new, |id| format!(" ({})", id_text(&id)));
                file.problems.push(Problem { id, text: format!("fragment {place}{name}: {why}") });
            }
        }
    }
    drop_repeated(&mut file);
    Ok(file)
}

/// Nobody can tell which of two fragments with one id is the right one.
fn drop_repeated(file: &mut FragmentFile) {
    let mut ids: Vec<Uid> = file.entries.iter().map(|entry| entry.id).collect();
    ids.extend(file.problems.iter().filter_map(|problem| problem.id));
    ids.sort_unstable();
    let repeated: Vec<Uid> =
        ids.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    for id in repeated {
        file.entries.retain(|entry| entry.id != id);
        file.problems.retain(|problem| problem.id != Some(id));
        let text = format!("{} is in the file more than once", id_text(&id));
        file.problems.push(Problem { id: Some(id), text });
    }
}

type Bad = (Option<Uid>, String);

fn entry(raw: &RawValue) -> Result<FragmentEntry, Bad> {
    let fields = object(raw.get().as_bytes()).map_err(|_| (None, "not an object".to_owned()))?;
    let id = fields.text("id").map_err(|why| (None, why))?;
    let id = id.ok_or_else(|| (None, "it has no id".to_owned()))?;
    let id = parse_id(&id)
        .ok_or_else(|| (None, "its id must be cf- and 32 hex digits, not all zero".to_owned()))?;
    fields.entry(id).map_err(|why| (Some(id), why))
}

impl<'a> Object<'a> {
    fn entry(&self, id: Uid) -> Result<FragmentEntry, String> {
        for (place, (name, _)) in self.0.iter().enumerate() {
            if WRAPPED.contains(&name.as_ref()) {
                let why = "it is encrypted under a hardware key, which is not supported: unwrap it \
                           where it was made, or use hsm_wrapped";
                return Err(why.to_owned());
            }
            if !FIELDS.contains(&name.as_ref()) {
                return Err(format!("it has an unknown field; known are {}", FIELDS.join(", ")));
            }
            if self.0[..place].iter().any(|(other, _)| other == name) {
                return Err(format!("it has its field {name} twice"));
            }
        }
        Ok(FragmentEntry {
            id,
            name: self.short_text("name", NAME_BYTES_MAX)?.unwrap_or_default(),
            description: self.short_text("description", DESCRIPTION_BYTES_MAX)?.unwrap_or_default(),
            kind: self.kind()?,
            value: self.value()?,
            backup_verified_at: self.time("backup_verified_at")?,
        })
    }

    fn raw(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, raw)| raw.get()).filter(|raw| *raw != "null")
    }

    fn text(&self, name: &str) -> Result<Option<Zeroizing<String>>, String> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let text: Result<String, _> = serde_json::from_str(raw);
        text.map(|text| Some(Zeroizing::new(text))).map_err(|_| format!("its {name} must be text"))
    }

    /// Text that can be printed on a terminal.
    fn short_text(&self, name: &str, max: usize) -> Result<Option<String>, String> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        if text.len() > max || text.chars().any(char::is_control) {
            let why = format!("its {name} must have at most {max} bytes, no control characters");
            return Err(why);
        }
        Ok(Some(text.as_str().to_owned()))
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, String> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let seconds: Result<u32, _> = serde_json::from_str(raw);
        let seconds = seconds.map_err(|_| format!("its {name} must be seconds since 1970"))?;
        Ok(Some(Timestamp::from_seconds(i64::from(seconds))))
    }

    fn kind(&self) -> Result<FragmentKind, String> {
        let kind = self.text("fragment_type")?;
        let label = self.short_text("key_label", NAME_BYTES_MAX)?.filter(|text| !text.is_empty());
        match (kind.as_ref().map_or("", |kind| kind.as_str()), label) {
            ("" | "standard", None) => Ok(FragmentKind::Standard),
            ("" | "standard", Some(_)) => Err("it has a key_label but no hardware type".to_owned()),
            ("hsm_wrapped", Some(key_label)) => Ok(FragmentKind::HsmWrapped { key_label }),
            ("hsm_secured", Some(key_label)) => Ok(FragmentKind::HsmSecured { key_label }),
            ("hsm_wrapped" | "hsm_secured", None) => {
                Err("it needs the key_label of its hardware key".to_owned())
            }
            _ => Err("its fragment_type must be standard, hsm_wrapped or hsm_secured".to_owned()),
        }
    }

    fn value(&self) -> Result<Secret<[u8; VALUE_BYTES]>, String> {
        let text = self.text("value")?.ok_or("it has no value")?;
        // Room for what is too long, so that its length can be named.
        let mut bytes = Zeroizing::new(vec![0; 3 + text.len()]);
        let length = STANDARD
            .decode_slice(text.as_bytes(), &mut bytes)
            .map_err(|_| "its value is not base64 with padding; it may be cut off")?;
        let bytes = Zeroizing::new(bytes.get(..length).unwrap_or_default().to_vec());
        let Ok(value) = <[u8; VALUE_BYTES]>::try_from(bytes.as_slice()) else {
            return Err(wrong_length(&bytes));
        };
        if value == [0; VALUE_BYTES] {
            return Err("its value is all zero".to_owned());
        }
        Ok(Secret::new(value))
    }
}

fn wrong_length(bytes: &[u8]) -> String {
    let twice = bytes.len() > VALUE_BYTES
        && STANDARD.decode(bytes).map(Zeroizing::new).is_ok_and(|once| once.len() == VALUE_BYTES);
    let hint = if twice { "; it was encoded as base64 twice" } else { "" };
    format!("its value has {} bytes instead of {VALUE_BYTES}{hint}", bytes.len())
}

/// The object in `bytes`; where reading failed, as line and column.
fn object(bytes: &[u8]) -> Result<Object<'_>, (usize, usize)> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = json.deserialize_map(Fields).and_then(|read| json.end().map(|()| read));
    read.map_err(|error| (error.line(), error.column()))
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
            fields.push((name, value));
        }
        Ok(Object(fields))
    }
}
