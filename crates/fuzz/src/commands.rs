//! Whole commands, between a control plane and a cryptography that are made up.
//!
//! This is the way of a value from the body to the messages: no plaintext may reach the plane, and
//! no fault may repeat a secret argument, whatever else the body says.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use keysherd_api::commands::{ApiCommand, all};
use keysherd_api::passwords::Turns;
use keysherd_api::{
    BrowserLogins, CachePolicy, Crypt, Ctx, Freshness, GeneratedKey, HeldFragment, KeyWish,
    ManagerSaid, NoCertificate, NoConfigs, NoForwarding, NoStanding, OpenedForUse, OpenedItem,
    RotateWish, SealedWrite, Services, TakenOrder, TransitMessage, TransitResult,
};
use keysherd_base::{AccountId, Fault, ItemPath, ManualClock, SecretBytes, Timestamp, Uid};
use keysherd_domain::item::NameTag;
use keysherd_engines::Way as TargetWay;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::order::KeyReport;
use keysherd_http::{error_text, parse_body};
use keysherd_plane::credential_rotations::Reason;
use keysherd_plane::grants::{ItemRef, KeyRef, Purpose, VersionWish, WriteTarget};
use keysherd_plane::items::SealedValue;
use keysherd_plane::rotation::{KeyRotateReply, RotatedKey};
use keysherd_plane::{BoxFuture, Caller, Plane, Reply, Request};
use keysherd_wire::{Args, Body, FieldSpec, Shape};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::input::Input;
use crate::plane_messages::check_request;
use crate::randomness::Sequence;

/// Secrets that control has to see, since it checks or keeps them itself: codes, tokens of others,
/// and what it says to a provider of identities.
const FOR_CONTROL: &[&str] =
    &["client-secret", "cloud-id", "jwt", "otp", "send-manual-ack-token", "uid-token"];

/// What stands in every secret argument that is given: also a well-formed access key.
const CANARY: &str = "Q0FOQVJZLUNBTkFSWS1DQU5BUlktQ0FOQVJZLTEyMzQ=";
const NOW: Timestamp = Timestamp(1_767_607_872_000);

thread_local! {
    static RUNTIME: Runtime =
        Builder::new_current_thread().enable_time().build().expect("invariant: threads start");
}

/// Values of fields, when the bytes choose among them.
static VALUES: LazyLock<[Value; 21]> = LazyLock::new(|| {
    [
        json!("/a/b"),
        json!("/*"),
        json!("a/../b"),
        json!(""),
        json!("x".repeat(2_000)),
        json!("{\"a\":\"b\"}"),
        json!("[1,"),
        json!(r#"[{"access_id":"p-abcdefghijkl","sub_claims":{"a":["b","c"],"d":"e"}}]"#),
        json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        json!("p-abcdefghijkl"),
        json!("a@b.org"),
        json!("10.0.0.0/8,::1/129"),
        json!("-1"),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(2.5),
        json!(true),
        json!(null),
        json!(["/a", "b=c", 1]),
        json!({ "a": "b", "": "`AND`" }),
        json!([[]]),
    ]
});

/// The first byte chooses the command. The rest is its body, or, behind a zero byte, chooses the
/// value of each field.
pub fn commands(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let commands: Vec<&'static ApiCommand> = all().collect();
    let command = commands[usize::from(*choice) % commands.len()];
    let chosen = rest.strip_prefix(&[0]).map(|choices| choose(command, &mut Input::new(choices)));
    let body = chosen.as_ref().map_or(rest, |chosen| chosen.as_bytes());
    let Ok(mut args) = parse_body(&command.spec, body) else {
        assert!(chosen.is_none(), "a body of good values was refused");
        return;
    };
    plant(command, &mut args);
    if args.check_required(&command.spec).is_ok() {
        check(command, args);
    }
}

/// A body of good JSON with odd values.
fn choose(command: &ApiCommand, input: &mut Input<'_>) -> String {
    let mut body = serde_json::Map::new();
    for field in command.spec.all_fields() {
        let value = match input.byte() {
            0..64 if !field.required => continue,
            0..128 => sample(field),
            128..160 => json!(input.text()),
            odd => VALUES[usize::from(odd) % VALUES.len()].clone(),
        };
        body.insert(field.documented.to_owned(), value);
    }
    in_shape(command, body).to_string()
}

fn in_shape(command: &ApiCommand, body: serde_json::Map<String, Value>) -> Value {
    match command.spec.body {
        Body::Object => json!(body),
        Body::Array => json!([body]),
    }
}

fn check(command: &ApiCommand, args: Args) {
    let plane = Arc::new(RefusingPlane::default());
    let mut caller = Caller::of_the_server(Uid([1; 16]));
    caller.token = Some("t-00".into());
    let services = Services {
        answers: keysherd_api::AnswerBudget::default(),
        plane: Arc::clone(&plane) as Arc<dyn Plane>,
        crypt: Arc::new(MadeUpCrypt),
        clock: Arc::new(ManualClock::new(NOW)),
        rng: Arc::new(Sequence::new(1)),
        configs: Arc::new(NoConfigs),
        certificate: Arc::new(NoCertificate),
        forwarding: NoForwarding::new(Arc::new(ManualClock::new(NOW)), Arc::new(Sequence::new(1))),
        browser_logins: BrowserLogins::default(),
        standing: Arc::new(NoStanding),
        outward: Default::default(),
        engines: TargetWay::new(
            Arc::new(ManualClock::new(NOW)),
            Arc::new(Sequence::new(1)),
            Default::default(),
        ),
        creations: Default::default(),
        stretching: Turns::new(1),
    };
    let outcome = RUNTIME.with(|runtime| {
        runtime.block_on((command.run)(Ctx::new(Arc::new(services), caller), args))
    });
    if let Err(fault) = outcome {
        let told = format!("{fault:?} {}", error_text(command.spec.name, &fault));
        assert!(!told.contains(CANARY), "{} repeats a secret: {told}", command.spec.name);
    }
    for request in plane.asked.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        check_request(request);
        let sent = serde_json::to_string(request).expect("invariant: messages are JSON");
        assert!(!sent.contains(CANARY), "{} tells the plane a secret: {sent}", command.spec.name);
    }
}

/// Puts the canary in place of every secret that was given. A batch takes its body as it is.
fn plant(command: &ApiCommand, args: &mut Args) {
    let kept = |field: &&FieldSpec| field.secret && !FOR_CONTROL.contains(&field.name);
    for field in command.spec.all_fields().filter(kept) {
        let value = match (args.raw(field.name), field.shape) {
            (Some(Value::String(_)), _) => json!(CANARY),
            (Some(Value::Object(_)), Shape::Map) => json!({ "entry": CANARY }),
            _ => continue,
        };
        args.put(field.name, value);
    }
}

/// A control plane that remembers what it is asked and knows nothing.
#[derive(Default)]
struct RefusingPlane {
    asked: Mutex<Vec<Request>>,
}

impl Plane for RefusingPlane {
    fn call(&self, _: Caller, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        Box::pin(std::future::ready(Err(Fault::not_found("there is nothing"))))
    }
}

/// A cryptography that says yes and encrypts nothing.
struct MadeUpCrypt;

impl Crypt for MadeUpCrypt {
    fn trust_domains(&self) -> usize {
        1
    }

    fn customer_fragments(&self) -> Vec<HeldFragment> {
        Vec::new()
    }

    fn bring_order<'a>(
        &'a self,
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<ManagerSaid<TakenOrder>>, Fault>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn cache_default(&self) -> CachePolicy {
        CachePolicy::default()
    }

    fn cache_seconds_max(&self) -> u32 {
        60
    }

    fn cache_as(&self, _: AccountId, _: CachePolicy) {}

    fn key_reports(&self, _: Vec<KeyVersion>) -> BoxFuture<'_, Vec<ManagerSaid<Vec<KeyReport>>>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    fn read<'a>(
        &'a self,
        _: &'a Ctx,
        _: Vec<ItemRef>,
        _: VersionWish,
        _: Freshness,
    ) -> BoxFuture<'a, Result<Vec<OpenedItem>, Fault>> {
        Box::pin(std::future::ready(Err(Fault::not_found("there is nothing"))))
    }

    fn open<'a>(
        &'a self,
        _: &'a Ctx,
        _: ItemRef,
        _: Purpose,
    ) -> BoxFuture<'a, Result<OpenedForUse, Fault>> {
        Box::pin(std::future::ready(Err(Fault::not_found("there is nothing"))))
    }

    fn rotate_credentials<'a>(
        &'a self,
        _: &'a Ctx,
        _: &'a ItemPath,
        _: Reason,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(std::future::ready(Err(Fault::not_found("there is nothing"))))
    }

    fn leases_due(&self) {}

    fn seal<'a>(
        &'a self,
        _: &'a Ctx,
        _: WriteTarget,
        _: SecretBytes,
    ) -> BoxFuture<'a, Result<SealedWrite, Fault>> {
        let key = KeyRef { key_id: Uid([2; 16]), version: 1, customer_fragment: None };
        let value =
            SealedValue { ciphertext: Arc::from([3; 8]), key, unconfirmed: false, name_tag: None };
        let format = Default::default();
        let write = SealedWrite { uid: Uid([4; 16]), version: 1, overwrite: false, format, value };
        Box::pin(std::future::ready(Ok(write)))
    }

    fn recorded(&self, _: &SealedWrite) {}

    fn version_deleted(&self, _: Uid) {}

    fn attest_name<'a>(
        &'a self,
        _: &'a Ctx,
        _: ItemPath,
        _: &'a ItemPath,
    ) -> BoxFuture<'a, Option<(u32, NameTag)>> {
        Box::pin(std::future::ready(None))
    }

    fn generate_key<'a>(
        &'a self,
        _: &'a Ctx,
        wish: KeyWish,
    ) -> BoxFuture<'a, Result<GeneratedKey, Fault>> {
        let key = GeneratedKey {
            key_id: Uid([5; 16]),
            manifest: Arc::from([6; 8]),
            threshold: 2,
            manager_millis: vec![1; usize::from(wish.managers)],
            sealed: None,
        };
        Box::pin(std::future::ready(Ok(key)))
    }

    fn refresh_key<'a>(
        &'a self,
        _ctx: &'a Ctx,
        _key: RotatedKey,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }

    fn rotate_key<'a>(
        &'a self,
        _: &'a Ctx,
        _: RotateWish,
    ) -> BoxFuture<'a, Result<KeyRotateReply, Fault>> {
        let reply = KeyRotateReply { item: None, version: 2, values: 7 };
        Box::pin(std::future::ready(Ok(reply)))
    }

    fn encrypt<'a>(
        &'a self,
        _: &'a Ctx,
        messages: Vec<TransitMessage>,
    ) -> BoxFuture<'a, Vec<TransitResult>> {
        let sealed = messages.into_iter().map(|message| Ok(message.data)).collect();
        Box::pin(std::future::ready(sealed))
    }

    fn decrypt<'a>(
        &'a self,
        ctx: &'a Ctx,
        messages: Vec<TransitMessage>,
    ) -> BoxFuture<'a, Vec<TransitResult>> {
        self.encrypt(ctx, messages)
    }
}

/// For each command: a body with all its fields, and one with the required ones only.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (index, command) in all().enumerate() {
        let choice = u8::try_from(index).unwrap_or_default();
        for whole in [true, false] {
            let fields = command.spec.all_fields().filter(|field| whole || field.required);
            let body: serde_json::Map<String, Value> =
                fields.map(|field| (field.documented.to_owned(), sample(field))).collect();
            let body = in_shape(command, body).to_string();
            seeds.push([&[choice], body.as_bytes()].concat());
        }
        let choices: Vec<u8> =
            (0..120_u8).map(|at| at.wrapping_mul(choice.wrapping_mul(2).wrapping_add(7))).collect();
        seeds.push([&[choice, 0], choices.as_slice()].concat());
    }
    seeds
}

fn sample(field: &FieldSpec) -> Value {
    match (field.shape, field.choices.first()) {
        (Shape::Flag, _) => json!("true"),
        (Shape::Int, _) => json!(3),
        (Shape::List, _) => json!(["/a/b", "c"]),
        (Shape::Map, _) => json!({ "a": "b" }),
        (Shape::Text, Some(choice)) => json!(choice),
        (Shape::Text, None) => json!("/a/b"),
    }
}
