//! On a stand-in for MongoDB, which does what the protocol says and nothing else: what is sent for
//! roles, and what comes of servers that are no primaries, lie, or are gone in between.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::FaultKind;
use keysherd_crypto::hash::{hmac_sha256, pbkdf2_sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::{NOT_REACHED, is_untouched};

const PASSWORD: &str = "canary-password";

/// What a stand-in does that a good server does not.
#[derive(Clone, Copy, Default)]
struct Manners {
    secondary: bool,
    /// Says that it knows the password.
    lies: bool,
    /// Goes away when it hears this command.
    gone_at: &'static str,
    /// Answers this command with this number.
    refuses: (&'static str, i32),
    /// Reports that too few members know of what this command did.
    alone_at: &'static str,
    /// Talks without end instead of answering.
    floods: bool,
}

/// What a stand-in was asked, with the bytes of the document.
type Asked = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

struct StandIn {
    place: String,
    asked: Asked,
}

impl StandIn {
    async fn new(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let asked = Asked::default();
        let kept = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manners, Arc::clone(&kept)));
            }
        });
        Self { place, asked }
    }

    fn stage(&self, given: &[(&'static str, &str)]) -> Stage {
        stage(&self.place, given)
    }

    fn commands(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(name, _)| name.clone()).collect()
    }

    fn bytes_of(&self, command: &str) -> Vec<u8> {
        let asked = self.asked.lock().unwrap();
        asked.iter().find(|(name, _)| name == command).unwrap().1.clone()
    }
}

fn stage(hosts: &str, given: &[(&'static str, &str)]) -> Stage {
    Stage::new(given, somewhere(&[("host", hosts), ("ssl", "false")]))
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// A text member of a document.
fn member(name: &str, text: &str) -> Vec<u8> {
    let length = i32::try_from(text.len() + 1).unwrap().to_le_bytes();
    [&[2], name.as_bytes(), &[0], &length, text.as_bytes(), &[0]].concat()
}

fn number(name: &str, number: i32) -> Vec<u8> {
    [&[16], name.as_bytes(), &[0], &number.to_le_bytes()].concat()
}

fn payload(name: &str, bytes: &[u8]) -> Vec<u8> {
    let length = i32::try_from(bytes.len()).unwrap().to_le_bytes();
    [&[5], name.as_bytes(), &[0], &length, &[0], bytes].concat()
}

fn flag(name: &str, flag: bool) -> Vec<u8> {
    [&[8], name.as_bytes(), &[0, u8::from(flag)]].concat()
}

fn document(members: &[Vec<u8>]) -> Vec<u8> {
    let body = members.concat();
    let length = i32::try_from(body.len() + 5).unwrap().to_le_bytes();
    [&length, body.as_slice(), &[0]].concat()
}

/// The text that a document has as its SCRAM payload.
fn said(document: &[u8]) -> String {
    let key = b"\x05payload\0";
    let at = document.windows(key.len()).position(|window| window == key).unwrap() + key.len();
    let length = i32::from_le_bytes(document[at..at + 4].try_into().unwrap());
    let length = usize::try_from(length).unwrap();
    String::from_utf8(document[at + 5..at + 5 + length].to_vec()).unwrap()
}

async fn serve(mut stream: TcpStream, manners: Manners, asked: Asked) -> Option<()> {
    let mut talk = String::new();
    loop {
        let mut head = [0; 21];
        stream.read_exact(&mut head).await.ok()?;
        let length = i32::from_le_bytes(head[..4].try_into().unwrap());
        let mut body = vec![0; usize::try_from(length).unwrap() - head.len()];
        stream.read_exact(&mut body).await.ok()?;
        let end = body[5..].iter().position(|byte| *byte == 0).unwrap();
        let name = String::from_utf8(body[5..5 + end].to_vec()).unwrap();
        asked.lock().unwrap().push((name.clone(), body.clone()));
        if manners.floods {
            while stream.write_all(&[0xff; 4_096]).await.is_ok() {}
            return None;
        }
        if name == manners.gone_at {
            return None;
        }
        let answer = answer(&name, &body, &mut talk, manners);
        let length = i32::try_from(answer.len() + 21).unwrap();
        let mut reply = Vec::new();
        for part in [length.to_le_bytes(), [9; 4]] {
            reply.extend(part);
        }
        reply.extend(&head[4..8]);
        reply.extend(2_013_i32.to_le_bytes());
        reply.extend([0; 5]);
        reply.extend(answer);
        stream.write_all(&reply).await.ok()?;
    }
}

fn answer(name: &str, body: &[u8], talk: &mut String, manners: Manners) -> Vec<u8> {
    let ok = number("ok", 1);
    let refused = |code: i32| {
        let quoted = format!("refused: {}", String::from_utf8_lossy(body));
        document(&[number("ok", 0), number("code", code), member("errmsg", &quoted)])
    };
    if name == manners.refuses.0 {
        return refused(manners.refuses.1);
    }
    if name == manners.alone_at {
        let error = document(&[number("code", 64), member("errmsg", "waiting timed out")]);
        return document(&[ok, [&[3][..], b"writeConcernError\0", &error].concat()]);
    }
    match name {
        "hello" => document(&[flag("isWritablePrimary", !manners.secondary), ok]),
        "saslStart" => {
            let first = said(body);
            let nonce = first.rsplit_once("r=").unwrap().1;
            let challenge = format!("r={nonce}more,s={},i=4096", STANDARD.encode(b"some salt"));
            *talk = format!("{},{challenge}", first.strip_prefix("n,,").unwrap());
            let challenge = payload("payload", challenge.as_bytes());
            document(&[number("conversationId", 7), flag("done", false), challenge, ok])
        }
        "saslContinue" => {
            let last = said(body);
            let (without, proof) = last.rsplit_once(",p=").unwrap();
            let known = if manners.lies { "another" } else { PASSWORD };
            let iterations = NonZeroU32::new(4_096).unwrap();
            let salted = pbkdf2_sha256(known.as_bytes(), b"some salt", iterations);
            let salted = salted.expose();
            let talk = format!("{talk},{without}");
            let client = hmac_sha256(salted, &[b"Client Key"]);
            let stored = keysherd_crypto::hash::sha256(&[&client]);
            let signature = hmac_sha256(&stored, &[talk.as_bytes()]);
            let wanted: Vec<_> = client.iter().zip(signature).map(|(a, b)| a ^ b).collect();
            if !manners.lies && STANDARD.decode(proof).unwrap() != wanted {
                return refused(18);
            }
            let server = hmac_sha256(salted, &[b"Server Key"]);
            let proof = STANDARD.encode(hmac_sha256(&server, &[talk.as_bytes()]));
            let proof = payload("payload", format!("v={proof}").as_bytes());
            document(&[number("conversationId", 7), flag("done", true), proof, ok])
        }
        "createUser" | "dropUser" => document(&[ok]),
        _ => refused(59),
    }
}

const ROLES: (&str, &str) = ("mongodb-roles", "[{role: readWrite, db: app}, read]");

#[tokio::test]
async fn users_get_their_roles_and_nothing_else() {
    let server = StandIn::new(Manners::default()).await;
    let custom = ("mongodb-custom-data", "{\"team\": \"blue\"}");
    let stage = server.stage(&[ROLES, custom]);
    let plan = stage.plan();
    stage.create(&plan).await.unwrap();
    assert_eq!(server.commands(), ["hello", "saslStart", "saslContinue", "createUser"]);
    let sent = server.bytes_of("createUser");
    let roles = [("readWrite", "app"), ("read", "sales")]
        .map(|(role, db)| document(&[member("role", role), member("db", db)]));
    for part in [
        member("createUser", &plan.handle),
        member("pwd", plan.password.expose()),
        document(&[[b"\x030\0", &*roles[0]].concat(), [b"\x031\0", &*roles[1]].concat()]),
        member("team", "blue"),
        document(&[member("0", "SCRAM-SHA-256")]),
        [member("w", "majority"), number("wtimeout", 60_000)].concat(),
        number("maxTimeMS", 60_000),
        member("$db", "admin"),
    ] {
        assert!(contains(&sent, &part), "{:?}", String::from_utf8_lossy(&part));
    }
    // The password of whoever signs in is never said.
    assert!(!server.asked.lock().unwrap().iter().any(|(_, b)| contains(b, PASSWORD.as_bytes())));
    stage.revoke(&plan.handle).await.unwrap();
    assert!(contains(&server.bytes_of("dropUser"), &member("dropUser", &plan.handle)));
}

#[tokio::test]
async fn the_member_that_takes_writes_is_found_among_those_that_are_named() {
    let secondary = StandIn::new(Manners { secondary: true, ..Manners::default() }).await;
    let primary = StandIn::new(Manners::default()).await;
    let both = format!("127.0.0.1:1,{},{}", secondary.place, primary.place);
    let stage = stage(&both, &[ROLES]);
    let plan = stage.plan();
    stage.create(&plan).await.unwrap();
    assert_eq!(secondary.commands(), ["hello"]);
    assert_eq!(primary.commands().last().unwrap(), "createUser");
    let alone = secondary.stage(&[ROLES]);
    let fault = alone.create(&plan).await.err().unwrap();
    assert!(fault.public().contains("takes no writes"), "{fault}");
    assert_eq!(fault.code(), NOT_REACHED);
}

#[tokio::test]
async fn a_server_that_does_not_know_the_password_is_told_nothing() {
    let server = StandIn::new(Manners { lies: true, ..Manners::default() }).await;
    let stage = server.stage(&[ROLES]);
    let fault = stage.create(&stage.plan()).await.err().unwrap();
    assert!(fault.public().contains("prove"), "{fault}");
    assert_eq!(fault.code(), NOT_REACHED);
    assert!(!server.commands().contains(&"createUser".to_owned()));
}

#[tokio::test]
async fn faults_say_what_is_known_and_no_password() {
    for (manners, code, kind, reached) in [
        (Manners { refuses: ("createUser", 13), ..Manners::default() }, "13", "forbidden", true),
        (Manners { refuses: ("createUser", 31), ..Manners::default() }, "31", "bad", true),
        (Manners { refuses: ("createUser", 51_003), ..Manners::default() }, "51003", "", true),
        (Manners { alone_at: "createUser", ..Manners::default() }, "64", "unavailable", true),
        (Manners { gone_at: "createUser", ..Manners::default() }, "lost", "unavailable", true),
        (Manners { gone_at: "saslStart", ..Manners::default() }, "lost", "unavailable", false),
        (Manners { refuses: ("saslStart", 18), ..Manners::default() }, "18", "forbidden", false),
        (Manners { floods: true, ..Manners::default() }, "none to a MongoDB", "", false),
    ] {
        let server = StandIn::new(manners).await;
        let stage = server.stage(&[ROLES]);
        let plan = stage.plan();
        let fault = stage.create(&plan).await.err().unwrap();
        assert!(fault.public().contains(code), "{code}: {fault}");
        match kind {
            "forbidden" => assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}"),
            "unavailable" => assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}"),
            "bad" => assert_eq!(fault.kind(), FaultKind::BadRequest, "{fault}"),
            _ => {}
        }
        assert_eq!(!is_untouched(&fault), reached, "{fault}");
        for secret in [plan.password.expose().as_str(), PASSWORD] {
            assert!(!format!("{fault:?}").contains(secret), "{fault:?}");
        }
        // Whatever it may have made is taken back at once, where it still listens.
        let undone = server.commands().contains(&"dropUser".to_owned());
        assert_eq!(undone, reached && code != "lost", "{code}");
    }
}

#[tokio::test]
async fn a_user_that_is_gone_is_removed_and_one_that_stays_is_not() {
    let gone = StandIn::new(Manners { refuses: ("dropUser", 11), ..Manners::default() }).await;
    let stage = gone.stage(&[]);
    let handle = stage.plan().handle;
    assert_eq!(stage.revoke(&handle).await.unwrap(), Vec::<String>::new());
    for manners in [
        Manners { refuses: ("dropUser", 13), ..Manners::default() },
        Manners { alone_at: "dropUser", ..Manners::default() },
        Manners { gone_at: "dropUser", ..Manners::default() },
    ] {
        let stays = StandIn::new(manners).await;
        assert!(stays.stage(&[]).revoke(&handle).await.is_err());
    }
}

#[tokio::test]
async fn addresses_that_targets_may_not_have_are_not_connected_to() {
    let server = StandIn::new(Manners::default()).await;
    let mut stage = server.stage(&[ROLES]);
    stage.way.egress = stage.way.egress.clone().elsewhere();
    let fault = stage.create(&stage.plan()).await.err().unwrap();
    assert!(fault.public().contains("--allow-local-targets"), "{fault}");
    assert!(server.commands().is_empty());
}
