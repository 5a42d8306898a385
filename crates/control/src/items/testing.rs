//! What tests of items, keys and grants share: a gateway's part, played with made-up keys, and
//! short ways to ask.

use std::sync::Arc;

use keysherd_base::{Fault, Secret, Uid};
use keysherd_crypto::envelope::{Header, Kek, NewWrap, SealOptions, WrapKind, WrapParams, seal};
use keysherd_crypto::permit::Class;
use keysherd_crypto::random::SystemRng;
use keysherd_domain::account::AccountSettings;
use keysherd_domain::item::{Item, KeyAlgorithm, SecretKind, ValueFormat};
use keysherd_domain::role::{Rule, RuleKind};
use keysherd_plane::accounts::{AccountGet, AccountUpdate};
use keysherd_plane::grants::{
    Grant, GrantReply, Granted, GrantedItem, ItemRef, Keeping, KeyRef, SignedPermit, VersionWish,
    Wish, WriteTarget,
};
use keysherd_plane::items::{
    ItemList, ItemListReply, Made, SealedValue, SecretCreate, SecretCreateReply, ValuePut,
};
use keysherd_plane::keys::{KeyBegin, KeyCreate};

use crate::testing::{World, item, rule};

/// An envelope as a gateway makes it, under a key that nobody derived.
pub(crate) fn envelope(
    world: &World,
    uid: Uid,
    version: u32,
    class: Class,
    key: &KeyRef,
    salt: [u8; 32],
) -> Arc<[u8]> {
    let header = Header {
        account: world.first.id.0.0,
        item_id: uid.0,
        item_version: u64::from(version),
        class: class.number(),
        type_: 1,
    };
    let params = WrapParams {
        kind: WrapKind::Fragments,
        key_id: key.key_id.0,
        key_version: key.version,
        cf_id: key.customer_fragment.unwrap_or_default().0,
        salt,
    };
    let kek = Kek { kek: Secret::new([9; 32]), com: [8; 32] };
    let wraps = [NewWrap { params, kek: &kek }];
    seal(&header, &wraps, b"value", &SystemRng, SealOptions::default()).unwrap().into()
}

/// A salt that was not used before.
pub(crate) fn fresh_salt() -> [u8; 32] {
    let half = || Uid::random(&SystemRng).unwrap().0;
    [half(), half()].concat().try_into().unwrap()
}

/// Item rules in the form `"/team/* read,list"`.
pub(crate) fn rules(texts: &[&str]) -> Vec<Rule> {
    let parse = |text: &&str| {
        let (path, capabilities) = text.rsplit_once(' ').unwrap();
        rule(RuleKind::Item, path, capabilities)
    };
    texts.iter().map(parse).collect()
}

/// The message that records a secret with nothing special about it.
pub(crate) fn secret(path: &str) -> SecretCreate {
    SecretCreate {
        path: item(path),
        made: Made::Static,
        uid: Uid::random(&SystemRng).unwrap(),
        secret_kind: SecretKind::Generic,
        format: ValueFormat::Text,
        description: String::new(),
        tags: Vec::new(),
        protection_key: None,
        cluster_key: None,
        max_versions: None,
        delete_protection: None,
        websites: Vec::new(),
        custom_fields: Default::default(),
        change_event: false,
        value: SealedValue {
            ciphertext: Arc::default(),
            key: KeyRef { key_id: Uid([0; 16]), version: 0, customer_fragment: None },
            unconfirmed: false,
            name_tag: None,
        },
    }
}

/// What a write was granted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) uid: Uid,
    pub(crate) version: u32,
    pub(crate) overwrite: bool,
    pub(crate) key: KeyRef,
    pub(crate) salt: [u8; 32],
}

impl World {
    /// One wish, as a message of its own.
    pub(crate) async fn wish(
        &self,
        token: &str,
        wish: Wish,
        with_permit: bool,
    ) -> (Result<Granted, Fault>, Vec<SignedPermit>) {
        let reply = self.wishes(vec![(token, wish)], with_permit).await;
        let outcome = reply.outcomes.into_iter().next().unwrap();
        (outcome.map(|to| to.granted), reply.permits)
    }

    /// Several wishes in one message.
    pub(crate) async fn wishes(&self, wishes: Vec<(&str, Wish)>, with_permit: bool) -> GrantReply {
        let wishes = wishes.into_iter().map(|(token, wish)| (self.caller(token), wish)).collect();
        self.ask("", Grant { wishes, with_permit, keep: Keeping::No }).await.unwrap()
    }

    /// Reads one item without a permit.
    pub(crate) async fn read(
        &self,
        token: &str,
        path: &str,
        version: VersionWish,
    ) -> Result<Arc<GrantedItem>, Fault> {
        let items = vec![ItemRef::Path(item(path))];
        match self.wish(token, Wish::Read { items, version }, false).await.0? {
            Granted::Read(mut items) => Ok(items.remove(0)),
            other => panic!("{other:?}"),
        }
    }

    /// The newest version's number, as a read gives it.
    pub(crate) async fn newest(&self, token: &str, path: &str) -> Result<u32, Fault> {
        Ok(self.read(token, path, VersionWish::Latest).await?.versions[0].version)
    }

    /// A granted write.
    pub(crate) async fn place(&self, token: &str, target: WriteTarget) -> Result<Place, Fault> {
        let salt = fresh_salt();
        match self.wish(token, Wish::Write { target, salt }, true).await.0? {
            Granted::Write { uid, version, overwrite, key, .. } => {
                Ok(Place { uid, version, overwrite, key, salt })
            }
            other => panic!("{other:?}"),
        }
    }

    /// A value sealed for a granted write.
    pub(crate) fn seal(&self, place: &Place, class: Class) -> SealedValue {
        let Place { uid, version, key, salt, .. } = place;
        let ciphertext = envelope(self, *uid, *version, class, key, *salt);
        SealedValue { ciphertext, key: *key, unconfirmed: false, name_tag: None }
    }

    /// Creates a secret as `create-secret` does.
    pub(crate) async fn create(
        &self,
        token: &str,
        mut message: SecretCreate,
    ) -> Result<SecretCreateReply, Fault> {
        let target = WriteTarget::NewSecret {
            path: message.path.clone(),
            uid: message.uid,
            protection_key: message.protection_key.clone(),
            cluster_key: message.cluster_key,
        };
        let place = self.place(token, target).await?;
        message.value = self.seal(&place, Class::SecretItem);
        self.ask(token, message).await
    }

    /// Creates plain secrets as the administrator.
    pub(crate) async fn secrets(&self, paths: &[&str]) {
        for path in paths {
            self.create(&self.admin, secret(path)).await.unwrap();
        }
    }

    /// Writes a new value as `update-secret-val` does.
    pub(crate) async fn put(
        &self,
        token: &str,
        path: &str,
        keep_previous: Option<bool>,
    ) -> Result<Item, Fault> {
        let place = self.place(token, new_value(path, keep_previous, None)).await?;
        self.record(token, path, &place).await
    }

    /// Records a value for a granted write.
    pub(crate) async fn record(
        &self,
        token: &str,
        path: &str,
        place: &Place,
    ) -> Result<Item, Fault> {
        self.record_as(token, path, place, None).await
    }

    /// The same, of what is not a static secret.
    pub(crate) async fn record_as(
        &self,
        token: &str,
        path: &str,
        place: &Place,
        made: Option<Made>,
    ) -> Result<Item, Fault> {
        self.record_moved(token, path, place, (made, false)).await
    }

    /// The same, of what may be somewhere else from now on.
    pub(crate) async fn record_moved(
        &self,
        token: &str,
        path: &str,
        place: &Place,
        (made, moved): (Option<Made>, bool),
    ) -> Result<Item, Fault> {
        let put = ValuePut {
            path: item(path),
            made,
            moved,
            version: place.version,
            uid: place.uid,
            overwrite: place.overwrite,
            format: None,
            websites: None,
            value: self.seal(place, Class::SecretItem),
        };
        Ok(self.ask(token, put).await?.item)
    }

    /// Makes a key as `create-dfc-key` does.
    pub(crate) async fn key(
        &self,
        token: &str,
        path: &str,
        algorithm: KeyAlgorithm,
    ) -> Result<Item, Fault> {
        let create = self.begun_key(token, path, algorithm).await?;
        Ok(self.ask(token, create).await?.item)
    }

    /// A key that is ready to be recorded.
    pub(crate) async fn begun_key(
        &self,
        token: &str,
        path: &str,
        algorithm: KeyAlgorithm,
    ) -> Result<KeyCreate, Fault> {
        let begin = KeyBegin {
            description: String::new(),
            tags: Vec::new(),
            path: item(path),
            algorithm,
            managers: 3,
            customer_fragment: None,
            self_test_salt: [3; 32],
        };
        let begun = self.ask(token, begin).await?;
        let sealed = if crate::keys::has_fixed_material(algorithm) {
            let target = WriteTarget::NewSealedKey {
                path: item(path),
                key_id: begun.key_id,
                customer_fragment: None,
            };
            let place = self.place(token, target).await?;
            Some(self.seal(&place, Class::SealedKey).ciphertext)
        } else {
            None
        };
        Ok(KeyCreate {
            path: item(path),
            algorithm,
            key_id: begun.key_id,
            manifest: b"signed manifest".as_slice().into(),
            managers: 3,
            threshold: 2,
            customer_fragment: None,
            description: String::new(),
            tags: Vec::new(),
            delete_protection: None,
            sealed,
        })
    }

    /// Changes the account's settings.
    pub(crate) async fn settings(
        &self,
        default_key: Option<Option<&str>>,
        change: impl FnOnce(&mut AccountSettings),
    ) {
        let expected = self.ask(&self.admin, AccountGet).await.unwrap().account.settings;
        let mut settings = expected.clone();
        change(&mut settings);
        let default_key = default_key.map(|path| path.map(str::to_owned));
        let update = AccountUpdate { expected, settings, default_key };
        self.ask(&self.admin, update).await.unwrap();
    }

    /// A listing.
    pub(crate) async fn list(&self, token: &str, list: ItemList) -> ItemListReply {
        self.ask(token, list).await.unwrap()
    }
}

/// The wish to write a new value.
pub(crate) fn new_value(
    path: &str,
    keep_previous: Option<bool>,
    expected_version: Option<u32>,
) -> WriteTarget {
    WriteTarget::NewValue {
        path: item(path),
        protection_key: None,
        keep_previous,
        expected_version,
    }
}

/// The newest version.
pub(crate) fn latest() -> VersionWish {
    VersionWish::Latest
}

/// A listing of everything.
pub(crate) fn everything() -> ItemList {
    ItemList {
        folder: None,
        filter: None,
        kinds: Vec::new(),
        secret_kinds: Vec::new(),
        tag: None,
        modified_after: None,
        after: None,
        limit: None,
    }
}
