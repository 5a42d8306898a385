//! Names of the HTTP headers that go with a command beside its JSON body.

/// Of the answer: a sentence for people, when the call worked but something deserves attention.
/// It is ASCII; other characters are replaced by the edge. There may be [`WARNINGS_MAX`] of them.
pub const WARNING: &str = "keysherd-warning";
/// Most [`WARNING`] headers of one answer.
pub const WARNINGS_MAX: usize = 5;
/// Of the answer to a read by path: `true` when a gateway attested of every value that its item has
/// that path, `false` otherwise. The V2 answer has no place for it.
pub const NAME_ATTESTED: &str = "keysherd-name-attested";
/// Of the answer: the id under which the server's log and audit records know the request.
pub const REQUEST_ID: &str = "keysherd-request-id";
/// Of the request: what kind of program calls; absent means an SDK (V2 reference, section 1.1).
pub const CLIENT_TYPE: &str = "akeylessclienttype";
/// The [`CLIENT_TYPE`] of the command line.
pub const CLIENT_TYPE_CLI: &str = "cli";
