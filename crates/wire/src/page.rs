//! What a page for browsers is: a path, a method, and the function that answers.
//!
//! Pages are data like commands. They are few: what a person signs in with at an identity
//! provider has to come back to a gateway, and a browser can bring it only this way.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use keysherd_base::Fault;

/// Most fields of one query or form.
pub const PAGE_FIELDS_MAX: usize = 64;

/// How a browser asks for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageMethod {
    /// GET; the fields are those of the query.
    Get,
    /// POST of a form; the fields are those of the form, and the query does not count.
    Post,
}

/// What a browser sent.
#[derive(Default)]
pub struct PageRequest {
    /// The fields, each name once.
    pub fields: Vec<(String, String)>,
    /// The cookies as (name, value); names that were sent twice are left out.
    pub cookies: Vec<(String, String)>,
}

impl PageRequest {
    /// The field called `name`.
    pub fn field(&self, name: &str) -> Option<&str> {
        find(&self.fields, name)
    }

    /// The cookie called `name`.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        find(&self.cookies, name)
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

impl fmt::Debug for PageRequest {
    // By hand, because fields and cookies hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("PageRequest").field("fields", &names).finish_non_exhaustive()
    }
}

/// What a browser is answered.
pub struct PageAnswer {
    /// HTTP status.
    pub status: u16,
    /// The document.
    pub html: String,
    /// Where to go instead; then the status is 303 and the document is for old browsers.
    pub location: Option<String>,
    /// `Set-Cookie` headers.
    pub cookies: Vec<String>,
    /// The `Content-Security-Policy` of the document.
    pub policy: String,
}

impl fmt::Debug for PageAnswer {
    // By hand, because cookies and forms hold what binds a login to its browser.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The future of a page.
pub type PageRun = Pin<Box<dyn Future<Output = Result<PageAnswer, Fault>> + Send>>;

/// A page that runs in a context `C`, which the edge makes for each request.
pub struct Page<C: 'static> {
    /// The path without the slash in front, such as `login/start`; also the page's name in logs
    /// and records.
    pub path: &'static str,
    /// How it is asked for.
    pub method: PageMethod,
    /// Longest form, in bytes.
    pub form_bytes_max: usize,
    /// What it does.
    pub run: &'static (dyn Fn(C, PageRequest) -> PageRun + Send + Sync),
}

impl<C> fmt::Debug for Page<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page({:?} {})", self.method, self.path)
    }
}

/// The pages of a host.
pub struct Pages<C: 'static> {
    /// Each path and method once.
    pub list: Vec<&'static Page<C>>,
    /// The document that tells a person what went wrong; only the public text of the fault.
    pub failed: fn(&Fault) -> PageAnswer,
}

impl<C> fmt::Debug for Pages<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("list", &self.list).finish_non_exhaustive()
    }
}

impl<C> Default for Pages<C> {
    /// No pages.
    fn default() -> Self {
        let failed = |_: &Fault| PageAnswer {
            status: 500,
            html: String::new(),
            location: None,
            cookies: Vec::new(),
            policy: String::new(),
        };
        Self { list: Vec::new(), failed }
    }
}
