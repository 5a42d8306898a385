//! A control plane that would have values written without their customer fragment.

use keysherd_base::{Fault, Secret, Uid};
use keysherd_fragments::encoding::Encoding as _;
use keysherd_fragments::fragment_file::{FragmentEntry, FragmentFile, FragmentKind, id_text};
use keysherd_fragments::manifest::{Manifest, SignedManifest};
use keysherd_plane::grants::{Granted, KeyRef};
use keysherd_plane::{ItemReply, KeyReply, KeyRequest, Reply, Request};
use keysherd_testkit::{FRAGMENT, Rig, Settings};
use serde_json::json;

/// A deployment whose gateway holds the fragment, with a key that is bound to it and a secret.
async fn bound() -> Rig {
    let rig = Rig::new(Settings::default()).await;
    let entry = FragmentEntry {
        id: FRAGMENT,
        name: "north".to_owned(),
        description: String::new(),
        kind: FragmentKind::Standard,
        value: Secret::new([0x5a; 32]),
        backup_verified_at: None,
    };
    rig.fragments.replace(FragmentFile { entries: vec![entry], problems: Vec::new() });
    let key = json!({"name": "/key", "alg": "AES256GCM", "customer-frg-id": id_text(&FRAGMENT)});
    rig.call("create-dfc-key", key).await.expect("a key");
    let secret = json!({"name": "/bound", "value": "v", "protection_key": "/key"});
    rig.call("create-secret", secret).await.expect("a secret");
    rig
}

async fn write(rig: &Rig) -> Result<(), Fault> {
    let args = json!({"name": "/bound", "value": "new"});
    rig.call("update-secret-val", args).await.map(|_| ())
}

async fn read(rig: &Rig) -> Result<String, Fault> {
    let values = rig.call("get-secret-value", json!({"names": ["/bound"]})).await?;
    Ok(values["/bound"].as_str().expect("a value").to_owned())
}

/// Changes every key that control grants something under.
fn change_keys(rig: &Rig, change: impl Fn(&mut KeyRef) + Send + 'static) {
    rig.plane.tamper(move |_, reply| {
        let Reply::Items(ItemReply::Grant(reply)) = reply else { return };
        for granted in reply.outcomes.iter_mut().flatten() {
            match &mut granted.granted {
                Granted::Write { key, .. } | Granted::Transit { key, .. } => change(key),
                Granted::SealedKey { key, .. } => change(key),
                Granted::Read(items) => {
                    for item in items {
                        let mut changed = (**item).clone();
                        changed.versions.iter_mut().for_each(|version| change(&mut version.key));
                        *item = changed.into();
                    }
                }
            }
        }
    });
}

#[tokio::test]
async fn t_cf_downgrade_refused() {
    let mut rig = bound().await;
    for fragment in [None, Some(Uid([7; 16]))] {
        change_keys(&rig, move |key| key.customer_fragment = fragment);
        let before = rig.derivations();
        let refused = write(&rig).await.unwrap_err();
        assert_eq!(refused.code(), "CustomerFragmentBinding", "{refused}");
        let sealed = json!({"key-name": "/key", "plaintext": "p"});
        let refused = rig.call("encrypt", sealed).await.unwrap_err();
        assert_eq!(refused.code(), "CustomerFragmentBinding", "{refused}");
        // What is stored is wrapped with its fragment; control cannot say otherwise.
        read(&rig).await.unwrap_err();
        assert_eq!(rig.derivations(), before, "no manager was asked");
    }
    // A manifest from which the fragment was taken out is not the one the managers signed.
    rig.plane.tamper(|request, reply| {
        if let (
            Request::Keys(KeyRequest::ManifestGet(_)),
            Reply::Keys(KeyReply::ManifestGet(reply)),
        ) = (request, reply)
        {
            let mut signed = SignedManifest::from_bytes(&reply.manifest).expect("a manifest");
            let mut manifest = Manifest::from_bytes(&signed.body).expect("a manifest");
            manifest.fragment = Uid::default();
            manifest.fragment_check = [0; 16];
            signed.body = manifest.to_bytes();
            reply.manifest = signed.to_bytes().into();
        }
    });
    rig.restart_gateway();
    let refused = write(&rig).await.unwrap_err();
    let why = refused.private().unwrap_or_default();
    assert!(why.contains("its manifest is not trusted"), "{refused:?}");
    // Nothing of that changed anything, and without it everything works.
    rig.plane.be_honest();
    assert_eq!(read(&rig).await.unwrap(), "v");
    write(&rig).await.unwrap();
    assert_eq!(read(&rig).await.unwrap(), "new");
}

/// Control may still choose a key without a fragment, unless the owner's bundle forbids it.
#[tokio::test]
async fn t_cf_downgrade_refused_control() {
    let mut rig = bound().await;
    let plain = |name: &str| json!({"name": name, "value": "v"});
    rig.call("create-secret", plain("/allowed")).await.expect("the group allows it");
    rig.change_bundle(|bundle| bundle.groups[0].fragment_required = true).await;
    let before = rig.derivations();
    let refused = rig.call("create-secret", plain("/refused")).await.unwrap_err();
    assert_eq!(refused.code(), "CustomerFragmentRequired", "{refused}");
    let key = json!({"name": "/plain-key", "alg": "AES256GCM"});
    let refused = rig.call("create-dfc-key", key).await.unwrap_err();
    assert_eq!(refused.code(), "CustomerFragmentRequired", "{refused}");
    assert_eq!(rig.derivations(), before, "no manager was asked");
    write(&rig).await.expect("a key with a fragment is what the owner demands");
}

#[tokio::test]
async fn a_wrong_value_under_the_right_id_writes_nothing() {
    let rig = bound().await;
    let entry = FragmentEntry {
        id: FRAGMENT,
        name: String::new(),
        description: String::new(),
        kind: FragmentKind::Standard,
        value: Secret::new([0x5b; 32]),
        backup_verified_at: None,
    };
    rig.fragments.replace(FragmentFile { entries: vec![entry], problems: Vec::new() });
    let before = rig.derivations();
    for refused in [write(&rig).await.unwrap_err(), read(&rig).await.unwrap_err()] {
        assert_eq!(refused.code(), "CustomerFragmentWrong", "{refused}");
    }
    assert_eq!(rig.derivations(), before, "no manager was asked");
}

/// Requests of one moment share one grant and one derivation. Those that lack their fragment fail
/// alone.
#[tokio::test]
async fn a_missing_fragment_fails_nobody_else_in_its_batch() {
    let rig = bound().await;
    rig.call("create-secret", json!({"name": "/plain", "value": "p"})).await.unwrap();
    rig.fragments.replace(FragmentFile::default());
    let plain = async {
        let values = rig.call("get-secret-value", json!({"names": ["/plain"]})).await?;
        Ok::<_, Fault>(values["/plain"].as_str().expect("a value").to_owned())
    };
    let write = rig.call("create-secret", json!({"name": "/other", "value": "o"}));
    let (first, opened, second, written) = tokio::join!(read(&rig), plain, read(&rig), write);
    for refused in [first, second] {
        assert_eq!(refused.unwrap_err().code(), "CustomerFragmentMissing");
    }
    assert_eq!(opened.unwrap(), "p");
    written.unwrap();
    // One call for both names is refused as a whole, and says which fragment it is.
    let both = json!({"names": ["/plain", "/bound"]});
    let refused = rig.call("get-secret-value", both).await.unwrap_err();
    assert!(refused.public().contains(&id_text(&FRAGMENT)), "{refused}");
}
