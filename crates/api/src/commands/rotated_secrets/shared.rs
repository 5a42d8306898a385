//! What the commands of all rotated secrets share: fields, and how they are read.

use std::collections::BTreeMap;

use keysherd_base::{Fault, ItemPath};
use keysherd_domain::rotated_secret::{
    CheckOut, DAYS_MAX, Grace, Interval, MINUTES_MAX, RotationFacts, Schedule,
};
use keysherd_engines::rotator::{Actor, Rotator};
use keysherd_plane::items::{MadeRotated, TargetChoice};
use keysherd_wire::{Args, Field, Flag, Group, Int, List, Map, Text, bad_setting};

use crate::commands::items::max_versions;
use crate::fields::{DELETE_PROTECTION, DESCRIPTION, MAX_VERSIONS};

/// The protection key.
const KEY: Field<Text> =
    Field::text("key", "The key that protects the secret; none: the account's default.");
const CUSTOM_FIELDS: Field<Map> =
    Field::map("item-custom-fields", "Account-defined fields that describe the secret.");
pub(super) const ACTOR: Field<Text> = Field::text(
    "authentication-credentials",
    "Who changes the password: use-user-creds, that user, or use-target-creds, the target's.",
)
.default("use-user-creds");
const AUTO_ROTATE: Field<Text> =
    Field::text("auto-rotate", "Whether the credentials change by themselves.");
const INTERVAL: Field<Text> =
    Field::text("rotation-interval", "Days between two rotations, 1 to 365; minutes for webhooks.")
        .default("90");
pub(super) const HOUR: Field<Int> =
    Field::int("rotation-hour", "The hour of the day at which they change, 0 to 23 in UTC.")
        .default("14");
const LOCK_ON_READ: Field<Text> = Field::text(
    "lock-on-read",
    "Whether whoever reads the credentials has them alone for a while.",
);
const LOCK_TTL: Field<Text> =
    Field::text("lock-ttl", "For how many minutes, or until the item is unlocked.").default("60");
const ROTATE_ON_UNLOCK: Field<Text> =
    Field::text("rotate-on-unlock", "Whether they change as soon as that lock ends.");
const AFTER_DISCONNECT: Field<Text> = Field::text(
    "rotate-after-disconnect",
    "Whether they change when a session that used them has ended.",
);
const LOCK_DURING_SESSION: Field<Text> =
    Field::text("lock-during-sra-session", "Sessions are not served yet.").inert();
const EVENT_IN: Field<List> = Field::list(
    "rotation-event-in",
    "How many days before they change by themselves the audit log says so; an empty one: never.",
);
pub(super) const GRACE: Field<Text> = Field::text(
    "grace-rotation",
    "Whether old credentials stay valid beside new ones for a while.",
);
const GRACE_INTERVAL: Field<Text> =
    Field::text("grace-rotation-interval", "For how many days, less than the rotation-interval.")
        .default("7");
const GRACE_HOUR: Field<Int> = Field::int(
    "grace-rotation-hour",
    "The hour of the day, 0 to 23 in UTC, of what comes on another day than the rotation's date; \
     none: the time of the other one.",
);
const GRACE_TIMING: Field<Text> = Field::text(
    "grace-rotation-timing",
    "Whether new ones come so long before the date, or old ones go so long after it.",
)
.choices(&["before", "after"])
.default("after");
const ARA: Field<Flag> = Field::flag("ara-enabled", "Rules for agents.").inert();
const AGENTS: Field<Flag> =
    Field::flag("enable-agentic-runtime-authority", "Rules for agents.").inert();
const QUORUM: Field<Flag> = Field::flag("enable-ai-quorum", "Approval for agents.").inert();
const INPUT_RULE: Field<List> = Field::list("input-rule", "Rules for what agents ask.").inert();
const OUTPUT_RULE: Field<List> =
    Field::list("output-rule", "Rules for what agents are told.").inert();
const SKIP_TRIAL: Field<Flag> =
    Field::flag("skip-dry-run", "Do not try whether the credentials sign in.").default("false");

/// What all rotated secrets have.
pub(super) static SHARED: Group = Group {
    title: "Rotated secret",
    fields: &[
        DESCRIPTION.spec(),
        KEY.spec(),
        DELETE_PROTECTION.spec(),
        CUSTOM_FIELDS.spec(),
        MAX_VERSIONS.spec(),
        ACTOR.spec(),
        AUTO_ROTATE.spec(),
        INTERVAL.spec(),
        HOUR.spec(),
        LOCK_ON_READ.spec(),
        LOCK_TTL.spec(),
        ROTATE_ON_UNLOCK.spec(),
        EVENT_IN.spec(),
        SKIP_TRIAL.spec(),
        ARA.spec(),
        AGENTS.spec(),
        QUORUM.spec(),
        INPUT_RULE.spec(),
        OUTPUT_RULE.spec(),
    ],
};

/// What those have whose credentials sessions use.
pub(super) static SESSIONS: Group =
    Group { title: "Sessions", fields: &[AFTER_DISCONNECT.spec(), LOCK_DURING_SESSION.spec()] };

/// What those have whose old credentials can stay valid.
pub(super) static GRACEFUL: Group = Group {
    title: "Graceful rotation",
    fields: &[GRACE.spec(), GRACE_INTERVAL.spec(), GRACE_HOUR.spec(), GRACE_TIMING.spec()],
};

/// Days that old credentials stay unless somebody says otherwise.
const GRACE_DAYS: u32 = 7;
/// Minutes that a lock lasts unless somebody says otherwise.
const LOCK_MINUTES: u32 = 60;
/// Days between two rotations unless somebody says otherwise, and the hour.
const DAYS: u32 = 90;
const HOUR_OF_DAY: u8 = 14;

/// What was given of it.
pub(super) struct Shared {
    pub(super) description: Option<String>,
    pub(super) delete_protection: Option<bool>,
    pub(super) custom_fields: BTreeMap<String, String>,
    pub(super) max_versions: Option<u32>,
    pub(super) skip_trial: bool,
    pub(super) key: Option<ItemPath>,
    pub(super) actor: Option<Actor>,
}

impl Shared {
    /// Reads it.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub(super) fn read(args: &Args) -> Result<Self, Fault> {
        let actor = match args.get(&ACTOR)?.as_deref() {
            None => None,
            Some("use-user-creds" | "use-self-creds") => Some(Actor::Owner),
            Some("use-target-creds") => Some(Actor::Target),
            Some(_) => {
                let why = "it must be use-user-creds or use-target-creds";
                return Err(bad_setting(ACTOR.name(), why));
            }
        };
        Ok(Self {
            description: args.get(&DESCRIPTION)?,
            delete_protection: args.get(&DELETE_PROTECTION)?,
            custom_fields: args.get(&CUSTOM_FIELDS)?.unwrap_or_default(),
            max_versions: max_versions(args)?,
            skip_trial: args.get_or(&SKIP_TRIAL, false)?,
            key: args.path_opt(&KEY)?,
            actor,
        })
    }
}

/// When credentials change, and who may read them.
pub(super) struct Terms {
    schedule: Schedule,
    /// The interval that was given, in what the kind counts.
    interval: Option<u32>,
    grace: Option<Grace>,
    check_out: Option<CheckOut>,
    after_disconnect: bool,
    notices: Vec<u32>,
}

impl Terms {
    /// Reads them: what is not given stays as in `old`.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub(super) fn read(args: &Args, old: Option<&RotationFacts>) -> Result<Self, Fault> {
        let after = flag(args, &AFTER_DISCONNECT)?;
        Ok(Self {
            schedule: schedule(args, old)?,
            interval: interval(args)?,
            grace: grace(args, old)?,
            check_out: check_out(args, old)?,
            after_disconnect: after.unwrap_or(old.is_some_and(|facts| facts.after_disconnect)),
            notices: notices(args, old)?,
        })
    }

    /// Takes them as terms of a kind, and refuses what its credentials cannot have.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub(super) fn check(&mut self, rotator: &dyn Rotator) -> Result<(), Fault> {
        if let Some(number) = self.interval {
            self.schedule.interval = match rotator.counts_minutes() {
                true => Interval::Minutes(number),
                false => Interval::Days(number),
            };
            if !self.schedule.interval.is_possible() {
                return Err(bad_setting(INTERVAL.name(), "it must be a number of days, 1 to 365"));
            }
        }
        if self.grace.is_none() || rotator.is_graceful() {
            return Ok(());
        }
        let why = format!("on {} old credentials end when new ones are set", rotator.kind().what);
        Err(bad_setting(GRACE.name(), &why))
    }

    /// What is made or changed by them; whether the credentials are the target's own, and whether
    /// whom it signs in changes them.
    pub(super) fn made(
        self,
        (rotator, rotator_type): (String, String),
        target: TargetChoice,
        (of_target, by_target): (bool, bool),
    ) -> MadeRotated {
        let Self { schedule, grace, check_out, after_disconnect, notices, .. } = self;
        MadeRotated {
            rotator,
            rotator_type,
            target,
            of_target,
            schedule,
            grace,
            check_out,
            after_disconnect,
            by_target,
            notices,
        }
    }
}

fn schedule(args: &Args, old: Option<&RotationFacts>) -> Result<Schedule, Fault> {
    let (interval, hour) = (Interval::Days(DAYS), HOUR_OF_DAY);
    let usual = Schedule { automatic: false, interval, hour };
    let mut schedule = old.map_or(usual, |facts| facts.schedule);
    if let Some(automatic) = flag(args, &AUTO_ROTATE)? {
        schedule.automatic = automatic;
    }
    if let Some(hour) = args.get(&HOUR)? {
        let hour = u8::try_from(hour).ok().filter(|hour| *hour < 24);
        schedule.hour = hour.ok_or_else(|| bad_setting(HOUR.name(), "it must be 0 to 23"))?;
    }
    Ok(schedule)
}

fn interval(args: &Args) -> Result<Option<u32>, Fault> {
    let Some(text) = given(args, &INTERVAL)? else { return Ok(None) };
    let number = text.trim().parse().ok().filter(|number| (1..=MINUTES_MAX).contains(number));
    let why = "it must be a number of days, 1 to 365, or of minutes for webhooks, 1 to 525600";
    number.ok_or_else(|| bad_setting(INTERVAL.name(), why)).map(Some)
}

fn days(field: &'static str, text: &str) -> Result<u32, Fault> {
    let days = text.trim().parse().ok().filter(|days| (1..=DAYS_MAX).contains(days));
    days.ok_or_else(|| bad_setting(field, "it must be a number of days, 1 to 365"))
}

fn grace(args: &Args, old: Option<&RotationFacts>) -> Result<Option<Grace>, Fault> {
    let known = old.and_then(|facts| facts.grace);
    let wanted = flag(args, &GRACE)?;
    let interval = given(args, &GRACE_INTERVAL)?;
    let interval = interval.map(|text| days(GRACE_INTERVAL.name(), &text)).transpose()?;
    let hour = args.get(&GRACE_HOUR)?.map(|hour| {
        let hour = u8::try_from(hour).ok().filter(|hour| *hour < 24);
        hour.ok_or_else(|| bad_setting(GRACE_HOUR.name(), "it must be 0 to 23"))
    });
    let hour = hour.transpose()?;
    let timing = given(args, &GRACE_TIMING)?;
    if !wanted.unwrap_or(known.is_some()) {
        let for_nothing = interval.is_some() || timing.is_some();
        return match wanted.is_none() && for_nothing {
            true => Err(bad_setting(GRACE.name(), "it is not set, so nothing stays for a while")),
            false => Ok(None),
        };
    }
    Ok(Some(Grace {
        days: interval.or(known.map(|grace| grace.days)).unwrap_or(GRACE_DAYS),
        before: match timing {
            Some(timing) => timing.eq_ignore_ascii_case("before"),
            None => known.is_some_and(|grace| grace.before),
        },
        hour: hour.or(known.and_then(|grace| grace.hour)),
    }))
}

fn notices(args: &Args, old: Option<&RotationFacts>) -> Result<Vec<u32>, Fault> {
    let Some(given) = args.get(&EVENT_IN)? else {
        return Ok(old.map(|facts| facts.notices.clone()).unwrap_or_default());
    };
    let texts = given.iter().filter(|text| !text.is_empty());
    texts.map(|text| days(EVENT_IN.name(), text)).collect()
}

fn check_out(args: &Args, old: Option<&RotationFacts>) -> Result<Option<CheckOut>, Fault> {
    let known = old.and_then(|facts| facts.check_out);
    let locks = flag(args, &LOCK_ON_READ)?.unwrap_or(known.is_some());
    let minutes = given(args, &LOCK_TTL)?.map(|text| {
        let why = "it must be a number of minutes";
        text.parse().map_err(|_| bad_setting(LOCK_TTL.name(), why))
    });
    let minutes = minutes.transpose()?;
    let lock_minutes = minutes.or(known.map(|out| out.lock_minutes)).unwrap_or(LOCK_MINUTES);
    let rotates = flag(args, &ROTATE_ON_UNLOCK)?;
    let rotate_on_unlock = rotates.unwrap_or(known.is_some_and(|out| out.rotate_on_unlock));
    if rotates == Some(true) && !locks {
        let why = "it takes lock-on-read, which is not set";
        return Err(bad_setting(ROTATE_ON_UNLOCK.name(), why));
    }
    Ok(locks.then_some(CheckOut { lock_minutes, rotate_on_unlock }))
}

/// A text, unless it is empty, which some clients send for what nobody gave.
fn given(args: &Args, field: &Field<Text>) -> Result<Option<String>, Fault> {
    Ok(args.get(field)?.filter(|text| !text.is_empty()))
}

fn flag(args: &Args, field: &Field<Text>) -> Result<Option<bool>, Fault> {
    match given(args, field)?.map(|text| text.to_ascii_lowercase()).as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(bad_setting(field.name(), "it must be true or false")),
    }
}
