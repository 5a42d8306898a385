//! Commands on Windows machines by WinRM, which is Microsoft's WS-Management (DMTF DSP0226,
//! MS-WSMV): a shell is made, runs a command that reads its input, and is removed again.
//!
//! Whoever signs in does so by name and password (RFC 7617), so connections are always encrypted
//! and the machine's certificate is checked. Nothing of a person is in an envelope but the input of
//! a command; identifiers that a machine gives are taken only where they look like ones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, SecretString};
use keysherd_crypto::xmldsig::{self, Element};
use tokio::time::timeout;

use self::envelope::{Wish, envelope};
use crate::http::{Http, HttpServer, Reply};
use crate::server::{NOT_ADMITTED, WRONG_CREDENTIALS};
use crate::{BoxFuture, Way};

mod envelope;

/// Longest output of a command that is read, in bytes.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// How often a command is asked what it has said since.
const ROUNDS_MAX: usize = 256;
/// Longest identifier, in characters.
const ID_CHARS_MAX: usize = 128;
/// Microsoft's code for: nothing happened in time.
const TIMED_OUT: &str = "2150858793";
/// Windows' code for: whoever signs in may not do that.
const ACCESS_DENIED: &str = "5";

/// A Windows machine with whoever signs in there.
pub struct WindowsMachine {
    pub(crate) server: HttpServer,
    pub(crate) user: String,
    pub(crate) password: SecretString,
}

/// A shell of somebody who has signed in.
pub struct Shell {
    http: Http,
    way: Way,
    url: String,
    place: String,
    user: String,
    password: SecretString,
    id: String,
}

/// What came of an envelope.
enum Answer {
    Body(Element),
    /// Nothing happened yet.
    Later,
}

impl WindowsMachine {
    /// Host and port.
    pub fn place(&self) -> String {
        self.server.place().to_string()
    }

    /// Who signs in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// With which password.
    pub fn password(&self) -> &SecretString {
        &self.password
    }

    /// The same machine, to sign in to as somebody else.
    #[must_use]
    pub fn signed_in_as(self, user: &str, password: &SecretString) -> Self {
        let password = SecretString::new(password.expose().clone());
        Self { user: user.to_owned(), password, ..self }
    }

    /// Signs in, and has a shell there.
    ///
    /// # Errors
    /// A fault that says where it stopped; of code [`WRONG_CREDENTIALS`] when the machine does not
    /// take the password, and of code [`NOT_ADMITTED`] when it does and lets this user do nothing.
    pub async fn open(&self, way: &Way) -> Result<Shell, Fault> {
        let mut shell = Shell {
            http: self.server.open(way)?,
            way: way.clone(),
            url: self.server.url().to_string(),
            place: self.place(),
            user: self.user.clone(),
            password: SecretString::new(self.password.expose().clone()),
            id: String::new(),
        };
        let opening = async {
            let body = shell.answer(&Wish::Create).await?;
            let id = found(&body, &mut |element| {
                element.name == "ShellId"
                    || element.name == "Selector" && element.attribute("Name") == Some("ShellId")
            });
            shell.identifier(id)
        };
        shell.id = timeout(way.timeout, opening).await.map_err(|_| late(&self.place()))??;
        Ok(shell)
    }
}

impl Shell {
    /// Runs a command, which is no secret, with this input; gives what it said. Callers bound its
    /// time. Each envelope signs in by itself: where the command changes the password of whoever
    /// runs it, `next` is what it is from then on.
    ///
    /// # Errors
    /// A fault when nobody knows how it ended.
    pub async fn run(
        &mut self,
        command: &str,
        input: &SecretString,
        mut next: Option<&SecretString>,
    ) -> Result<String, Fault> {
        let body = self.answer(&Wish::Command(&self.id, command)).await?;
        let id = found(&body, &mut |element| element.name == "CommandId");
        let id = self.identifier(id)?;
        let mut coded = SecretString::new(String::with_capacity(input.expose().len() * 4 / 3 + 8));
        STANDARD.encode_string(input.expose(), coded.expose_mut());
        self.answer(&Wish::Send(&self.id, &id, &coded)).await?;
        let mut output = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let asked = self.asked(&Wish::Receive(&self.id, &id)).await;
            if asked.as_ref().is_err_and(|fault| fault.code() == WRONG_CREDENTIALS)
                && let Some(next) = next.take()
            {
                self.password = SecretString::new(next.expose().clone());
                continue;
            }
            let Answer::Body(body) = asked? else { continue };
            if self.read(&body, &id, &mut output)? {
                return Ok(String::from_utf8_lossy(&output).into_owned());
            }
        }
        Err(Fault::unavailable(format!("a command at {} does not end", self.place)))
    }

    /// Removes the shell, so that the machine does not have to notice.
    pub async fn close(self) {
        let second = std::time::Duration::from_secs(1);
        let _ = timeout(second, self.asked(&Wish::Delete(&self.id))).await;
    }

    /// Adds what the command has said since; gives whether it has ended.
    fn read(&self, body: &Element, id: &str, output: &mut Vec<u8>) -> Result<bool, Fault> {
        let mut ended = false;
        let mut ill = None;
        found(body, &mut |element| {
            let is_ours = element.attribute("CommandId") == Some(id);
            if element.name == "CommandState" && is_ours {
                ended = element.attribute("State").is_some_and(|state| state.ends_with("/Done"));
            }
            if element.name == "Stream" && is_ours && element.attribute("Name") == Some("stdout") {
                match STANDARD.decode(element.text.trim()) {
                    Ok(said) if output.len() + said.len() <= OUTPUT_BYTES_MAX => {
                        output.extend(said);
                    }
                    Ok(_) => ill = Some(format!("{} says too much", self.place)),
                    Err(_) => ill = Some(misspoken(&self.place)),
                }
            }
            false
        });
        ill.map_or(Ok(ended), |why| Err(Fault::unavailable(why)))
    }

    fn identifier(&self, element: Option<&Element>) -> Result<String, Fault> {
        let text = element.map(|element| element.text.trim()).unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let fits = !text.is_empty() && text.len() <= ID_CHARS_MAX && text.chars().all(plain);
        let ill = || Fault::unavailable(misspoken(&self.place));
        fits.then(|| text.to_owned()).ok_or_else(ill)
    }

    /// What is answered, which must be something.
    async fn answer(&self, wish: &Wish<'_>) -> Result<Element, Fault> {
        match self.asked(wish).await? {
            Answer::Body(body) => Ok(body),
            Answer::Later => Err(late(&self.place)),
        }
    }

    fn asked<'a>(&'a self, wish: &'a Wish<'a>) -> BoxFuture<'a, Result<Answer, Fault>> {
        Box::pin(async move {
            let text = envelope(&self.url, wish, &self.way)?;
            let call = self.http.soap().basic(&self.user, &self.password);
            let reply = call.body("application/soap+xml;charset=UTF-8", text.into()).send().await?;
            self.understood(&reply)
        })
    }

    fn understood(&self, reply: &Reply) -> Result<Answer, Fault> {
        let place = &self.place;
        if reply.status() == 401 {
            let text = format!(
                "signing in at {place} failed: the user or the password is wrong, or the machine \
                 does not let people sign in by them (WinRM's Basic authentication)"
            );
            return Err(Fault::forbidden(text).with_code(WRONG_CREDENTIALS));
        }
        if !matches!(reply.status(), 200 | 500) {
            return Err(reply.fault("WinRM", &[self.password.expose()]));
        }
        let read = std::str::from_utf8(reply.body()).ok().and_then(|xml| xmldsig::read(xml).ok());
        let ill = || Fault::unavailable(misspoken(place));
        let read = read.filter(|read| read.name == "Envelope").ok_or_else(ill)?;
        let body = read.children.into_iter().find(|child| child.name == "Body").ok_or_else(ill)?;
        let is_fault = |element: &Element| element.name == "Fault";
        if found(&body, &mut |element| is_fault(element)).is_none() {
            return if reply.status() == 200 { Ok(Answer::Body(body)) } else { Err(ill()) };
        }
        let told = found(&body, &mut |element| element.name == "WSManFault");
        let code = told.and_then(|told| told.attribute("Code")).unwrap_or_default();
        let code: String = code.chars().filter(char::is_ascii_digit).take(10).collect();
        match code.as_str() {
            TIMED_OUT => Ok(Answer::Later),
            ACCESS_DENIED => {
                let text = format!("{place} lets this user do nothing by WinRM");
                Err(Fault::forbidden(text).with_code(NOT_ADMITTED))
            }
            _ => Err(Fault::bad_request(format!(
                "{place} refuses to run commands by WinRM (code {code}); see whether its service \
                 lets this user have shells"
            ))),
        }
    }
}

fn late(place: &str) -> Fault {
    Fault::unavailable(format!("{place} does not answer in time; try again later"))
}

fn misspoken(place: &str) -> String {
    format!("{place} does not speak WinRM as this gateway does; check the port")
}

/// The first element in a tree that this is true of.
fn found<'a>(element: &'a Element, is: &mut impl FnMut(&Element) -> bool) -> Option<&'a Element> {
    if is(element) {
        return Some(element);
    }
    for child in &element.children {
        if let Some(found) = found(child, is) {
            return Some(found);
        }
    }
    None
}
