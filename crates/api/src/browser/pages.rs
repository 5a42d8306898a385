//! The pages: the question whether it is really your login, and where browsers come back to.

use std::sync::LazyLock;

use keysherd_authn::Method;
use keysherd_base::{Fault, Uid};
use keysherd_plane::browser::BrowserRefused;
use keysherd_wire::{Page, PageAnswer, PageMethod, PageRequest, Pages};

use super::document::{Document, failed};
use super::logins::{BrowserLogins, LIFE_SECONDS, Login, Turned, spelled};
use super::trip;
use crate::ctx::Ctx;

/// Path of the question.
pub(super) const START: &str = "login/start";
/// Longest form of our own.
const OWN_FORM_BYTES_MAX: usize = 4 * 1024;
/// Longest form that a provider posts: the limit of evidence, in the three characters for one that
/// forms have, and a little.
const FORM_BYTES_MAX: usize = 1024 * 1024;

static PAGES: LazyLock<Vec<&'static Page<Ctx>>> = LazyLock::new(|| {
    let mut pages = vec![
        page(START, PageMethod::Get, 0, |ctx, sent| Box::pin(ask(ctx, sent))),
        page(START, PageMethod::Post, OWN_FORM_BYTES_MAX, |ctx, sent| Box::pin(agree(ctx, sent))),
    ];
    for member in keysherd_authn::all().iter().copied() {
        if let Some(browser) = member.browser() {
            let callback = browser.callback();
            pages.push(page(callback.path, callback.method, FORM_BYTES_MAX, move |ctx, sent| {
                Box::pin(come_back(member, ctx, sent))
            }));
        }
    }
    pages
});

/// Every page. They live as long as the program, like commands.
pub fn pages() -> Pages<Ctx> {
    Pages { list: PAGES.clone(), failed }
}

fn page<F>(
    path: &'static str,
    method: PageMethod,
    form_bytes_max: usize,
    run: F,
) -> &'static Page<Ctx>
where
    F: Fn(Ctx, PageRequest) -> keysherd_wire::PageRun + Send + Sync + 'static,
{
    Box::leak(Box::new(Page { path, method, form_bytes_max, run: Box::leak(Box::new(run)) }))
}

/// The cookie of one login: several may be under way in one browser.
fn cookie_name(id: &str) -> String {
    format!("__Host-keysherd-{id}")
}

fn cookie(login: &Login, value: &str, seconds: i64) -> Result<String, Fault> {
    let name = cookie_name(&login.id.to_string());
    // A form that another site posts brings no other cookies; the question has a form secret too.
    let site = match login.browser()?.callback().method {
        PageMethod::Get => "Lax",
        PageMethod::Post => "None",
    };
    Ok(format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite={site}; Max-Age={seconds}"))
}

/// Asks the person whether this is the login they began.
async fn ask(ctx: Ctx, sent: PageRequest) -> Result<PageAnswer, Fault> {
    let services = ctx.services();
    let id = sent.field("login").unwrap_or_default();
    let browser = Uid::random(&*services.rng)?.to_string();
    let form = Uid::random(&*services.rng)?.to_string();
    let login = services.browser_logins.ask(id, &browser, &form, services.clock.now())?;
    let address = login.client.address.to_string();
    let document = Document::new("Sign in?")
        .text("A program asks to be signed in as you. Does it show this code?")
        .code(&spelled(&login.code))
        .facts(&[
            ("Program", &*login.client.kind),
            ("Its address", &address),
            ("Access id", login.access_id.as_str()),
        ])
        .text(
            "If you did not start it yourself just now, or it shows another code, close this page: \
             whoever sent you the link would be signed in as you.",
        );
    let fields = [("login", id), ("form", &form)];
    let mut answer = document.form(START, &fields, "It shows this code: go on").answer();
    answer.cookies.push(cookie(&login, &browser, LIFE_SECONDS)?);
    Ok(answer)
}

/// The person agreed: the browser goes to the provider.
async fn agree(ctx: Ctx, sent: PageRequest) -> Result<PageAnswer, Fault> {
    let id = sent.field("login").unwrap_or_default();
    let browser = sent.cookie(&cookie_name(id)).unwrap_or_default();
    let form = sent.field("form").unwrap_or_default();
    let services = ctx.services();
    let login = services.browser_logins.leave(id, browser, form, services.clock.now())?;
    Ok(Document::new("One moment").going_to(&login.url).answer())
}

/// The browser came back to the callback of `member`.
async fn come_back(
    member: &'static dyn Method,
    ctx: Ctx,
    sent: PageRequest,
) -> Result<PageAnswer, Fault> {
    let logins = &ctx.services().browser_logins;
    let browser = member.browser().ok_or_else(|| Fault::internal("a page of no member"))?;
    let state = sent.field(browser.callback().state).unwrap_or_default();
    let cookie_name = cookie_name(BrowserLogins::named_by(state));
    let now = ctx.services().clock.now();
    let login = match logins.come_back(member, state, sent.cookie(&cookie_name), now) {
        Ok(login) => login,
        Err(turned) => return Err(turn_away(&ctx, turned).await),
    };
    let outcome = trip::exchange(&ctx, &login, &sent).await;
    let shown = match &outcome {
        Ok(_) => Ok(Document::new("Signed in")
            .text("Your program is signed in. You can close this page.")
            .answer()),
        Err(fault) => Err(fault.clone()),
    };
    logins.end(&login, outcome);
    let mut answer = shown?;
    answer.cookies.push(cookie(&login, "", 0)?);
    Ok(answer)
}

/// Has it recorded that a browser was not let in; where no login is known there is no account.
async fn turn_away(ctx: &Ctx, turned: Turned) -> Fault {
    let Turned { login, why } = turned;
    let text = "this is not the browser that left to sign in, or it came back already; start again";
    let Some(login) = login else { return Fault::unauthorized(text).with_private(why) };
    let refused =
        BrowserRefused { access_id: login.access_id.clone(), why: format!("browser login: {why}") };
    match ctx.ask(refused).await {
        Err(fault) if fault.kind() == keysherd_base::FaultKind::Unauthorized => {
            Fault::unauthorized(text).with_private(why)
        }
        Err(fault) => fault,
        Ok(_) => Fault::internal("a refusal was recorded and came back as a success"),
    }
}
