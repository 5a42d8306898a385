//! How often addresses are asked, and how long what they said counts.

use keysherd_base::{FaultKind, ManualClock};

use super::*;
use crate::web::tests::{Provider, open};

fn number(_: &str, bytes: &[u8]) -> Result<u32, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

struct Scene {
    provider: Provider,
    clock: Arc<ManualClock>,
    fetched: Arc<Fetched<u32>>,
}

impl Scene {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let fetched = Arc::new(Fetched::new(open(), clock.clone(), number));
        let scene = Self { provider: Provider::new(), clock, fetched };
        scene.answers(200, "1");
        scene
    }

    fn url(&self) -> String {
        format!("{}/number", self.provider.url)
    }

    fn answers(&self, status: u16, text: &str) {
        self.provider.answer("/number", status, text);
    }

    fn asked(&self) -> usize {
        self.provider.asked("/number")
    }

    async fn get(&self) -> Result<u32, FaultKind> {
        self.unless(None).await.map(|known| *known).map_err(|fault| fault.kind())
    }

    async fn unless(&self, unfit: Option<&Arc<u32>>) -> Result<Arc<u32>, Fault> {
        self.fetched.get(&self.url(), unfit).await
    }
}

#[tokio::test]
async fn what_is_fresh_is_not_asked_again_and_what_is_old_is() {
    let scene = Scene::new();
    assert_eq!(scene.get().await, Ok(1));
    scene.answers(200, "2");
    scene.clock.advance_seconds(FRESH_SECONDS - 1);
    assert_eq!((scene.get().await, scene.asked()), (Ok(1), 1));
    scene.clock.advance_seconds(1);
    assert_eq!((scene.get().await, scene.asked()), (Ok(2), 2));
}

#[tokio::test]
async fn what_does_not_fit_is_asked_for_again_but_not_often() {
    let scene = Scene::new();
    let first = scene.unless(None).await.unwrap();
    scene.answers(200, "2");
    for _ in 0..50 {
        assert_eq!(*scene.unless(Some(&first)).await.unwrap(), 1);
    }
    assert_eq!(scene.asked(), 1);
    scene.clock.advance_seconds(RETRY_SECONDS);
    let second = scene.unless(Some(&first)).await.unwrap();
    assert_eq!((*second, scene.asked()), (2, 2));
    // Whoever still holds the first one gets the second without asking.
    assert_eq!(*scene.unless(Some(&first)).await.unwrap(), 2);
    assert_eq!(scene.asked(), 2);
}

#[tokio::test]
async fn a_failure_is_remembered_and_old_answers_count_for_an_hour() {
    let scene = Scene::new();
    scene.answers(500, "");
    for _ in 0..50 {
        assert_eq!(scene.get().await, Err(FaultKind::Unavailable));
    }
    assert_eq!(scene.asked(), 1);
    scene.answers(200, "1");
    scene.clock.advance_seconds(RETRY_SECONDS);
    assert_eq!(scene.get().await, Ok(1));
    scene.answers(200, "nonsense");
    scene.clock.advance_seconds(FRESH_SECONDS);
    for _ in 0..50 {
        assert_eq!(scene.get().await, Ok(1));
    }
    assert_eq!(scene.asked(), 3);
    scene.clock.advance_seconds(STALE_SECONDS - FRESH_SECONDS - 1);
    assert_eq!(scene.get().await, Ok(1));
    scene.clock.advance_seconds(1);
    assert_eq!(scene.get().await, Err(FaultKind::Unavailable));
}

#[tokio::test]
async fn many_at_once_are_one_request() {
    let scene = Scene::new();
    let wishes: Vec<_> = (0..100)
        .map(|_| {
            let (fetched, url) = (scene.fetched.clone(), scene.url());
            tokio::spawn(async move { fetched.get(&url, None).await.map(|known| *known) })
        })
        .collect();
    for wish in wishes {
        assert_eq!(wish.await.unwrap().unwrap(), 1);
    }
    assert_eq!(scene.asked(), 1);
}

#[tokio::test]
async fn addresses_are_bounded() {
    let scene = Scene::new();
    for n in 0..=ADDRESSES_MAX {
        scene.clock.advance_seconds(1);
        scene.fetched.place(&format!("https://h/{n}"));
    }
    let places = scene.fetched.places.lock().unwrap();
    assert_eq!(places.len(), ADDRESSES_MAX);
    assert!(!places.contains_key("https://h/0") && places.contains_key("https://h/1"));
}
