//! Names of audited actions.
//!
//! The first groups are the published names of the V2 API, to be used wherever one fits; the last
//! group is ours, for what has no published name.

/// Items were listed.
pub const LIST_ITEMS: &str = "list_items";
/// The metadata of an item was read.
pub const GET_ITEM: &str = "get_item";
/// An item was created.
pub const CREATE_ITEM: &str = "create_item";
/// The metadata or the value of an item changed.
pub const UPDATE_ITEM: &str = "update_item";
/// An item or a version of it was deleted.
pub const DELETE_ITEM: &str = "delete_item";
/// Several items were deleted.
pub const DELETE_ITEMS: &str = "delete_items";
/// The state of an item or of a version changed.
pub const SET_ITEM_STATE: &str = "set_item_state";
/// A secret value was read.
pub const GET_SECRET_VALUE: &str = "get_secret_value";
/// The credentials of a rotated secret were read.
pub const GET_ROTATED_SECRET_VALUE: &str = "get_rotated_secret_value";
/// A temporary credential of a dynamic secret was asked for.
pub const GET_DYNAMIC_SECRET_VALUE: &str = "get_dynamic_secret_value";
/// The settings of a dynamic secret were read.
pub const GET_DYNAMIC_SECRET_DETAILS: &str = "get_dynamic_secret_details";
/// The means to derive an item's key were handed out, such as for encryption with a key.
pub const GET_ITEM_DERIVATION_CREDS: &str = "get_item_derivation_creds";
/// A key got a further version, or somebody had the credentials of a rotated secret changed.
pub const ROTATE_ITEM: &str = "rotate_item";
/// A folder was moved with everything in it.
pub const MOVE_OBJECTS: &str = "move_objects";

/// A role was created.
pub const CREATE_ROLE: &str = "create_role";
/// A role was read.
pub const GET_ROLE: &str = "get_role";
/// A role or one of its rules changed.
pub const UPDATE_ROLE: &str = "update_role";
/// A role was deleted.
pub const DELETE_ROLE: &str = "delete_role";
/// Several roles were deleted.
pub const DELETE_ROLES: &str = "delete_roles";
/// Roles were listed.
pub const LIST_ROLES: &str = "list_roles";

/// An auth method was created.
pub const CREATE_AUTH_METHOD: &str = "create_auth_method";
/// An auth method was read.
pub const GET_AUTH_METHOD: &str = "get_auth_method";
/// Auth methods were listed.
pub const LIST_AUTH_METHODS: &str = "list_auth_methods";
/// An auth method was deleted.
pub const DELETE_AUTH_METHOD: &str = "delete_auth_method";
/// Several auth methods were deleted.
pub const DELETE_AUTH_METHODS: &str = "delete_auth_methods";
/// A role was associated with an auth method.
pub const CREATE_ASSOC: &str = "create_assoc_role_auth_method";
/// An association was deleted.
pub const DELETE_ASSOC: &str = "delete_assoc_role_auth_method";

/// The version settings of the account changed.
pub const UPDATE_VERSION_SETTINGS: &str = "update_object_version_settings_for_account";

/// Ours: a login, successful or not.
pub const AUTHENTICATE: &str = "authenticate";
/// Ours: so many wrong logins in a row that no more are tried for some time.
pub const LOGIN_LOCKED: &str = "login_locked";
/// Ours: further logins that were refused within a minute, with their number.
pub const LOGINS_REFUSED: &str = "logins_refused";
/// Ours: the account's owner signed in, beside the record of the login.
pub const OWNER_SIGN_IN: &str = "owner_sign_in";
/// Ours: a person got the seed of a second factor.
pub const ENROLL_SECOND_FACTOR: &str = "enroll_second_factor";
/// Ours: a second factor was put in force.
pub const CONFIRM_SECOND_FACTOR: &str = "confirm_second_factor";
/// Ours: a second factor was taken away.
pub const REMOVE_SECOND_FACTOR: &str = "remove_second_factor";
/// Ours: the account got another owner.
pub const TRANSFER_OWNERSHIP: &str = "transfer_ownership";
/// Ours: the owner was sealed.
pub const SEAL_OWNER: &str = "seal_owner";
/// Ours: the owner's seal was opened.
pub const UNSEAL_OWNER: &str = "unseal_owner";
/// Ours: a token was checked.
pub const VALIDATE_TOKEN: &str = "validate_token";
/// Ours: a webhook asked whether it was called by a gateway.
pub const VALIDATE_PRODUCER_CREDENTIALS: &str = "validate_producer_credentials";
/// Ours: a token was revoked.
pub const REVOKE_TOKEN: &str = "revoke_token";
/// Ours: the claims on a token were read.
pub const DESCRIBE_SUB_CLAIMS: &str = "describe_sub_claims";
/// Ours: a password was changed.
pub const CHANGE_PASSWORD: &str = "change_password";
/// Ours: an auth method changed.
pub const UPDATE_AUTH_METHOD: &str = "update_auth_method";
/// Ours: an access key was replaced.
pub const RESET_ACCESS_KEY: &str = "reset_access_key";
/// Ours: an association changed.
pub const UPDATE_ASSOC: &str = "update_assoc_role_auth_method";
/// Ours: an association was read.
pub const GET_ASSOC: &str = "get_assoc_role_auth_method";
/// Ours: permissions on a path were asked for.
pub const DESCRIBE_PERMISSIONS: &str = "describe_permissions";
/// Ours: somebody asked who may do what on a path.
pub const REVERSE_RBAC: &str = "reverse_rbac";
/// Ours: a group was created.
pub const CREATE_GROUP: &str = "create_group";
/// Ours: a group changed.
pub const UPDATE_GROUP: &str = "update_group";
/// Ours: a group was read.
pub const GET_GROUP: &str = "get_group";
/// Ours: groups were listed.
pub const LIST_GROUPS: &str = "list_groups";
/// Ours: a group was deleted.
pub const DELETE_GROUP: &str = "delete_group";
/// Ours: somebody asked why they or somebody else may do something or not.
pub const EXPLAIN_ACCESS: &str = "explain_access";
/// Ours: somebody had the account judged by the advisor.
pub const ADVISE: &str = "advise";
/// Ours: the account was read.
pub const GET_ACCOUNT_SETTINGS: &str = "get_account_settings";
/// Ours: the account changed.
pub const UPDATE_ACCOUNT_SETTINGS: &str = "update_account_settings";
/// Ours: an item was locked.
pub const LOCK_ITEM: &str = "lock_item";
/// Ours: an item was unlocked.
pub const UNLOCK_ITEM: &str = "unlock_item";
/// Ours: an item was associated with a target.
pub const CREATE_TARGET_ASSOC: &str = "create_assoc_target_item";
/// Ours: such an association was deleted.
pub const DELETE_TARGET_ASSOC: &str = "delete_assoc_target_item";
/// Ours: a folder was created.
pub const CREATE_FOLDER: &str = "create_folder";
/// Ours: a folder was read.
pub const GET_FOLDER: &str = "get_folder";
/// Ours: a folder changed.
pub const UPDATE_FOLDER: &str = "update_folder";
/// Ours: a folder was deleted.
pub const DELETE_FOLDER: &str = "delete_folder";
/// Ours: messages were encrypted with a key.
pub const ENCRYPT: &str = "encrypt";
/// Ours: messages were decrypted with a key.
pub const DECRYPT: &str = "decrypt";
/// Ours: values were wrapped anew by a newer version of their key.
pub const REWRAP_VALUES: &str = "rewrap_values";
/// Ours: a request was refused before it was known what it asks for.
pub const REFUSED_REQUEST: &str = "refused_request";
/// Ours: a gateway found out that fragment managers give wrong values.
pub const ALERT_MANAGERS: &str = "alert_fragment_managers";
/// Ours: a value that was written while a fragment manager was missing was confirmed.
pub const CONFIRM_VALUE: &str = "confirm_value";
/// Ours: the audit log was searched.
pub const SEARCH_AUDIT: &str = "search_audit";
/// Ours: audit records were exported.
pub const EXPORT_AUDIT: &str = "export_audit";
/// Ours: a gateway read audit records to forward them.
pub const FORWARD_AUDIT: &str = "forward_audit";
/// Ours: the signed head of the audit chain was read.
pub const CHECKPOINT_AUDIT: &str = "checkpoint_audit";
/// Ours: sums over the audit log and the account's objects were read.
pub const GET_ANALYTICS: &str = "get_analytics";
/// Ours: somebody asked what was not used for a while.
pub const LIST_UNUSED: &str = "list_unused";
/// Ours: a universal-identity tree got its root.
pub const UID_GENERATE_TOKEN: &str = "uid_generate_token";
/// Ours: a universal-identity token got a new value.
pub const UID_ROTATE_TOKEN: &str = "uid_rotate_token";
/// Ours: the new value of a rotation was acknowledged.
pub const UID_ACKNOWLEDGE_TOKEN: &str = "uid_acknowledge_token";
/// Ours: a universal-identity token got a child.
pub const UID_CREATE_CHILD_TOKEN: &str = "uid_create_child_token";
/// Ours: a universal-identity token was revoked.
pub const UID_REVOKE_TOKEN: &str = "uid_revoke_token";
/// Ours: a universal-identity tree was listed.
pub const UID_LIST_CHILDREN: &str = "uid_list_children";
/// Ours, an event: a value that another one had replaced was presented; its branch was revoked.
pub const UID_TOKEN_REUSE: &str = "uid-token-reuse";
/// Ours, an event: a part of the life of a universal-identity token has passed without rotation.
pub const UID_TOKEN_EXPIRING: &str = "uid-token-expiring";
/// Ours: a gateway joined a cluster.
pub const REGISTER_GATEWAY: &str = "register_gateway";
/// Ours: a gateway read the configuration of its cluster, which control cannot read.
pub const GET_GATEWAY_CONFIG: &str = "get_gateway_config";
/// Ours: a gateway changed the configuration of its cluster.
pub const UPDATE_GATEWAY_CONFIG: &str = "update_gateway_config";
/// Ours: somebody was allowed to configure a cluster of gateways.
pub const CREATE_GATEWAY_ACCESS: &str = "create_gateway_access";
/// Ours: what somebody may configure of a cluster of gateways changed.
pub const UPDATE_GATEWAY_ACCESS: &str = "update_gateway_access";
/// Ours: what somebody may configure of a cluster of gateways was read.
pub const GET_GATEWAY_ACCESS: &str = "get_gateway_access";
/// Ours: somebody may not configure a cluster of gateways any more.
pub const DELETE_GATEWAY_ACCESS: &str = "delete_gateway_access";
/// Ours: the clusters of gateways were listed.
pub const LIST_GATEWAYS: &str = "list_gateways";
/// Ours: a cluster of gateways was deleted.
pub const DELETE_GATEWAY_CLUSTER: &str = "delete_gateway_cluster";
/// Ours: the settings of a target were read, its credentials included.
pub const GET_TARGET_DETAILS: &str = "get_target_details";
/// Ours: a target was opened to try out a dynamic secret that uses it.
pub const USE_TARGET: &str = "use_target";
/// Ours: the temporary credentials of a dynamic secret were listed.
pub const LIST_CREDENTIALS: &str = "list_temporary_credentials";
/// Ours: the end of a temporary credential was moved.
pub const EXTEND_CREDENTIAL: &str = "extend_temporary_credential";
/// Ours: somebody had temporary credentials removed, or forgotten.
pub const REVOKE_CREDENTIALS: &str = "revoke_temporary_credentials";
/// Ours: a gateway got what it removes temporary credentials with, because their time was over or
/// somebody asked for that.
pub const TAKE_CREDENTIALS: &str = "take_temporary_credentials";
/// Ours: a temporary credential is gone on its target, or an attempt to remove it failed.
pub const REMOVE_CREDENTIAL: &str = "remove_temporary_credential";
/// An event: a temporary credential could not be removed, and nobody tries any more.
pub const DYNAMIC_SECRET_FAILURE: &str = "dynamic-secret-failure";
/// Ours: the settings of a rotated secret were read.
pub const GET_ROTATED_SECRET_DETAILS: &str = "get_rotated_secret_details";
/// Ours: the credentials of a rotated secret were to be tried out on its target.
pub const CHECK_ROTATED_SECRET: &str = "check_rotated_secret";
/// Ours: somebody got a rotated secret for themselves, for a while.
pub const CHECK_OUT_ITEM: &str = "check_out_item";
/// Ours: a session ended that used the credentials of a rotated secret.
pub const END_SESSION: &str = "end_rotated_secret_session";
/// Ours: a gateway got what it changes the credentials of a rotated secret with.
pub const TAKE_ROTATION: &str = "take_rotation";
/// Ours: an attempt to change the credentials of a rotated secret came to an end.
pub const ROTATE_CREDENTIALS: &str = "rotate_credentials";
/// An event: the credentials of a rotated secret changed by themselves.
pub const ROTATED_SECRET_SUCCESS: &str = "rotated-secret-success";
/// An event: the credentials of a rotated secret did not change when they should have.
pub const ROTATED_SECRET_FAILURE: &str = "rotated-secret-failure";
/// An event: credentials will change by themselves in some days.
pub const NEXT_AUTOMATIC_ROTATION: &str = "next-automatic-rotation";
