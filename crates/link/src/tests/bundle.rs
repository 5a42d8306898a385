//! The newest bundle, for whoever does not have it.

use std::sync::{Arc, Mutex};

use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::Signed;

use crate::tests::rig::{Served, channel, identity, keys_of};
use crate::{BundleService, BundleShelf, Limits, Services, Serving, bundle, routes};

#[derive(Default)]
struct Shelf(Mutex<Option<(u64, SignedBundle)>>);

impl BundleShelf for Shelf {
    fn newer_than(&self, known: u64) -> Option<SignedBundle> {
        let newest = self.0.lock().unwrap();
        newest.as_ref().filter(|(version, _)| *version > known).map(|(_, signed)| signed.clone())
    }
}

#[tokio::test]
async fn only_a_newer_bundle_is_handed_out() {
    let (control, client) = (identity("control"), identity("gateway"));
    let shelf = Arc::new(Shelf::default());
    let services =
        Services::new().with(routes::BUNDLE, Arc::new(BundleService::new(shelf.clone())));
    let serving = Serving::new(control.clone(), keys_of([&client]), services);
    let served = Served::start(serving, Limits::default()).await;
    let channel = channel(&client, &control, served.address);
    assert_eq!(bundle::fetch(&channel, 0).await.unwrap(), None);

    let owner = SigningKey::generate(&SystemRng).unwrap();
    let Signed { body, signature } =
        Signed::seal(&owner, "KSF1-sig/bundle", b"of any content".to_vec());
    let signed = SignedBundle { body, signature, successions: Vec::new() };
    *shelf.0.lock().unwrap() = Some((7, signed.clone()));
    assert_eq!(bundle::fetch(&channel, 6).await.unwrap(), Some(signed));
    assert_eq!(bundle::fetch(&channel, 7).await.unwrap(), None);
}
