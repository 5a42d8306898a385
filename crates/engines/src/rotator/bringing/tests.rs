//! Targets that fail at every step: what is said afterwards is never more than what is known.

use std::sync::Mutex;

use keysherd_base::SecretString;
use keysherd_wire::Args;

use super::*;
use crate::rotator::{Actor, RotatorKind};
use crate::testing::way;
use crate::{BoxFuture, Settings, TargetUse};
use crate::{NOT_LET_IN, NOT_REACHED};

/// How setting goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Setting {
    Done,
    /// Done, and the answer got lost.
    Unanswered,
    /// Not done, and no answer.
    Lost,
    Refused,
    NotReached,
    /// Whoever is to set it is not let in.
    NotLetIn,
    /// Said to be done, and not.
    Lied,
}

/// How trying goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trying {
    Honest,
    /// Nobody answers.
    Silent,
    /// Everybody is let in.
    Anybody,
}

struct Fake {
    password: Mutex<String>,
    setting: Setting,
    trying: Trying,
    set: Mutex<usize>,
    signed_in: Mutex<usize>,
    retired: Mutex<usize>,
}

fn credential(password: &str) -> Credential {
    Credential::of_user("u", &SecretString::new(password.to_owned()))
}

fn password(credential: &Credential) -> String {
    credential.password().unwrap().expose().clone()
}

impl Rotator for Fake {
    fn kind(&self) -> &'static RotatorKind {
        crate::rotators::by_name("postgresql").unwrap().kind()
    }

    fn check(&self, _: &Settings, _: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }

    fn first(&self, _: &Args) -> Result<Credential, Fault> {
        Ok(credential("first"))
    }

    fn of_target(&self, _: &TargetUse<'_>) -> Result<Credential, Fault> {
        Ok(credential("target's"))
    }

    fn candidate(&self, _: &Stage<'_>, _: &Credential) -> Result<Credential, Fault> {
        Ok(credential("drawn"))
    }

    fn change<'a>(
        &'a self,
        _: &'a Stage<'a>,
        _: &'a Credential,
        new: &'a Credential,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        *self.set.lock().unwrap() += 1;
        if matches!(self.setting, Setting::Done | Setting::Unanswered) {
            *self.password.lock().unwrap() = password(new);
        }
        let answer = match self.setting {
            Setting::Done | Setting::Lied => Ok(vec!["warned".to_owned()]),
            Setting::Unanswered | Setting::Lost => Err(Fault::unavailable("no answer")),
            Setting::Refused => Err(Fault::forbidden("too simple")),
            Setting::NotReached => Err(Fault::unavailable("no route").with_code(NOT_REACHED)),
            Setting::NotLetIn => Err(Fault::forbidden("wrong password").with_code(NOT_LET_IN)),
        };
        Box::pin(std::future::ready(answer))
    }

    fn retire<'a>(
        &'a self,
        _: &'a Stage<'a>,
        _: &'a Credential,
        _: &'a Credential,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        *self.retired.lock().unwrap() += 1;
        Box::pin(std::future::ready(Ok(())))
    }

    fn signs_in<'a>(
        &'a self,
        _: &'a Stage<'a>,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        *self.signed_in.lock().unwrap() += 1;
        let answer = match self.trying {
            Trying::Honest => Ok(*self.password.lock().unwrap() == password(credential)),
            Trying::Silent => Err(Fault::unavailable("no answer")),
            Trying::Anybody => Ok(true),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// What is said, what the target has, and how often something was set.
async fn tried(
    (setting, trying): (Setting, Trying),
    there: &str,
    resumed: bool,
    in_time: bool,
) -> (&'static str, String, usize) {
    let password = Mutex::new(there.to_owned());
    let [set, signed_in, retired] = [0, 0, 0].map(Mutex::new);
    let fake = Fake { password, setting, trying, set, signed_in, retired };
    let (settings, way) = (Settings::default(), way());
    let target = TargetUse { type_name: "postgres", settings: &settings };
    let stage = Stage { settings: &settings, target, actor: Actor::Owner, way: &way };
    let (old, new) = (credential("old"), credential("new"));
    let late = || match in_time {
        true => Ok(()),
        false => Err(Fault::unavailable("too late")),
    };
    let change = Change { old: &old, new: &new, resumed, beside: false };
    let said = match bring_about(&fake, &stage, &change, late).await {
        Brought::Changed(_) => "changed",
        Brought::Unchanged(_) => "unchanged",
        Brought::Unknown(_) => "unknown",
    };
    let has = fake.password.lock().unwrap().clone();
    let set = *fake.set.lock().unwrap();
    let retired = *fake.retired.lock().unwrap();
    assert!(in_time || retired == 0, "what is old may be somebody else's new one by now");
    // Who is refused is not tried once more: accounts are locked for that.
    let signed_in = *fake.signed_in.lock().unwrap();
    let honest = setting == Setting::NotLetIn && trying == Trying::Honest;
    assert!(!honest || signed_in <= 2 * usize::from(resumed), "{signed_in}");
    let is_found = resumed && there == "new" && trying == Trying::Honest;
    assert!(!is_found || retired == usize::from(in_time), "{setting:?}");
    (said, has, set)
}

#[tokio::test]
async fn what_is_said_is_true_whatever_fails() {
    let settings = [
        Setting::Done,
        Setting::Unanswered,
        Setting::Lost,
        Setting::Refused,
        Setting::NotReached,
        Setting::NotLetIn,
        Setting::Lied,
    ];
    let (mut changed, mut unchanged) = (0, 0);
    for setting in settings {
        for trying in [Trying::Honest, Trying::Silent, Trying::Anybody] {
            for (there, resumed) in [("old", false), ("old", true), ("new", true), ("x", true)] {
                for in_time in [true, false] {
                    let how = format!("{setting:?} {trying:?} {there} {resumed} {in_time}");
                    let (said, has, set) = tried((setting, trying), there, resumed, in_time).await;
                    assert!(in_time || set == 0, "{how}");
                    // A target that lets everybody in cannot be found out; its word is all there
                    // is.
                    let blind = trying == Trying::Anybody;
                    match said {
                        "changed" => {
                            changed += 1;
                            assert!(has == "new" || blind && setting == Setting::Lied, "{how}");
                        }
                        "unchanged" => {
                            unchanged += 1;
                            assert!(has == there && (has != "new" || blind), "{how}");
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    assert!(changed > 10 && unchanged > 10, "{changed} {unchanged}");
}

#[tokio::test]
async fn what_can_be_known_is_known() {
    let honest = |setting| (setting, Trying::Honest);
    let fresh = |setting| async move { tried(honest(setting), "old", false, true).await.0 };
    assert_eq!(fresh(Setting::Done).await, "changed");
    assert_eq!(fresh(Setting::Unanswered).await, "changed", "it was only not heard");
    assert_eq!(fresh(Setting::Lost).await, "unknown", "it may still be on its way");
    assert_eq!(fresh(Setting::Refused).await, "unchanged");
    assert_eq!(fresh(Setting::NotReached).await, "unchanged");
    assert_eq!(fresh(Setting::Lied).await, "unknown");
    let resumed = |setting, there| tried(honest(setting), there, true, true);
    assert_eq!(resumed(Setting::Done, "new").await.2, 0, "nothing is set twice");
    assert_eq!(resumed(Setting::Done, "old").await.2, 1);
    assert_eq!(resumed(Setting::NotReached, "old").await.0, "unknown");
    assert_eq!(resumed(Setting::Refused, "old").await.0, "unchanged");
    assert_eq!(resumed(Setting::NotLetIn, "x").await.0, "unchanged");
    // Where everybody is let in, signing in says nothing: it is set once more.
    assert_eq!(tried((Setting::Done, Trying::Anybody), "old", true, true).await.2, 1);
    assert_eq!(tried(honest(Setting::Done), "old", false, false).await.0, "unchanged");
    assert_eq!(tried(honest(Setting::Done), "old", true, false).await.0, "unknown");
}
