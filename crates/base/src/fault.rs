//! The one error type that crosses crate boundaries on its way to a caller.
//!
//! A [`Fault`] has a public half, which the caller reads, and a private half for the server's own
//! log. `Display` prints the public half only, so nothing internal can leak through `{}`.
//! HTTP status, exit code and Vault error are derived from [`FaultKind`] in one place each.

use std::borrow::Cow;
use std::fmt;

/// What went wrong, as far as a program has to tell cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum FaultKind {
    /// Malformed, missing or contradictory input.
    BadRequest,
    /// No valid token, bad credentials, or not permitted (the V2 API uses one code for all).
    Unauthorized,
    /// Permitted in general, but refused by the object's type, state or policy.
    Forbidden,
    /// Absent, and the caller may know that it is.
    NotFound,
    /// Already exists, or changed since it was read.
    Conflict,
    /// The request did not arrive in time.
    Timeout,
    /// The body or a part of it is over its limit.
    TooLarge,
    /// The body is not of a type this server reads.
    UnsupportedType,
    /// Over a rate limit.
    RateLimited,
    /// A part this request needs does not answer; trying again may help.
    Unavailable,
    /// The disk is full; reads go on, writes do not.
    StorageFull,
    /// A defect or an unreadable store.
    Internal,
}

impl FaultKind {
    /// The machine-readable name that appears in error texts, such as `NotFound`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::Unauthorized => "UnauthorizedAccess",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::Conflict => "AlreadyExists",
            Self::Timeout => "RequestTimeout",
            Self::TooLarge => "TooLarge",
            Self::UnsupportedType => "UnsupportedMediaType",
            Self::RateLimited => "RateLimited",
            Self::Unavailable => "Unavailable",
            Self::StorageFull => "StorageFull",
            Self::Internal => "Internal",
        }
    }

    /// The HTTP status that stands for this kind, at the edge and in audit records.
    ///
    /// 400 to 409 as the V2 API uses them; the others by RFC 9110, RFC 6585 (429) and RFC 4918
    /// (507, the disk is full).
    pub const fn http_status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Timeout => 408,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::UnsupportedType => 415,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::StorageFull => 507,
        }
    }

    /// Whether the same request may succeed when it is sent again later.
    pub const fn retryable(self) -> bool {
        matches!(self, Self::Timeout | Self::RateLimited | Self::Unavailable | Self::StorageFull)
    }
}

/// Code of a fault that says: the part this request needs was not reached.
const NOT_REACHED: &str = "NotReached";

/// An error with a public text for the caller and a private one for the log.
///
/// Serializing a fault (between roles) carries the public half only.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct Fault {
    kind: FaultKind,
    code: Cow<'static, str>,
    public: Cow<'static, str>,
    /// Seconds after which trying again makes sense; 0: as for all of its kind.
    retry_after_seconds: u32,
    #[serde(skip)]
    private: Option<Box<str>>,
}

impl Fault {
    /// A fault of `kind` whose caller reads `public`: what failed, which value, what to do next.
    pub fn new(kind: FaultKind, public: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            code: kind.code().into(),
            public: public.into(),
            retry_after_seconds: 0,
            private: None,
        }
    }

    /// [`FaultKind::BadRequest`].
    pub fn bad_request(public: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::BadRequest, public)
    }

    /// [`FaultKind::Unauthorized`].
    pub fn unauthorized(public: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::Unauthorized, public)
    }

    /// [`FaultKind::Forbidden`].
    pub fn forbidden(public: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::Forbidden, public)
    }

    /// [`FaultKind::NotFound`].
    pub fn not_found(public: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::NotFound, public)
    }

    /// [`FaultKind::Conflict`].
    pub fn conflict(public: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::Conflict, public)
    }

    /// [`FaultKind::Unavailable`].
    pub fn unavailable(public: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::Unavailable, public)
    }

    /// [`FaultKind::Unavailable`], of a part that was not reached: it did not answer at all, and is
    /// not merely slow, busy or without its own parts.
    pub fn not_reached(public: impl Into<Cow<'static, str>>) -> Self {
        Self::unavailable(public).with_code(NOT_REACHED)
    }

    /// Whether it is [`Self::not_reached`].
    pub fn is_not_reached(&self) -> bool {
        self.code == NOT_REACHED
    }

    /// A defect. The caller learns only that it happened; `private` goes to the log.
    pub fn internal(private: impl fmt::Display) -> Self {
        Self::new(FaultKind::Internal, "internal error; the server's log has the details")
            .with_private(private)
    }

    /// The same fault with a more specific machine-readable code, such as `ForbiddenTypesDeletion`.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = code.into();
        self
    }

    /// The same fault with more for the caller, behind what it says already.
    #[must_use]
    pub fn with_more(mut self, more: &str) -> Self {
        self.public = format!("{}; {more}", self.public).into();
        self
    }

    /// The same fault with a text for the server's own log.
    #[must_use]
    pub fn with_private(mut self, private: impl fmt::Display) -> Self {
        self.private = Some(private.to_string().into_boxed_str());
        self
    }

    /// The same fault with the time until trying again makes sense, rounded up to seconds.
    #[must_use]
    pub fn with_retry_after(mut self, wait: std::time::Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        self.retry_after_seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        self
    }

    /// How many seconds to wait before trying again, where this fault knows better than its kind.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        (self.retry_after_seconds > 0).then_some(self.retry_after_seconds)
    }

    /// What kind of fault this is.
    pub const fn kind(&self) -> FaultKind {
        self.kind
    }

    /// The machine-readable code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The text for the caller.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The text for the log, if there is more to say than the public one.
    pub fn private(&self) -> Option<&str> {
        self.private.as_deref()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({}: {}", self.code, self.public)?;
        if let Some(private) = &self.private {
            write!(f, " | {private}")?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for Fault {}

impl From<crate::RngFailed> for Fault {
    fn from(failed: crate::RngFailed) -> Self {
        Self::internal(failed)
    }
}

impl From<crate::BadPath> for Fault {
    fn from(bad: crate::BadPath) -> Self {
        Self::bad_request(bad.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_never_prints_the_private_half() {
        let fault = Fault::internal("password of db-1 is hunter2");
        assert!(!fault.to_string().contains("hunter2"));
        assert_eq!(fault.private(), Some("password of db-1 is hunter2"));
    }
}
