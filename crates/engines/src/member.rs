//! What a member is.

use std::collections::BTreeMap;

use keysherd_base::{Fault, ItemPath, SecretString, Timestamp, Uid};
use keysherd_targets::WRONG_CREDENTIALS;
use keysherd_wire::{Args, wipe};
use serde_json::{Map, Value};

use crate::name::username;
use crate::password::Policy;
use crate::{BoxFuture, Kind, Settings, Way};

/// A target as engines use it.
#[derive(Clone, Copy)]
pub struct TargetUse<'a> {
    /// V2's `target_type`.
    pub type_name: &'a str,
    /// Its settings.
    pub settings: &'a Settings,
}

/// Where an engine works.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The dynamic secret's settings.
    pub settings: &'a Settings,
    /// Its target, if it has one.
    pub target: Option<TargetUse<'a>>,
    /// Time, randomness and the way out.
    pub way: &'a Way,
}

/// What somebody wants.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// The lease that the credentials are of.
    pub lease: Uid,
    /// The dynamic secret.
    pub item: &'a ItemPath,
    /// Who wants them.
    pub access_id: &'a str,
    /// What else is known of that caller.
    pub sub_claims: &'a BTreeMap<String, Vec<String>>,
    /// For how long, in seconds.
    pub ttl_seconds: i64,
    /// V2's `args`: `key=value`, or JSON objects.
    pub args: &'a [String],
    /// Which host of a linked target.
    pub host: Option<&'a str>,
    /// Which database of the server.
    pub dbname: Option<&'a str>,
    /// Whether nobody gets them: they are removed as soon as they are made.
    pub is_trial: bool,
}

/// What will be made.
pub struct Plan {
    /// What is to be removed in the end, such as a user's name. Not secret; at most 1024 bytes;
    /// empty: known only when it was made ([`Created::handle`]).
    pub handle: String,
    /// The password of what is made; empty where there is none.
    pub(crate) password: SecretString,
    /// What else of the wish making it needs, such as a namespace.
    pub(crate) more: More,
}

impl Plan {
    /// A user with a name and a password of their own.
    ///
    /// # Errors
    /// [`Fault::bad_request`] when a template needs a claim that the caller does not have.
    pub(crate) fn of_user(kind: &Kind, scene: &Scene<'_>, wish: &Wish<'_>) -> Result<Self, Fault> {
        Ok(Self {
            handle: username(scene.settings, wish, scene.way, kind.name_bytes_max)?,
            password: Policy::of(scene.settings)?.draw(scene.way.rng.as_ref())?,
            more: More::default(),
        })
    }
}

/// What making something needs to know of a wish. Callers' arguments are in it, so it is wiped.
#[derive(Default)]
pub(crate) struct More(pub(crate) Map<String, Value>);

impl Drop for More {
    fn drop(&mut self) {
        wipe(Value::Object(std::mem::take(&mut self.0)));
    }
}

/// What was made.
pub struct Created {
    /// What the caller gets, without `id` and `ttl_in_minutes` (see [`Kind::wrapped`]). Whoever
    /// takes it out wipes it with [`keysherd_wire::wipe`].
    pub value: Map<String, Value>,
    /// The handle, where it is another than the planned one.
    pub handle: Option<String>,
    /// When it ends by itself, for what only expires.
    pub ends: Option<Timestamp>,
    /// What the target or this engine warns of.
    pub warnings: Vec<String>,
}

impl Created {
    /// What the caller gets; the rest is wiped with this value.
    pub fn take_value(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.value)
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        wipe(Value::Object(std::mem::take(&mut self.value)));
    }
}

/// A Kubernetes cluster as kubeconfig files name it. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterFacts {
    /// What it is called.
    pub name: String,
    /// Its API server.
    pub endpoint: String,
    /// The authorities that vouch for it, PEM in base64; empty: those of the machine that asks.
    pub authority: String,
    /// Where work is done unless somebody says otherwise.
    pub namespace: Option<String>,
}

/// Code of the fault that says: nobody got into the target, so nothing was changed there.
pub const NOT_REACHED: &str = "TargetNotReached";

/// Code of the fault that says the same, as the target refuses whom was to be signed in there.
/// Servers count such tries, and lock accounts for them.
pub const NOT_LET_IN: &str = "TargetRefusesCredentials";

/// The same fault, saying that nothing was changed.
pub(crate) fn not_reached(fault: Fault) -> Fault {
    let code = match fault.code() {
        WRONG_CREDENTIALS | NOT_LET_IN => NOT_LET_IN,
        _ => NOT_REACHED,
    };
    fault.with_code(code)
}

/// Whether a fault says that nothing was changed on the target.
pub fn is_untouched(fault: &Fault) -> bool {
    [NOT_REACHED, NOT_LET_IN].contains(&fault.code())
}

/// That statements leave whom they were to remove.
pub(crate) fn left() -> Fault {
    Fault::conflict(
        "the revocation statements leave the user, who can still sign in; correct them and revoke \
         the credential again",
    )
}

/// A way to make credentials for a while.
pub trait Engine: Send + Sync {
    /// What it is.
    fn kind(&self) -> &'static Kind;

    /// Whether the settings make sense, for this target. Nothing is connected to. Gives what their
    /// author should know, such as grants that are wider than they look.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault>;

    /// The settings, beside those that say where it works, by which what these settings make is
    /// found again to be removed. None of them changes while there are credentials.
    fn found_by(&self, _: &Settings) -> &'static [&'static str] {
        &[]
    }

    /// Whether callers may say something about what they want ([`Wish::args`]).
    fn takes_args(&self) -> bool {
        false
    }

    /// Which of the server's databases the statements run in, empty where the server chooses;
    /// `None`: what is made is not in one of several.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for settings that make no sense.
    fn database(&self, _scene: &Scene<'_>) -> Result<Option<String>, Fault> {
        Ok(None)
    }

    /// The Kubernetes cluster that credentials are for; `None` for everything else.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for settings that make no sense.
    fn cluster(&self, _scene: &Scene<'_>) -> Result<Option<ClusterFacts>, Fault> {
        Ok(None)
    }

    /// What is remembered of the target from now on: settings beside those that were given, and
    /// what their author should know of them. Nobody signs in. Asked for before a secret is tried
    /// out that is made or changed.
    ///
    /// # Errors
    /// A fault that says why it is not known.
    fn met<'a>(&'a self, _: &'a Scene<'a>) -> BoxFuture<'a, Result<(Args, Vec<String>), Fault>> {
        Box::pin(std::future::ready(Ok((Args::new(), Vec::new()))))
    }

    /// Draws names and passwords. No IO.
    ///
    /// # Errors
    /// [`Fault::bad_request`] says what the caller's claims or arguments lack.
    fn plan(&self, scene: &Scene<'_>, wish: &Wish<'_>) -> Result<Plan, Fault> {
        Plan::of_user(self.kind(), scene, wish)
    }

    /// Makes what was planned. On a fault nothing is left of it, as far as the target answers.
    ///
    /// # Errors
    /// A fault that says what failed on the target, by its error code; of code [`NOT_REACHED`]
    /// where the target was certainly not touched.
    fn create<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Created, Fault>>;

    /// Removes what has this handle; gives what the target warned of. What is gone already is
    /// removed.
    ///
    /// # Errors
    /// A fault that says what failed on the target, by its error code.
    fn revoke<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>>;

    /// Whether removing waits for what is still on its way to make the same, so that what was
    /// removed once does not come afterwards. Where it may, it is removed a second time.
    fn settles(&self) -> bool {
        false
    }

    /// What the arguments make of the settings there were (none: of a new dynamic secret).
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    fn merged(&self, given: &Args, old: Settings) -> Result<Settings, Fault> {
        let kind = self.kind();
        Settings::merged(kind.fields, given, old, kind.whereabouts)
    }
}
