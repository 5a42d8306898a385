//! A stand-in for WinRM on Windows: it speaks the envelopes of remote shells over TLS, lets people
//! in by Basic authentication, and does what our scripts would do with users that it only
//! remembers. What Windows makes of envelopes and scripts it does not show.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_crypto::xmldsig::{self, Element};
use serde_json::Value;

use crate::testing::stub::{Asked, Stub};
use crate::windows::{Script, stand_in};

/// What a stand-in does wrong, for one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ill {
    /// Nothing.
    No,
    /// Its answers have a document type.
    DocumentType,
    /// Its answers are no XML.
    Text,
    /// Identifiers that would change an envelope.
    Identifier,
    /// More output than anybody reads.
    Flood,
    /// Output that is no base64.
    NoBase64,
    /// A command that never ends.
    Endless,
    /// A refusal of shells.
    Refusal,
    /// Who signs in may do nothing.
    Denied,
    /// It says the answer at the second time only.
    Late,
}

/// Users by name, with their passwords.
pub(super) type Users = Arc<Mutex<BTreeMap<String, String>>>;

#[derive(Default)]
struct Running {
    owner: String,
    script: Option<Script>,
    said: String,
    asked: usize,
}

/// The machine, its users, and the certificate that vouches for it.
pub(super) struct Machine {
    pub(super) stub: Stub,
    pub(super) users: Users,
    pub(super) authority: String,
}

impl Machine {
    pub(super) async fn start(ill: Ill) -> Self {
        let known = [("Administrator", "admin-1"), ("app", "first-1"), ("own", "first-1")];
        let known = known.map(|(name, password)| (name.to_owned(), password.to_owned()));
        let users = Users::new(Mutex::new(known.into_iter().collect()));
        let shells = Mutex::new(BTreeMap::<String, Running>::new());
        let kept = Arc::clone(&users);
        let answer = move |asked: &Asked| answer(asked, ill, &kept, &mut shells.lock().unwrap());
        let (stub, authority) = Stub::secure(answer).await;
        Self { stub, users, authority }
    }
}

fn answer(
    asked: &Asked,
    ill: Ill,
    users: &Users,
    shells: &mut BTreeMap<String, Running>,
) -> (u16, String) {
    let Some(user) = signed_in(asked, users) else { return (401, String::new()) };
    assert_eq!(asked.line, "POST /wsman");
    assert!(asked.header("content-type").unwrap().starts_with("application/soap+xml"));
    let read = xmldsig::read(&asked.body).unwrap();
    let (head, body) = (&read.children[0], &read.children[1]);
    let action = text(head, "Action");
    let id = text(head, "Selector");
    match ill {
        Ill::Denied => return fault("5"),
        Ill::Refusal => return fault("2150858770"),
        Ill::DocumentType => return (200, "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>".into()),
        Ill::Text => return (200, "welcome".into()),
        _ => {}
    }
    if action.ends_with("/Create") {
        let id = match ill {
            Ill::Identifier => "1&lt;/w:Selector&gt;".to_owned(),
            _ => format!("shell-{}", shells.len()),
        };
        shells.insert(id.clone(), Running { owner: user, ..Running::default() });
        return said(&format!("<r:Shell><r:ShellId>{id}</r:ShellId></r:Shell>"));
    }
    let shell = shells.get_mut(&id).filter(|shell| shell.owner == user);
    let Some(shell) = shell else { return fault("2150858843") };
    match action.rsplit('/').next().unwrap() {
        "Command" => {
            shell.script = stand_in::script_of(&text(body, "Command"));
            said("<r:CommandResponse><r:CommandId>C-1</r:CommandId></r:CommandResponse>")
        }
        "Send" => {
            let stream = element(body, "Stream").unwrap();
            assert_eq!(
                (stream.attribute("Name"), stream.attribute("End")),
                (Some("stdin"), Some("true"))
            );
            let line = STANDARD.decode(stream.text.trim()).unwrap();
            let about = STANDARD.decode(String::from_utf8(line).unwrap().trim()).unwrap();
            let about: Value = serde_json::from_slice(&about).unwrap();
            shell.said = ran(shell.script.unwrap(), &user, &about, users);
            said("<r:SendResponse/>")
        }
        "Receive" => {
            shell.asked += 1;
            received(shell, ill)
        }
        "Delete" => {
            shells.remove(&id);
            said("")
        }
        other => panic!("{other}"),
    }
}

fn received(shell: &Running, ill: Ill) -> (u16, String) {
    let stream =
        |text: &str| format!("<r:Stream Name=\"stdout\" CommandId=\"C-1\">{text}</r:Stream>");
    let state = |state: &str| {
        format!(
            "<r:CommandState CommandId=\"C-1\" State=\"http://x/CommandState/{state}\">\
             <r:ExitCode>0</r:ExitCode></r:CommandState>"
        )
    };
    // Somebody else's output is not ours.
    let other = "<r:Stream Name=\"stdout\" CommandId=\"C-2\">a2V5c2hlcmQgZG9uZQo=</r:Stream>\
                 <r:Stream Name=\"stderr\" CommandId=\"C-1\">eA==</r:Stream>";
    let words = STANDARD.encode(&shell.said);
    match ill {
        Ill::Late if shell.asked == 1 => fault("2150858793"),
        Ill::Late if shell.asked == 2 => said(&format!("{other}{}", state("Running"))),
        Ill::Endless => said(&state("Running")),
        Ill::Flood => said(&stream(&STANDARD.encode("x".repeat(40_000)))),
        Ill::NoBase64 => said(&format!("{}{}", stream("=="), state("Done"))),
        _ => {
            // In two pieces, as machines cut where they like.
            let (begin, end) = shell.said.split_at(shell.said.len() / 2);
            let both = [begin, end].map(|piece| stream(&STANDARD.encode(piece)));
            assert!(!words.is_empty());
            said(&format!("{other}{}{}", both.concat(), state("Done")))
        }
    }
}

/// What a script does, by whom, and what it says.
fn ran(script: Script, by: &str, about: &Value, users: &Users) -> String {
    let mut users = users.lock().unwrap();
    let field = |name: &str| about[name].as_str().unwrap().to_owned();
    let (name, new) = (field("name"), field("new"));
    let refused = |id: &str| format!("keysherd refused {id}\r\n");
    if !users.contains_key(&name) {
        return refused("NoSuchUser 80131501");
    }
    if new.len() < 8 {
        return refused("InvalidPassword,X 80131501");
    }
    match script {
        Script::Set if by != "Administrator" => return refused("AccessDenied,X 80131501"),
        Script::Set => assert!(about.get("old").is_none()),
        Script::Change if users[&name] != field("old") => return refused("Catch 80070056"),
        Script::Change => {}
        _ => panic!("{script:?}"),
    }
    users.insert(name, new);
    "keysherd done\r\n".to_owned()
}

fn signed_in(asked: &Asked, users: &Users) -> Option<String> {
    let line = asked.header("authorization")?.strip_prefix("Basic ")?.to_owned();
    let line = String::from_utf8(STANDARD.decode(line).unwrap()).unwrap();
    let (user, password) = line.split_once(':')?;
    let known = users.lock().unwrap().get(user).is_some_and(|known| known == password);
    known.then(|| user.to_owned())
}

fn said(body: &str) -> (u16, String) {
    (200, enveloped(body))
}

fn fault(code: &str) -> (u16, String) {
    let told = format!("<f:WSManFault xmlns:f=\"http://x/wsmanfault\" Code=\"{code}\"/>");
    (500, enveloped(&format!("<s:Fault><s:Detail>{told}</s:Detail></s:Fault>")))
}

fn enveloped(body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:r=\"http://schemas.microsoft.com/wbem/wsman/1/windows/shell\"><s:Header/>\
         <s:Body>{body}</s:Body></s:Envelope>"
    )
}

fn element<'a>(tree: &'a Element, name: &str) -> Option<&'a Element> {
    if tree.name == name {
        return Some(tree);
    }
    tree.children.iter().find_map(|child| element(child, name))
}

fn text(tree: &Element, name: &str) -> String {
    element(tree, name).map(|found| found.text.clone()).unwrap_or_default()
}
