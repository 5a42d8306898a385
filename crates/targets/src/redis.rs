//! Sessions on servers that speak Redis' protocol.

use keysherd_base::{Fault, FaultKind};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, ProtocolVersion, RedisConnectionInfo, RedisError};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::words::with_words;
use crate::{Server, WRONG_CREDENTIALS, Way};

/// A session. It ends with this value.
pub struct Session {
    connection: MultiplexedConnection,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What went wrong with a command.
#[derive(Debug)]
pub struct CommandError {
    /// The server's code, such as `NOPERM`; `None`: it did not answer.
    code: Option<String>,
    /// For the log.
    text: String,
}

/// Signs in to a server. Without a password nobody is signed in as, and the server decides.
///
/// # Errors
/// A fault that says where it stopped: nothing that the server said but its error code.
pub async fn connect(server: &Server, way: &Way) -> Result<Session, Fault> {
    let connecting = async {
        let tcp = server.tcp(way).await?;
        let stream = server.encrypt(tcp).await?;
        let plain = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP2)
            .set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(way.timeout));
        let opened = MultiplexedConnection::new_with_config(&plain, stream, config).await;
        let at_sign_in = |error: CommandError| {
            let secret = server.password().map(|password| password.expose().as_str());
            let fault = error.fault(&format!("signing in to {}", server.place()), secret);
            match error.code() {
                Some("WRONGPASS") => fault.with_code(WRONG_CREDENTIALS),
                _ => fault,
            }
        };
        let (connection, driver) = opened.map_err(|e| at_sign_in(CommandError::of(&e)))?;
        let mut session = Session { connection, driver: tokio::spawn(driver) };
        // By a command, so that the driver keeps no copy of the password.
        let answer = match server.password() {
            Some(password) => {
                let user = server.user().into_iter();
                let secret = password.expose().as_str();
                let parts: Vec<_> = ["AUTH"].into_iter().chain(user).chain([secret]).collect();
                session.ask(&parts).await
            }
            // Whether the server lets nobody in; who may not even do this is in.
            None => match session.ask(&["PING"]).await {
                Err(error) if error.code() == Some("NOPERM") => Ok(()),
                other => other,
            },
        };
        answer.map_err(at_sign_in)?;
        Ok(session)
    };
    timeout(way.timeout, connecting).await.map_err(|_| server.late())?
}

impl Session {
    /// Sends a command about something; whether that is there.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn is_there(&mut self, parts: &[&str]) -> Result<bool, CommandError> {
        let mut command = redis::Cmd::new();
        command.arg(parts);
        let answer = command.query_async::<redis::Value>(&mut self.connection).await;
        answer.map(|value| value != redis::Value::Nil).map_err(|error| CommandError::of(&error))
    }

    /// Sends a command with its arguments, each a text of its own: nothing is read as two.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn ask(&mut self, parts: &[&str]) -> Result<(), CommandError> {
        let mut command = redis::Cmd::new();
        command.arg(parts);
        let answer = command.query_async::<redis::Value>(&mut self.connection).await;
        answer.map(drop).map_err(|error| CommandError::of(&error))
    }
}

impl CommandError {
    fn of(error: &RedisError) -> Self {
        let code = match error.kind() {
            ErrorKind::AuthenticationFailed => Some("WRONGPASS"),
            _ => error.code(),
        };
        let plain =
            |code: &&str| code.len() <= 32 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        Self { code: code.filter(plain).map(str::to_owned), text: error.to_string() }
    }

    /// The server's code.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether the server keeps its users in no file of their own, where saving them is refused.
    pub fn says_no_file(&self) -> bool {
        self.text.contains("ACL file")
    }

    /// As a fault of `what` was being done. `secret` is kept out of the log, too.
    pub fn fault(&self, what: &str, secret: Option<&str>) -> Fault {
        let (kind, words) = match self.code.as_deref() {
            Some("WRONGPASS") => (FaultKind::Forbidden, "the user or the password is wrong"),
            Some("NOAUTH") => (FaultKind::Forbidden, "the server wants a password"),
            Some("NOPERM") => (FaultKind::Forbidden, "the user of the target may not do that"),
            Some("ERR") => (FaultKind::BadRequest, "the server does not understand it"),
            Some("LOADING" | "MASTERDOWN" | "BUSY" | "TRYAGAIN") => {
                (FaultKind::Unavailable, "the server is busy; try again")
            }
            Some(_) => (FaultKind::BadRequest, "the server refuses it"),
            None => (FaultKind::Unavailable, "the connection was lost, or is none to a Redis"),
        };
        let public = match &self.code {
            Some(code) => format!("{what} failed with {code}: {words}"),
            None => format!("{what} failed: {words}"),
        };
        with_words(Fault::new(kind, public), &self.text, secret)
    }
}
