//! Toy commands and their host.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use keysherd_base::{Fault, FaultKind};
use keysherd_http::{BoxFuture, Host, IDENTITY_BYTES, RequestInfo};
use keysherd_wire::{
    Access, Alias, Answer, Args, Body, Command, Field, FieldSpec, Group, Page, PageAnswer,
    PageMethod, PageRequest, Pages, Run, Show, Spec,
};
use serde_json::json;
use tokio::sync::Semaphore;

/// What the toy commands did and wait for.
#[derive(Default)]
pub(crate) struct Toy(Arc<State>);

/// The state of a [`Toy`].
pub(crate) struct State {
    /// Calls whose record was asked for, with the code of their fault.
    pub(crate) finished: Mutex<Vec<(RequestInfo, Option<String>)>>,
    /// Whether recording fails.
    pub(crate) records_fail: AtomicBool,
    /// One permit for each `wait` that runs.
    pub(crate) started: Semaphore,
    /// One permit lets one `wait` end.
    pub(crate) release: Semaphore,
    /// One permit for each `wait` that ended and was recorded.
    pub(crate) recorded: Semaphore,
}

impl Default for State {
    fn default() -> Self {
        Self {
            finished: Mutex::default(),
            records_fail: AtomicBool::new(false),
            started: Semaphore::new(0),
            release: Semaphore::new(0),
            recorded: Semaphore::new(0),
        }
    }
}

impl Toy {
    /// What the commands share.
    pub(crate) fn state(&self) -> Arc<State> {
        self.0.clone()
    }
}

/// One call of a toy command.
#[derive(Clone)]
pub(crate) struct Call {
    state: Arc<State>,
    info: RequestInfo,
    /// Whether a command looked at the token and found it good.
    accepted: Arc<AtomicBool>,
}

impl Host for Toy {
    type Call = Call;

    fn identity_of(&self, token: &str) -> Option<[u8; IDENTITY_BYTES]> {
        let mut identity = [0; IDENTITY_BYTES];
        identity[..5].copy_from_slice(token.strip_prefix("t-")?.as_bytes().get(..5)?);
        Some(identity)
    }

    fn identify<'a>(
        &'a self,
        call: &'a Call,
    ) -> BoxFuture<'a, Result<Option<[u8; IDENTITY_BYTES]>, Fault>> {
        let token = call.info.token.as_deref().unwrap_or_default();
        let told = token.strip_prefix("u-").and_then(|rest| self.identity_of(&format!("t-{rest}")));
        Box::pin(async move {
            if token.ends_with("forged") {
                return Err(Fault::unauthorized("authentication failed"));
            }
            Ok(told)
        })
    }

    fn accepted(&self, call: &Call) -> bool {
        call.accepted.load(Ordering::SeqCst)
    }

    fn open(&self, info: RequestInfo) -> Call {
        assert_ne!(&*info.client_kind, "bomb", "the host panics");
        Call { state: self.0.clone(), info, accepted: Arc::default() }
    }

    fn finish<'a>(
        &'a self,
        call: &'a Call,
        outcome: Result<(), &'a Fault>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        let code = outcome.err().map(|fault| fault.code().to_owned());
        Box::pin(async move {
            if self.0.records_fail.load(Ordering::SeqCst) {
                return Err(Fault::internal("the audit disk is gone"));
            }
            let mut finished = self.0.finished.lock().unwrap();
            finished.push((call.info.clone(), code));
            if call.info.command == "wait" {
                self.0.recorded.add_permits(1);
            }
            Ok(())
        })
    }
}

const SESSION: Group = Group {
    title: "Session",
    fields: &[
        Field::text("token", "").secret().spec(),
        Field::text("uid-token", "").secret().spec(),
        Field::flag("json", "").spec(),
    ],
};

const NAME: Field<keysherd_wire::Text> = Field::text("name", "").required();
const KIND: Field<keysherd_wire::Text> = Field::text("kind", "");
const KEEP: Field<keysherd_wire::Flag> = Field::flag("keep-prev-version", "");

const fn spec(name: &'static str, fields: &'static [FieldSpec], body: Body) -> Spec {
    Spec {
        name,
        aliases: &[],
        success: 200,
        summary: "",
        groups: &[&SESSION],
        fields,
        reply: "object",
        access: Access::Open,
        body,
        show: Show::Json,
    }
}

fn get_thing(call: Call, args: Args) -> Run {
    Box::pin(async move {
        let info = call.info;
        if info.token.as_deref().is_some_and(|token| token.ends_with("forged")) {
            return Err(Fault::unauthorized("authentication failed"));
        }
        call.accepted.store(true, Ordering::SeqCst);
        let name = args.need(&NAME)?;
        if name == "/absent" {
            return Err(Fault::not_found("there is no such thing"));
        }
        Answer::json(&json!({
            "name": name,
            "keep": args.get(&KEEP)?,
            "token": info.token.as_deref(),
            "address": info.client_address,
            "kind": &*info.client_kind,
            "command": info.command,
        }))
    })
}

static GET_THING: Command<Call> = Command {
    spec: Spec {
        access: Access::Token,
        aliases: &[Alias { name: "describe-Thing", success: 201, reply: "object" }],
        ..spec("get-thing", &[NAME.spec(), KEEP.spec()], Body::Object)
    },
    run: &get_thing,
};

fn encrypt_rows(call: Call, args: Args) -> Run {
    Box::pin(async move {
        let names: Result<Vec<_>, _> = args.rows().iter().map(|row| row.need(&NAME)).collect();
        Answer::json(&json!({"names": names?, "token": call.info.token.as_deref()}))
    })
}

static ENCRYPT_ROWS: Command<Call> =
    Command { spec: spec("encrypt-rows", &[NAME.spec()], Body::Array), run: &encrypt_rows };

/// Each kind of fault by name.
pub(crate) const KINDS: [(&str, FaultKind); 12] = [
    ("BadRequest", FaultKind::BadRequest),
    ("Unauthorized", FaultKind::Unauthorized),
    ("Forbidden", FaultKind::Forbidden),
    ("NotFound", FaultKind::NotFound),
    ("Conflict", FaultKind::Conflict),
    ("Timeout", FaultKind::Timeout),
    ("TooLarge", FaultKind::TooLarge),
    ("UnsupportedType", FaultKind::UnsupportedType),
    ("RateLimited", FaultKind::RateLimited),
    ("Unavailable", FaultKind::Unavailable),
    ("StorageFull", FaultKind::StorageFull),
    ("Internal", FaultKind::Internal),
];

fn fail(_: Call, args: Args) -> Run {
    Box::pin(async move {
        let name = args.need(&KIND)?;
        let known = KINDS.iter().find(|(known, _)| *known == name);
        let kind = known.map_or(FaultKind::Internal, |(_, kind)| *kind);
        Err(Fault::new(kind, "no \"luck\"").with_private("canary-private"))
    })
}

static FAIL: Command<Call> = Command {
    spec: Spec { access: Access::Token, ..spec("fail", &[KIND.spec()], Body::Object) },
    run: &fail,
};

fn warn(_: Call, _: Args) -> Run {
    Box::pin(async {
        let warning = Some("the key is old\r\nX-Evil: 1\u{2764}".to_owned());
        Ok(Answer::empty().with_warnings(warning))
    })
}

static WARN: Command<Call> = Command { spec: spec("warn", &[], Body::Object), run: &warn };

fn panic_late(_: Call, _: Args) -> Run {
    Box::pin(async {
        tokio::task::yield_now().await;
        panic!("canary-panic")
    })
}

static PANIC_LATE: Command<Call> =
    Command { spec: spec("panic-late", &[], Body::Object), run: &panic_late };

fn panic_early(_: Call, _: Args) -> Run {
    panic!("canary-panic")
}

static PANIC_EARLY: Command<Call> =
    Command { spec: spec("panic-early", &[], Body::Object), run: &panic_early };

fn wait(call: Call, _: Args) -> Run {
    Box::pin(async move {
        call.state.started.add_permits(1);
        call.state.release.acquire().await.unwrap().forget();
        Ok(Answer::empty())
    })
}

static WAIT: Command<Call> = Command { spec: spec("wait", &[], Body::Object), run: &wait };

fn large(_: Call, _: Args) -> Run {
    Box::pin(async { Answer::json(&"x".repeat(16 * 1024 * 1024)) })
}

static LARGE: Command<Call> = Command { spec: spec("large", &[], Body::Object), run: &large };

/// The list.
pub(crate) static COMMANDS: &[&Command<Call>] =
    &[&GET_THING, &ENCRYPT_ROWS, &FAIL, &WARN, &PANIC_LATE, &PANIC_EARLY, &WAIT, &LARGE];

fn document(html: String) -> PageAnswer {
    let policy = String::new();
    PageAnswer { status: 200, html, location: None, cookies: Vec::new(), policy }
}

async fn page(call: Call, request: PageRequest) -> Result<PageAnswer, Fault> {
    let PageRequest { fields, cookies } = request;
    Ok(PageAnswer {
        cookies: vec!["k=v; Secure".to_owned()],
        policy: "default-src 'self'".to_owned(),
        ..document(format!("{fields:?} {cookies:?} {}", call.info.client_kind))
    })
}

async fn form(_: Call, request: PageRequest) -> Result<PageAnswer, Fault> {
    let to = request.field("to").ok_or_else(|| Fault::bad_request("where to?"))?;
    Ok(PageAnswer { location: Some(to.to_owned()), ..document(String::new()) })
}

static PAGES: [Page<Call>; 2] = [
    Page {
        path: "toy/page",
        method: PageMethod::Get,
        form_bytes_max: 0,
        run: &|call, request| Box::pin(page(call, request)),
    },
    Page {
        path: "toy/form",
        method: PageMethod::Post,
        form_bytes_max: 1_000,
        run: &|call, request| Box::pin(form(call, request)),
    },
];

/// All toy pages.
pub(crate) fn pages() -> Pages<Call> {
    let failed = |fault: &Fault| document(format!("sorry: {}", fault.public()));
    Pages { list: PAGES.iter().collect(), failed }
}
