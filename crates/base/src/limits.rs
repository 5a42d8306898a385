//! Every limit on what comes from outside, with its unit in its name and its reason beside it.

/// Largest request body. A secret of 1 MiB in base64 inside JSON fits with room to spare.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Largest secret value.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting of a JSON body; the API never needs more than three.
pub const JSON_DEPTH_MAX: usize = 16;
/// Most values in one JSON body. A batch of [`BATCH_LEN_MAX`] rows of 32 fields fits; it bounds
/// what a small body of many tiny values can become in memory.
pub const JSON_VALUES_MAX: usize = 32_000;
/// Most elements of one list argument and most entries of one map argument.
pub const LIST_LEN_MAX: usize = 1_000;
/// Longest item, role or auth-method path.
pub const PATH_BYTES_MAX: usize = 1_024;
/// Longest segment of a path.
pub const SEGMENT_BYTES_MAX: usize = 256;
/// Most segments of a path.
pub const PATH_DEPTH_MAX: usize = 64;
/// Longest description of any object.
pub const DESCRIPTION_BYTES_MAX: usize = 16 * 1024;
/// Longest tag.
pub const TAG_BYTES_MAX: usize = 256;
/// Most tags of one object.
pub const TAGS_MAX: usize = 100;
/// Objects in one page of a listing (the V2 page size).
pub const PAGE_LEN: usize = 1_000;
/// Most names in one get-secret-value call.
pub const NAMES_PER_READ_MAX: usize = 1_000;
/// Most messages in one encrypt-batch or decrypt-batch call.
pub const BATCH_LEN_MAX: usize = 1_000;
/// Most versions kept of one item, whatever the account asks for.
pub const VERSIONS_MAX: u32 = 1_000;
/// Versions kept when nobody says otherwise.
pub const VERSIONS_DEFAULT: u32 = 50;
/// Most versions returned for a negative `version` argument (V2: the last 20).
pub const VERSIONS_PER_READ_MAX: u32 = 20;
/// Rules in one role.
pub const RULES_PER_ROLE_MAX: usize = 10_000;
/// Associations of one role or one auth method.
pub const ASSOCS_MAX: usize = 10_000;
/// Targets that one item is associated with, and items with one target: all are shown with each.
pub const TARGET_ASSOCS_MAX: usize = 500;
/// Longest kind of client that a request may claim; the known ones have 15 bytes at most.
pub const CLIENT_KIND_BYTES_MAX: usize = 64;
/// Most addresses of one `X-Forwarded-For` that are looked at; no chain of proxies is that long.
pub const FORWARDED_HOPS_MAX: usize = 32;
/// Longest token accepted for verification.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Longest name of a sub-claim; namespaced OIDC claims are URLs.
pub const CLAIM_NAME_BYTES_MAX: usize = 256;
/// Longest value of a sub-claim in an association; LDAP distinguished names are the longest seen.
pub const CLAIM_VALUE_BYTES_MAX: usize = 1_024;
/// Most sub-claims of one association.
pub const CLAIMS_PER_ASSOC_MAX: usize = 100;
/// Most `{{claim}}` templates in one rule path.
pub const TEMPLATES_PER_PATTERN_MAX: usize = 8;
/// Most `{{claim}}` templates in one segment of a rule path; bounds the cost of matching it.
pub const TEMPLATES_PER_SEGMENT_MAX: usize = 2;
/// Most ways to bind claims that one rule path repeats (`/{{team}}/{{team}}-db`) to their values.
pub const BINDINGS_PER_RULE_MAX: usize = 1_000;
/// Largest sealed envelope: a value of [`VALUE_BYTES_MAX`] that its encoding made three times as
/// long, its padding and its header.
pub const ENVELOPE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest answer a caller of the public API reads. A listing of a whole account is the largest.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Auth methods of one account; all are kept in memory.
pub const METHODS_PER_ACCOUNT_MAX: usize = 50_000;
/// Roles of one account; all are kept in memory.
pub const ROLES_PER_ACCOUNT_MAX: usize = 20_000;
/// Groups of one account; a listing reads all of them.
pub const GROUPS_PER_ACCOUNT_MAX: i64 = 2_000;
/// Rules of all roles of one account together; all are kept in memory.
pub const RULES_PER_ACCOUNT_MAX: usize = 1_000_000;
/// Longest client type.
pub const CLIENT_TYPE_BYTES_MAX: usize = 64;
/// Sites one password is meant for.
pub const WEBSITES_MAX: usize = 100;
/// Longest site of a password: a URL.
pub const WEBSITE_BYTES_MAX: usize = 512;
/// Account-defined fields of one item.
pub const CUSTOM_FIELDS_MAX: usize = 100;
/// Longest name or value of an account-defined field.
pub const CUSTOM_FIELD_BYTES_MAX: usize = 1_024;
/// Longest signed manifest of a key; the fragment protocol's own limit is a little lower.
pub const MANIFEST_BYTES_MAX: usize = 4_096;
/// Items that one command deletes or moves; it does so in one transaction.
pub const ITEMS_PER_CHANGE_MAX: usize = 50_000;
/// Longest time an item may be locked, in minutes: 30 days.
pub const LOCK_MINUTES_MAX: u32 = 30 * 24 * 60;
/// Ciphertext that one read may open, in bytes: all of it is in memory at one time, as ciphertext,
/// as plaintext and as JSON.
pub const READ_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Metadata that one listing may return, in bytes; the rest is on further pages.
pub const LISTING_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Universal-identity tokens of one auth method, those that ended included.
pub const UID_TOKENS_PER_METHOD_MAX: usize = 10_000;
/// Longest life of a universal-identity token between two rotations, in minutes: a year.
pub const UID_TTL_MINUTES_MAX: u32 = 365 * 24 * 60;
/// Longest comment of a universal-identity token; it goes into audit records.
pub const UID_COMMENT_BYTES_MAX: usize = 512;
/// Clusters of gateways in one account: customers have dozens.
pub const CLUSTERS_PER_ACCOUNT_MAX: usize = 1_000;
/// Allowed accesses of one cluster of gateways.
pub const GATEWAY_ACCESS_MAX: usize = 256;
/// Instances of one cluster; each has a key of its own in the owner's bundle.
pub const INSTANCES_PER_CLUSTER_MAX: usize = 256;
/// Customer fragments that one gateway tells of.
pub const FRAGMENTS_TOLD_MAX: usize = 256;
