//! Pages for browsers: found by path and method, answered as documents.
//!
//! They go the way of commands through [`Host::open`] and [`Host::finish`](crate::Host::finish),
//! so they have a request id, a share of their address and a record like these.

use std::collections::HashMap;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use keysherd_base::{Fault, RequestId};
use keysherd_wire::{Page, PageAnswer, PageMethod, Pages};

use crate::reply::{self, Reply};

/// What every document is sent with: nothing may keep it, frame it, guess its type or learn its
/// address, which can hold the name of a login.
const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];
/// The policy where a page has none: nothing is allowed.
const NO_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'");

/// The pages of an edge, by path.
pub(crate) struct PageRoutes<C: 'static> {
    by_path: HashMap<&'static str, Vec<&'static Page<C>>>,
    failed: fn(&Fault) -> PageAnswer,
}

/// What a path of pages leads to.
pub(crate) enum FoundPage<C: 'static> {
    /// A page.
    Page(&'static Page<C>),
    /// Pages, but none for this method.
    WrongMethod(Reply),
}

impl<C> PageRoutes<C> {
    /// # Errors
    /// [`Fault::internal`] when two pages share path and method, which is a defect.
    pub(crate) fn new(pages: Pages<C>) -> Result<Self, Fault> {
        let mut by_path: HashMap<_, Vec<&'static Page<C>>> = HashMap::new();
        for page in pages.list {
            let known = by_path.entry(page.path).or_default();
            if known.iter().any(|other| other.method == page.method) {
                return Err(Fault::internal(format!("page '{}' is there twice", page.path)));
            }
            known.push(page);
        }
        Ok(Self { by_path, failed: pages.failed })
    }

    /// What `path`, as it stands in the request, leads to.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<FoundPage<C>> {
        let known = self.by_path.get(path.strip_prefix('/')?)?;
        let wanted = |page: &&Page<C>| match page.method {
            PageMethod::Get => *method == Method::GET,
            PageMethod::Post => *method == Method::POST,
        };
        if let Some(page) = known.iter().copied().find(wanted) {
            return Some(FoundPage::Page(page));
        }
        let allowed = match known.as_slice() {
            [Page { method: PageMethod::Get, .. }] => "GET",
            [Page { method: PageMethod::Post, .. }] => "POST",
            _ => "GET, POST",
        };
        let fault = Fault::bad_request("a browser has to open this address; start again");
        let mut reply = document((self.failed)(&fault), None);
        *reply.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        Some(FoundPage::WrongMethod(reply))
    }

    /// The answer to a browser.
    pub(crate) fn reply(
        &self,
        outcome: Result<PageAnswer, Fault>,
        request: Option<RequestId>,
    ) -> Reply {
        let answer = outcome.unwrap_or_else(|fault| {
            let answer = (self.failed)(&fault);
            PageAnswer { status: fault.kind().http_status(), ..answer }
        });
        document(answer, request)
    }
}

fn document(answer: PageAnswer, request: Option<RequestId>) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(answer.html)));
    *reply.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = reply.headers_mut();
    headers.extend(ALWAYS);
    let policy = HeaderValue::from_str(&answer.policy).ok().filter(|policy| !policy.is_empty());
    headers.insert(CONTENT_SECURITY_POLICY, policy.unwrap_or(NO_POLICY));
    for cookie in answer.cookies {
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
    if let Some(location) = answer.location {
        // A location that is no header value never leads anywhere else.
        match HeaderValue::from_str(&location) {
            Ok(location) => {
                headers.insert(LOCATION, location);
                *reply.status_mut() = StatusCode::SEE_OTHER;
            }
            Err(_) => *reply.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
    if let Some(request) = request {
        reply::insert_id(&mut reply, request);
    }
    reply
}
