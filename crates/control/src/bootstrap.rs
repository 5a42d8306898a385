//! Making an account: its owner, its admin role and the access key of its first administrator.

use std::sync::Arc;

use keysherd_audit::Draft;
use keysherd_base::{AccessId, AccountId, AssocId, Fault, ItemPath, KeyId, Timestamp, Uid};
use keysherd_domain::account::{Account, AccountSettings};
use keysherd_domain::auth_method::{AuthMethod, MethodDetail, MethodShared, SecondFactor};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::item::ItemState;
use keysherd_domain::role::{Assoc, Role};
use keysherd_plane::auth::NewPassword;
use keysherd_store::keys::ProtectionKey;
use keysherd_store::{Tx, accounts, assocs, auth_methods, keys, roles};

use crate::control::Control;
use crate::credential::{check_password, check_public_key, checked_email};

/// The account's original protection key, which the managers have made before.
#[derive(Clone, Debug)]
pub struct OriginalKey {
    /// Its identity.
    pub key_id: KeyId,
    /// The key group fixed in its manifest.
    pub group: String,
    /// Manifest and signatures, opaque to control.
    pub manifest: Arc<[u8]>,
    /// Number of managers.
    pub managers: u8,
    /// How many are needed.
    pub threshold: u8,
    /// The customer fragment it is bound to.
    pub customer_fragment: Option<Uid>,
}

/// What an account is made of.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its id, drawn at random: the manifest of the original key names it.
    pub account: AccountId,
    /// The owner's e-mail address.
    pub owner_email: String,
    /// The verifier of the owner's password.
    pub owner_password: NewPassword,
    /// The verifier of the first administrator's access key.
    pub admin_public_key: [u8; 32],
    /// The access id of the first administrator, drawn by the caller: it can then be written down
    /// before the account exists.
    pub admin_access_id: AccessId,
    /// The original protection key.
    pub original_key: OriginalKey,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedAccount {
    /// The account.
    pub account: AccountId,
    /// The owner's access id (method `/owner`).
    pub owner_access_id: AccessId,
    /// The first administrator's access id (method `/cli-admin`).
    pub admin_access_id: AccessId,
}

impl Control {
    /// Whether there is an account at all; if not, this is the first start.
    ///
    /// # Errors
    /// Only when the store is broken.
    pub fn has_accounts(&self) -> Result<bool, Fault> {
        self.store.read(|reader| Ok(!accounts::list(reader)?.is_empty()))
    }

    /// Whether this account exists.
    ///
    /// # Errors
    /// Only when the store is broken.
    pub fn has_account(&self, account: AccountId) -> Result<bool, Fault> {
        self.store.read(|reader| Ok(accounts::get(reader, account)?.is_some()))
    }

    /// Makes an account with its owner (method `/owner`), the role `/admin` and an API-key method
    /// `/cli-admin`, both associated with the role, in one commit. Not reachable through the plane.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for an address or verifier that is not one, [`Fault::conflict`] when
    /// the account or its key exists.
    pub async fn create_account(&self, new: NewAccount) -> Result<CreatedAccount, Fault> {
        let now = self.now();
        check_password(&new.owner_password)?;
        check_public_key(&new.admin_public_key)?;
        let parts = self.parts_of(new, now)?;
        let created = parts.created();
        let account = created.account;
        let command = "create-account".into();
        let request = Uid::random(&*self.rng)?;
        let draft = Draft::new(account, request, command, "create_account", now);
        let plan = Ok(move |tx: &Tx| parts.insert(tx));
        self.change(draft, plan).await?;
        Ok(created)
    }

    fn parts_of(&self, new: NewAccount, now: Timestamp) -> Result<Parts, Fault> {
        let rng = &*self.rng;
        let password = new.owner_password;
        let owner = MethodDetail::Email {
            email: checked_email(&new.owner_email)?,
            public_key: password.public_key,
            salt: password.params.salt,
            memory_kib: password.params.memory_kib,
            iterations: password.params.iterations,
            parallelism: password.params.parallelism,
            password_set: now,
            second_factor: SecondFactor::None,
        };
        let admin = MethodDetail::ApiKey { public_key: new.admin_public_key, key_created: now };
        let method = |path, access_id, detail, description: &str| -> Result<AuthMethod, Fault> {
            Ok(AuthMethod {
                id: 0,
                account: new.account,
                access_id,
                path: ItemPath::parse(path)?,
                shared: MethodShared {
                    description: description.to_owned(),
                    ..MethodShared::default()
                },
                detail,
                generation: 1,
                created: now,
                modified: now,
            })
        };
        Ok(Parts {
            account: Account {
                id: new.account,
                owner_method: 0,
                original_key: new.original_key.key_id,
                settings: AccountSettings { email: new.owner_email, ..AccountSettings::default() },
                created: now,
                owner_sealed: None,
            },
            owner: method("/owner", AccessId::random(rng)?, owner, "The account's owner")?,
            admin: method("/cli-admin", new.admin_access_id, admin, "The first administrator")?,
            role: admin_role(new.account, now)?,
            assoc_ids: [AssocId::random(rng)?, AssocId::random(rng)?],
            key: original(new.account, new.original_key, now),
        })
    }
}

fn admin_role(account: AccountId, now: Timestamp) -> Result<Role, Fault> {
    Ok(Role {
        id: 0,
        account,
        path: ItemPath::parse("/admin")?,
        comment: "Provides full access to the account resources".to_owned(),
        admin: true,
        rules: Vec::new(),
        delete_protection: false,
        created: now,
        modified: now,
    })
}

fn original(account: AccountId, key: OriginalKey, now: Timestamp) -> ProtectionKey {
    ProtectionKey {
        key_id: key.key_id,
        version: 1,
        account,
        state: ItemState::Enabled,
        group: key.group,
        customer_fragment: key.customer_fragment,
        managers: key.managers,
        threshold: key.threshold,
        created: now,
        manifest: key.manifest,
    }
}

/// Everything that is written for a new account.
struct Parts {
    account: Account,
    owner: AuthMethod,
    admin: AuthMethod,
    role: Role,
    assoc_ids: [AssocId; 2],
    key: ProtectionKey,
}

impl Parts {
    fn created(&self) -> CreatedAccount {
        CreatedAccount {
            account: self.account.id,
            owner_access_id: self.owner.access_id.clone(),
            admin_access_id: self.admin.access_id.clone(),
        }
    }

    fn insert(mut self, tx: &Tx) -> Result<(), Fault> {
        let account = self.account.id;
        accounts::insert(tx, &self.account)?;
        keys::insert(tx, &self.key)?;
        let role = roles::insert(tx, &self.role)?;
        let owner = auth_methods::insert(tx, &self.owner)?;
        let admin = auth_methods::insert(tx, &self.admin)?;
        for (id, method) in self.assoc_ids.into_iter().zip([owner, admin]) {
            let created = self.account.created;
            let sub_claims = SubClaims::default();
            let assoc = Assoc { id, role, method, sub_claims, case_sensitive: true, created };
            assocs::insert(tx, account, &assoc)?;
        }
        self.account.owner_method = owner;
        accounts::update(tx, &self.account)?;
        Ok(())
    }
}
