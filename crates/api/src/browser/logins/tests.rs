//! What the memory of logins gives out, to whom, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keysherd_base::{Rng, RngFailed};

use super::*;

#[derive(Default)]
struct Counter(AtomicU64);

impl Rng for Counter {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        for chunk in buffer.chunks_mut(8) {
            let number = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
        Ok(())
    }
}

const NOW: Timestamp = Timestamp(1_767_607_872_000);

fn member() -> &'static dyn Method {
    keysherd_authn::all()[0]
}

struct Rig {
    logins: BrowserLogins,
    rng: RngHandle,
}

impl Rig {
    fn new() -> Self {
        let logins = BrowserLogins::default();
        logins.announce("https://gw.example".to_owned());
        Self { logins, rng: Arc::new(Counter::default()) }
    }

    fn begin_from(&self, address: &str, now: Timestamp) -> Result<(Begun, String), Fault> {
        let secrets = Secrets::draw(&self.rng)?;
        let state = secrets.state.clone();
        let begun = self.logins.begin(NewLogin {
            member: member(),
            access_id: AccessId::parse("p-0123456789ab").unwrap(),
            client: Client { address: address.parse().unwrap(), kind: "cli".into() },
            secrets,
            callback: "https://gw.example/login/callback".to_owned(),
            url: "https://idp.example/".to_owned(),
            now,
        })?;
        Ok((begun, state))
    }

    fn begin(&self) -> (Begun, String) {
        self.begin_from("192.0.2.7", NOW).unwrap()
    }

    fn why(&self, state: &str, cookie: Option<&str>) -> &'static str {
        match self.logins.come_back(member(), state, cookie, NOW) {
            Ok(_) => "let in",
            Err(turned) => turned.why,
        }
    }

    async fn collect(&self, token: &str) -> Result<Waited, Fault> {
        self.logins.wait(token, Duration::ZERO, NOW).await
    }
}

fn id(begun: &Begun) -> &str {
    begun.link.strip_prefix("https://gw.example/login/start?login=").unwrap()
}

fn reply() -> LoginReply {
    let access_id = AccessId::parse("p-0123456789ab").unwrap();
    LoginReply { token: "t-1".to_owned(), expires: NOW, access_id }
}

#[tokio::test]
async fn only_the_browser_that_left_comes_back_and_only_once() {
    let rig = Rig::new();
    let (begun, state) = rig.begin();
    assert_eq!(rig.why(&state, Some("c")), "no browser has left");
    let login = rig.logins.ask(id(&begun), "c", "f", NOW).unwrap();
    assert_eq!(rig.why(&state, Some("c")), "no browser has left");
    assert!(rig.logins.leave(id(&begun), "x", "f", NOW).is_err());
    assert!(rig.logins.leave(id(&begun), "c", "x", NOW).is_err());
    rig.logins.leave(id(&begun), "c", "f", NOW).unwrap();
    assert!(rig.logins.leave(id(&begun), "c", "f", NOW).is_err(), "the form counts once");
    assert_eq!(rig.why(&state, None), "it is not the browser that left");
    assert_eq!(rig.why(&state, Some("x")), "it is not the browser that left");
    let forged = format!("{}.{}", id(&begun), "0".repeat(32));
    assert_eq!(rig.why(&forged, Some("c")), "the state is not the one the browser left with");
    assert_eq!(rig.why("", Some("c")), "the login is not known or over");
    assert!(matches!(rig.collect(&begun.token).await, Ok(Waited::NotYet)));
    assert_eq!(rig.why(&state, Some("c")), "let in");
    assert_eq!(rig.why(&state, Some("c")), "a browser came back already");
    assert!(rig.logins.ask(id(&begun), "c", "f", NOW).is_err(), "the link is used up");
    rig.logins.end(&login, Ok(reply()));
    assert!(matches!(rig.collect(&begun.token).await, Ok(Waited::Done(r)) if r.token == "t-1"));
    assert!(rig.collect(&begun.token).await.is_err(), "a token is given out once");
}

#[tokio::test]
async fn a_second_browser_takes_the_login_over_before_it_left_and_not_after() {
    let rig = Rig::new();
    let (begun, state) = rig.begin();
    rig.logins.ask(id(&begun), "one", "f1", NOW).unwrap();
    rig.logins.ask(id(&begun), "two", "f2", NOW).unwrap();
    assert!(rig.logins.leave(id(&begun), "one", "f1", NOW).is_err());
    assert!(rig.logins.leave(id(&begun), "one", "f2", NOW).is_err());
    rig.logins.leave(id(&begun), "two", "f2", NOW).unwrap();
    assert_eq!(rig.why(&state, Some("one")), "it is not the browser that left");
    assert_eq!(rig.why(&state, Some("two")), "let in");
}

#[tokio::test]
async fn tokens_are_known_whole_or_not_at_all() {
    let rig = Rig::new();
    let (begun, _) = rig.begin();
    let (other, _) = rig.begin();
    let token = &begun.token;
    assert_eq!(token.len(), 2 + 8 + 32 + 64);
    let mixed = format!("{}{}", &token[..42], &other.token[42..]);
    let cut = &token[..token.len() - 1];
    let prefixes = (0..token.len()).map(|at| &token[..at]);
    for bad in prefixes.chain([cut, &mixed, "t-1", "l-\u{e9}"]) {
        assert!(rig.collect(bad).await.is_err(), "{bad}");
    }
    assert!(rig.collect(token).await.is_ok());
    let late = NOW.plus_seconds(LIFE_SECONDS);
    assert!(rig.logins.wait(token, Duration::ZERO, late).await.is_err());
    assert!(rig.logins.ask(id(&begun), "c", "f", late).is_err());
}

#[tokio::test]
async fn who_waits_hears_of_the_end_good_or_bad() {
    let rig = Arc::new(Rig::new());
    for good in [true, false] {
        let (begun, state) = rig.begin();
        rig.logins.ask(id(&begun), "c", "f", NOW).unwrap();
        rig.logins.leave(id(&begun), "c", "f", NOW).unwrap();
        let waiting = tokio::spawn({
            let rig = rig.clone();
            async move { rig.logins.wait(&begun.token, Duration::from_secs(60), NOW).await }
        });
        tokio::task::yield_now().await;
        let login = rig.logins.come_back(member(), &state, Some("c"), NOW).ok().unwrap();
        let outcome = if good { Ok(reply()) } else { Err(Fault::unauthorized("no")) };
        rig.logins.end(&login, outcome);
        assert_eq!(waiting.await.unwrap().is_ok(), good);
    }
}

#[test]
fn logins_are_bounded_for_one_and_for_all() {
    let rig = Rig::new();
    let opened = rig.begin_from("198.51.100.1", NOW).unwrap().0;
    rig.logins.ask(id(&opened), "c", "f", NOW).unwrap();
    for _ in 0..LOGINS_PER_NETWORK_MAX {
        rig.begin_from("2001:db8::7", NOW.plus_seconds(1)).unwrap();
    }
    let refused = rig.begin_from("2001:db8::8", NOW.plus_seconds(1)).err().unwrap();
    assert_eq!(refused.kind(), FaultKind::RateLimited);
    for client in 0..2 * LOGINS_MAX {
        let address = format!("10.{}.{}.1", client >> 8, client & 255);
        rig.begin_from(&address, NOW.plus_seconds(2)).unwrap();
    }
    assert_eq!(rig.logins.lock().len(), LOGINS_MAX);
    // Those that nobody opened went first.
    rig.logins.leave(id(&opened), "c", "f", NOW.plus_seconds(2)).unwrap();
    let late = NOW.plus_seconds(2 + LIFE_SECONDS);
    rig.begin_from("2001:db8::8", late).unwrap();
    assert_eq!(rig.logins.lock().len(), 1);
}

#[test]
fn codes_have_all_letters_and_no_others() {
    let rng: RngHandle = Arc::new(Counter(AtomicU64::new(3)));
    let codes: String = (0..200).map(|_| code(&rng).unwrap()).collect();
    assert!(codes.bytes().all(|letter| CODE_LETTERS.contains(&letter)));
    assert!(CODE_LETTERS.iter().all(|letter| codes.contains(char::from(*letter))));
    assert_eq!(spelled("BCDFGHJK"), "BCDF-GHJK");
}
