//! The rotations of a rotated secret as `describe-item` and `list-items` show them.

use keysherd_domain::credential_rotation::Outcome;
use keysherd_domain::rotated_secret::{Interval, RotationFacts};
use keysherd_engines::rotators;
use keysherd_plane::credential_rotations::RotationView;
use keysherd_plane::items::ItemView;
use serde::Serialize;

/// The model `RotatedSecretDetailsInfo`, as far as that is known without opening the secret; empty
/// for other items.
#[derive(Default, Serialize)]
pub(super) struct RotatedDetails<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rotator_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotator_creds_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotator_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rotation_error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_hour: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_interval_min: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_versions: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gw_cluster_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_rotation: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_rotation_interval: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_rotation_hour: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_rotation_timing: Option<&'static str>,
}

/// What the model `ItemGeneralInfo` says of who may have it alone, and of who is told when. Clients
/// older than these fields do not meet them where they say nothing.
#[derive(Default, Serialize)]
pub(super) struct CheckOutInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_on_read: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_ttl: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotate_on_unlock: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_rotate_on_unlock: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    next_rotation_events: Vec<RotationEvent>,
}

/// The model `NextAutoRotationEvent`.
#[derive(Serialize)]
struct RotationEvent {
    seconds_before: i64,
}

/// What the model `Item` says of when credentials change.
#[derive(Default, Serialize)]
pub(super) struct RotationDates {
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_rotate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_interval: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rotation_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_rotation_date: Option<String>,
}

impl<'a> RotatedDetails<'a> {
    /// Those of `view`.
    pub(super) fn of(view: &'a ItemView) -> Self {
        let Some(facts) = &view.item.rotation else { return Self::default() };
        let standing = view.rotation.as_ref();
        let error = standing.map(|standing| standing.last_error.as_str());
        let grace = facts.grace.as_ref();
        Self {
            rotator_type: Some(shown_type(facts)),
            rotator_creds_type: Some(match facts.by_target {
                true => "use-target-creds",
                false => "use-user-creds",
            }),
            rotator_status: standing.and_then(status),
            last_rotation_error: error.filter(|error| !error.is_empty()),
            rotation_hour: Some(facts.schedule.hour),
            rotation_interval_min: Some(matches!(facts.schedule.interval, Interval::Minutes(_))),
            max_versions: view.item.max_versions,
            gw_cluster_id: Some(facts.cluster).filter(|cluster| *cluster != 0),
            grace_rotation: Some(grace.is_some()),
            grace_rotation_interval: grace.map(|grace| grace.days),
            grace_rotation_hour: grace.and_then(|grace| grace.hour),
            grace_rotation_timing: grace.map(|grace| if grace.before { "before" } else { "after" }),
        }
    }
}

impl CheckOutInfo {
    /// That of `view`.
    pub(super) fn of(view: &ItemView) -> Self {
        let Some(facts) = &view.item.rotation else { return Self::default() };
        let pending = view.rotation.as_ref().map(|standing| standing.unlock_pending);
        let out = facts.check_out.as_ref();
        Self {
            lock_on_read: out.map(|_| true),
            lock_ttl: out.map(|out| out.lock_minutes).filter(|minutes| *minutes > 0),
            rotate_on_unlock: out.filter(|out| out.rotate_on_unlock).map(|_| true),
            pending_rotate_on_unlock: pending.filter(|pending| *pending),
            next_rotation_events: facts
                .notices
                .iter()
                .map(|days| RotationEvent { seconds_before: Interval::Days(*days).seconds() })
                .collect(),
        }
    }
}

impl RotationDates {
    /// Those of `view`.
    pub(super) fn of(view: &ItemView) -> Self {
        let Some(facts) = &view.item.rotation else { return Self::default() };
        let standing = view.rotation.as_ref();
        let (Interval::Days(often) | Interval::Minutes(often)) = facts.schedule.interval;
        Self {
            auto_rotate: Some(facts.schedule.automatic),
            rotation_interval: Some(often),
            last_rotation_date: standing.and_then(|of| of.rotated).map(|at| at.rfc3339()),
            next_rotation_date: standing.and_then(|of| of.next).map(|at| at.rfc3339()),
        }
    }
}

/// What V2 calls the rotator's type when it shows it.
fn shown_type(facts: &RotationFacts) -> &str {
    let known = rotators::by_name(&facts.rotator).map(|rotator| rotator.kind());
    let of = known.and_then(|kind| kind.type_of(&facts.rotator_type));
    of.map_or(facts.rotator_type.as_str(), |of| of.shown)
}

fn status(standing: &RotationView) -> Option<&'static str> {
    match standing.outcome {
        Outcome::None => None,
        Outcome::Succeeded => Some("RotationSucceeded"),
        Outcome::Partly => Some("RotationPartialSucceeded"),
        Outcome::Failed => Some("RotationFailed"),
    }
}
