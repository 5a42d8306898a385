//! Auth methods.

use keysherd_base::{AccessId, FolderPath, ItemPath, Timestamp};
use keysherd_domain::auth_method::{AuthMethod, MethodDetail, MethodShared};
use keysherd_domain::role::{Assoc, Capabilities, Role};
use serde::{Deserialize, Serialize};

use crate::auth::NewPassword;

/// Creates an auth method. The verifier in `detail` was made at the gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MethodCreate {
    /// Its path.
    pub path: ItemPath,
    /// What all kinds have.
    pub shared: MethodShared,
    /// What its kind has.
    pub detail: MethodDetail,
}

/// The created method.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MethodCreateReply {
    /// Its public name.
    pub access_id: AccessId,
    /// What deserves attention.
    pub warnings: Vec<String>,
}

/// Changes an auth method; `None` leaves a part as it is.
#[derive(Clone, Serialize, Deserialize)]
pub struct MethodUpdate {
    /// Its path.
    pub path: ItemPath,
    /// A new path.
    pub new_path: Option<ItemPath>,
    /// Replaces what all kinds have.
    pub shared: Option<MethodShared>,
    /// The `kind_name` the command is for; another kind is refused.
    pub kind: String,
    /// Replaces a family member's settings; tokens of other settings die.
    pub settings: Option<String>,
    /// Whether logins of a person show a second factor; `false` also forgets the one there is.
    pub demand_second_factor: Option<bool>,
}

/// The changed method.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MethodUpdateReply {
    /// Its public name.
    pub access_id: AccessId,
    /// What deserves attention.
    pub warnings: Vec<String>,
}

/// Replaces the access key of an API-key method, or the password of a person, by the same random
/// text. Tokens of the old one die.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessKeyReset {
    /// The method's path.
    pub path: ItemPath,
    /// The new verifier of an API-key method.
    pub public_key: [u8; 32],
    /// The new verifier of a person.
    pub password: NewPassword,
}

/// Reads an auth method.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MethodGet {
    /// Its path.
    pub path: ItemPath,
}

/// An auth method with its roles.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MethodView {
    /// The method.
    pub method: AuthMethod,
    /// Its associations with the roles.
    pub roles: Vec<(Assoc, Role)>,
    /// What the caller may do with it.
    pub permissions: Capabilities,
    /// Its effective token lifetime in minutes.
    pub token_ttl_minutes: u32,
    /// When a request with it last succeeded, as far as that is known.
    pub last_used: Option<Timestamp>,
}

/// Lists auth methods the caller may see, by path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MethodList {
    /// Substring of the path.
    pub filter: Option<String>,
    /// Kind names; empty: all.
    pub kinds: Vec<String>,
    /// Only paths after this one.
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// A page of auth methods.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MethodListReply {
    /// The methods.
    pub methods: Vec<MethodView>,
    /// Whether there are more.
    pub more: bool,
}

/// Deletes an auth method and its associations; its tokens die.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MethodDelete {
    /// Its path.
    pub path: ItemPath,
}

/// Deletes every auth method below a folder, with their associations; their tokens die.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MethodsDelete {
    /// The folder.
    pub folder: FolderPath,
}
