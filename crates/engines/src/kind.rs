//! What a member is called, wherever it has a name, and how its settings are shown.

use keysherd_base::{Fault, interval};
use keysherd_targets::{Settings, Spelling};
use keysherd_wire::{Field, Group, Text, bad_setting};
use serde_json::{Map, Value};

use crate::fields::{CUSTOM_USERNAME_TEMPLATE, PASSWORD_LENGTH, password_policy};
use crate::password::Policy;
use crate::template;

/// What a member is called, and which settings it has.
#[derive(Debug)]
pub struct Kind {
    /// The name, such as `postgresql`: `dynamic_secret_type`, and what control keeps in the clear.
    pub name: &'static str,
    /// What credentials are made on, to end a sentence: "a PostgreSQL server".
    pub what: &'static str,
    /// The types of targets that it works with (V2's `target_type`); none: it has no target.
    pub targets: &'static [&'static str],
    /// Its create commands, the current one first.
    pub create: &'static [Spelling],
    /// Its update commands, the current one first.
    pub update: &'static [Spelling],
    /// Longest name that what it makes may have, in bytes.
    pub name_bytes_max: usize,
    /// Its settings, the time to live and what policies passwords and names have included.
    pub fields: &'static Group,
    /// Fields that V2 has for remote access, which is not served: accepted, without effect.
    pub remote: &'static Group,
    /// The setting that says how long credentials live, as people write intervals.
    pub ttl: Field<Text>,
    /// What it says when nobody did.
    pub ttl_default: &'static str,
    /// The field with the name of the protection key; V2 spells it in two ways. An inert one stands
    /// for none.
    pub key: Field<Text>,
    /// The settings that say where it works and who is believed to be there: when one of them
    /// changes, secrets that are not given again are forgotten. None changes while there are
    /// credentials.
    pub whereabouts: &'static [&'static str],
    /// Fields of V2's `DSProducerDetails` with the settings that they show. No secrets.
    pub details: &'static [(&'static str, &'static str)],
    /// Fields of it that are lists, with the settings that are those lists as JSON.
    pub json_details: &'static [(&'static str, &'static str)],
    /// Whether values have `id` and `ttl_in_minutes` beside what the engine gives.
    pub wrapped: bool,
}

/// Longest life of a credential: a year.
const TTL_SECONDS_MAX: i64 = 365 * 24 * 3_600;

impl Kind {
    /// The field with the name of the protection key, if V2 has one for this kind.
    pub fn key_field(&self) -> Option<Field<Text>> {
        Some(self.key).filter(|key| !key.spec().inert)
    }

    /// Whether what all members have makes sense: the time to live, passwords, names.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub(crate) fn check(&self, settings: &Settings) -> Result<(), Fault> {
        self.ttl_seconds(settings)?;
        Policy::of(settings)?;
        if let Some(text) = settings.text(&CUSTOM_USERNAME_TEMPLATE) {
            template::parse(CUSTOM_USERNAME_TEMPLATE.name(), text)?;
        }
        Ok(())
    }

    /// How many seconds credentials live by these settings.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn ttl_seconds(&self, settings: &Settings) -> Result<i64, Fault> {
        let text = settings.text(&self.ttl).unwrap_or(self.ttl_default);
        let seconds = interval::parse(text).and_then(|ttl| i64::try_from(ttl.as_secs()).ok());
        seconds.filter(|seconds| (1..=TTL_SECONDS_MAX).contains(seconds)).ok_or_else(|| {
            bad_setting(self.ttl.name(), "it must be a time such as 30s, 15m or 4h, at most 8760h")
        })
    }
}

/// The settings as V2 shows them: members of `DSProducerDetails`. Nothing secret.
pub fn details(kind: &Kind, settings: &Settings) -> Map<String, Value> {
    let mut shown = settings.show(kind.fields, kind.details);
    for (name, setting) in kind.json_details {
        let field = kind.fields.fields.iter().find(|field| field.name == *setting);
        let text = field.filter(|field| !field.secret).and_then(|field| settings.value(field));
        let list = text.as_ref().and_then(Value::as_str).map(serde_json::from_str);
        if let Some(Ok(list @ Value::Array(_))) = list {
            shown.insert((*name).to_owned(), list);
        }
    }
    let has = |field: &Field<Text>| kind.fields.fields.iter().any(|f| f.name == field.name());
    if has(&PASSWORD_LENGTH) {
        let (length, info) = password_policy(settings);
        if let Some(length) = length {
            shown.insert("password_length".to_owned(), length.into());
        }
        shown.insert("password_policy_info".to_owned(), Value::Object(info));
    }
    if let Some(template) = settings.text(&CUSTOM_USERNAME_TEMPLATE) {
        shown.insert("username_template".to_owned(), template.into());
    }
    let ttl = settings.text(&kind.ttl).unwrap_or(kind.ttl_default);
    shown.insert("user_ttl".to_owned(), ttl.into());
    shown.insert("dynamic_secret_type".to_owned(), kind.name.into());
    shown
}
