//! Every way in which a fragment cannot be had has its own code, and leaves the others alone.

use std::sync::atomic::{AtomicUsize, Ordering};

use keysherd_crypto::hash::hmac_sha256;
use keysherd_fragments::fragment_file::Problem;

use super::*;

fn entry(number: u8, kind: FragmentKind) -> FragmentEntry {
    FragmentEntry {
        id: Uid([number; 16]),
        name: format!("fragment {number}"),
        description: String::new(),
        kind,
        value: Secret::new([number; 32]),
        backup_verified_at: None,
    }
}

fn file(entries: Vec<FragmentEntry>) -> FragmentFile {
    FragmentFile { entries, problems: Vec::new() }
}

/// A module with one key that counts its calls, and can be taken away.
#[derive(Default)]
struct Module {
    calls: AtomicUsize,
    gone: std::sync::atomic::AtomicBool,
}

impl FragmentModule for Module {
    fn hmac_sha256(&self, key_label: &str, message: &[u8]) -> Result<Secret<[u8; 32]>, String> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if key_label != "known" || self.gone.load(Ordering::SeqCst) {
            return Err("the module does not answer".to_owned());
        }
        Ok(Secret::new(hmac_sha256(&[9; 32], &[message])))
    }
}

async fn code(fragments: &CustomerFragments, number: u8) -> Option<String> {
    let got = fragments.get(&Uid([number; 16])).await;
    got.err().map(|fault| fault.code().to_owned())
}

#[tokio::test]
async fn missing_damaged_and_unreadable_have_their_codes() {
    let fragments = CustomerFragments::new(None);
    assert_eq!(code(&fragments, 1).await.as_deref(), Some(FRAGMENT_MISSING));
    let mut with_problem = file(vec![entry(1, FragmentKind::Standard)]);
    let text = "cut off".to_owned();
    with_problem.problems.push(Problem { id: Some(Uid([2; 16])), text });
    fragments.replace(with_problem);
    assert_eq!(code(&fragments, 1).await, None);
    assert_eq!(code(&fragments, 2).await.as_deref(), Some(FRAGMENT_DAMAGED));
    assert_eq!(code(&fragments, 3).await.as_deref(), Some(FRAGMENT_MISSING));
    assert_eq!(fragments.ids(), [Uid([1; 16])]);
    let shown = fragments.list();
    assert!(shown[0].fingerprint.as_ref().is_some_and(|text| text.starts_with("kf-")));
    assert_eq!(shown[1].problem.as_deref(), Some("cut off"));
    fragments.unreadable("the file is empty".to_owned());
    let fault = fragments.get(&Uid([1; 16])).await.err().unwrap();
    assert_eq!(fault.code(), FRAGMENT_DAMAGED);
    assert!(fault.public().contains("the file is empty"), "{fault}");
}

#[tokio::test]
async fn a_hardware_key_makes_a_wrapped_fragment_once_and_a_secured_one_each_time() {
    let module = Arc::new(Module::default());
    let label = |text: &str| text.to_owned();
    let held = file(vec![
        entry(1, FragmentKind::HsmWrapped { key_label: label("known") }),
        entry(2, FragmentKind::HsmSecured { key_label: label("known") }),
        entry(3, FragmentKind::HsmSecured { key_label: label("unknown") }),
    ]);
    let fragments = CustomerFragments::new(Some(module.clone()));
    fragments.replace(held);
    assert!(fragments.warm().await.is_empty());
    assert_eq!(module.calls.load(Ordering::SeqCst), 1, "a secured one is not made ahead");
    let first = fragments.get(&Uid([1; 16])).await.unwrap().check_value();
    let second = fragments.get(&Uid([2; 16])).await.unwrap().check_value();
    assert_eq!(fragments.get(&Uid([2; 16])).await.unwrap().check_value(), second);
    assert_ne!(first, second);
    assert_eq!(module.calls.load(Ordering::SeqCst), 3);
    assert_eq!(code(&fragments, 3).await.as_deref(), Some(FRAGMENT_UNAVAILABLE));
    module.gone.store(true, Ordering::SeqCst);
    assert_eq!(code(&fragments, 1).await, None, "it is in memory");
    assert_eq!(code(&fragments, 2).await.as_deref(), Some(FRAGMENT_UNAVAILABLE));
    module.gone.store(false, Ordering::SeqCst);
    assert_eq!(code(&fragments, 2).await, None);
    let without = CustomerFragments::new(None);
    without.replace(file(vec![entry(2, FragmentKind::HsmSecured { key_label: label("known") })]));
    assert_eq!(code(&without, 2).await.as_deref(), Some(FRAGMENT_UNAVAILABLE));
}

/// A module that answers when it is let go.
struct Stuck(Mutex<std::sync::mpsc::Receiver<()>>, AtomicUsize);

impl FragmentModule for Stuck {
    fn hmac_sha256(&self, _: &str, _: &[u8]) -> Result<Secret<[u8; 32]>, String> {
        self.1.fetch_add(1, Ordering::SeqCst);
        // It is also let go when the other end is dropped.
        let _let_go = self.0.lock().unwrap().recv();
        Ok(Secret::new([1; 32]))
    }
}

#[tokio::test(start_paused = true)]
async fn a_module_that_hangs_is_left_alone_for_a_while() {
    let (let_go, waits) = std::sync::mpsc::channel();
    let module = Arc::new(Stuck(Mutex::new(waits), AtomicUsize::new(0)));
    let patience = Duration::from_millis(20);
    let fragments = CustomerFragments::with_patience(Some(module.clone()), patience);
    let kind = FragmentKind::HsmSecured { key_label: "known".to_owned() };
    fragments.replace(file(vec![entry(1, kind), entry(2, FragmentKind::Standard)]));
    let id = Uid([1; 16]);
    let (first, ()) = tokio::join!(fragments.get(&id), async {
        while module.1.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        tokio::time::advance(patience * 2).await;
    });
    let rests = [fragments.get(&id).await, fragments.get(&id).await];
    let said = ["does not answer", "did not answer", "did not answer"];
    for (answer, expected) in std::iter::once(first).chain(rests).zip(said) {
        let fault = answer.err().unwrap();
        assert_eq!(fault.code(), FRAGMENT_UNAVAILABLE);
        assert!(fault.public().contains(expected), "{fault}");
    }
    assert_eq!(module.1.load(Ordering::SeqCst), 1, "it was asked once");
    assert_eq!(code(&fragments, 2).await, None, "others need no module");
    drop(let_go);
    tokio::time::advance(patience * MODULE_RESTS).await;
    assert_eq!(code(&fragments, 1).await, None, "it is asked again");
}

#[tokio::test]
async fn a_hardware_fragment_is_neither_its_seed_nor_what_the_module_says() {
    let module: Arc<dyn FragmentModule> = Arc::new(Module::default());
    let fragments = CustomerFragments::new(Some(module));
    let kind = FragmentKind::HsmWrapped { key_label: "known".to_owned() };
    fragments.replace(file(vec![entry(1, kind)]));
    let made = fragments.get(&Uid([1; 16])).await.unwrap().check_value();
    let tag = hmac_sha256(&[9; 32], &[&[1; 32]]);
    for value in [[1; 32], tag] {
        let other = CustomerFragment::new(Uid([1; 16]), &value).unwrap();
        assert_ne!(other.check_value(), made);
    }
}
