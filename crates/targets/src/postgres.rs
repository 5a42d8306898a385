//! Sessions on servers that speak PostgreSQL's protocol.

mod errors;
mod guard;
mod notices;

use std::sync::Arc;
use std::time::Duration;

use keysherd_base::Fault;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls};

use self::guard::Guard;
use self::notices::Notices;
use crate::server::Stream;
use crate::{Server, Way};
use keysherd_egress::heard::Heard;

pub use errors::{CONTENDED, HELD, SqlError};

/// The message that asks a server for TLS ("SSLRequest" in its protocol): length and code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// How long a goodbye may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Which server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// PostgreSQL, and what behaves as it does.
    Postgres,
    /// Amazon Redshift, which began as PostgreSQL 8.
    Redshift,
}

/// A session. It ends with this value; what was not committed is undone then.
pub struct Session {
    client: Client,
    notices: Arc<Notices>,
    driver: Driver,
}

/// What moves a session's bytes. A server that is silent does not hold it longer than the session.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Signs in to a server.
///
/// # Errors
/// A fault that says where it stopped: nothing that the server said but its error code.
pub async fn connect(server: &Server, family: Family, way: &Way) -> Result<Session, Fault> {
    let connecting = async {
        let (user, password) = server.credentials()?;
        let mut config = Config::new();
        config.user(user).password(password.expose().as_bytes()).application_name("keysherd");
        config.ssl_mode(SslMode::Disable);
        if let Some(database) = server.database() {
            config.dbname(database);
        }
        let mut tcp = server.tcp(way).await?;
        if server.is_encrypted() {
            ask_for_tls(server, &mut tcp).await?;
        }
        // Encrypted already, where it has to be; the driver only sees bytes.
        let stream = server.encrypt(tcp).await?;
        let stream: Stream = Box::new(Heard::new(stream, Guard::new(server.is_encrypted())));
        let (client, mut connection) = config
            .connect_raw(stream, NoTls)
            .await
            .map_err(|error| SqlError::of(&error).at_sign_in(server))?;
        let notices = Arc::new(Notices::default());
        let heard = Arc::clone(&notices);
        let driver = tokio::spawn(async move {
            while let Some(Ok(message)) =
                std::future::poll_fn(|context| connection.poll_message(context)).await
            {
                heard.hear(&message);
            }
        });
        let session = Session { client, notices, driver: Driver(driver) };
        let prepared = session.client.batch_execute(&preparations(family, way)).await;
        prepared.map_err(|error| SqlError::of(&error).at_sign_in(server))?;
        Ok(session)
    };
    timeout(way.timeout, connecting).await.map_err(|_| server.late())?
}

/// What a session begins with: limits that hold on the server too, and quotes that mean what the
/// standard says.
fn preparations(family: Family, way: &Way) -> String {
    let millis = way.timeout.as_millis().clamp(1, 600_000);
    match family {
        Family::Postgres => format!(
            "SET standard_conforming_strings = on; SET statement_timeout = {millis}; \
             SET lock_timeout = {millis}; SET idle_in_transaction_session_timeout = {millis}"
        ),
        Family::Redshift => format!("SET statement_timeout TO {millis}"),
    }
}

/// A server that wants no TLS gets no password.
async fn ask_for_tls(server: &Server, tcp: &mut TcpStream) -> Result<(), Fault> {
    let broken = |error: std::io::Error| {
        Fault::unavailable(format!("{} hangs up: {error}; check the port", server.place()))
    };
    tcp.write_all(&SSL_REQUEST).await.map_err(broken)?;
    // One byte, and not more: what follows belongs to TLS.
    match tcp.read_u8().await.map_err(broken)? {
        b'S' => Ok(()),
        b'N' => Err(Fault::forbidden(format!(
            "{} does not speak TLS; turn it on there, or set ssl=false where its network is yours \
             alone",
            server.place()
        ))),
        _ => Err(Fault::forbidden(format!(
            "{} does not speak PostgreSQL's protocol; check the port",
            server.place()
        ))),
    }
}

impl Session {
    /// Runs one statement. The server refuses a text that has more of them.
    ///
    /// # Errors
    /// [`SqlError`].
    pub async fn run(&self, statement: &str) -> Result<(), SqlError> {
        let done = self.client.execute_typed(statement, &[]).await;
        done.map(drop).map_err(|error| SqlError::of(&error))
    }

    /// Runs several of our own statements in one round trip. The first that fails is the last.
    ///
    /// # Errors
    /// [`SqlError`].
    pub async fn run_all(&self, statements: &str) -> Result<(), SqlError> {
        self.client.batch_execute(statements).await.map_err(|error| SqlError::of(&error))
    }

    /// Runs a question that is answered with true or false in its only row, about `text`.
    ///
    /// # Errors
    /// [`SqlError`].
    pub async fn is_true(&self, question: &str, text: &str) -> Result<bool, SqlError> {
        let rows = self.client.query_typed(question, &[(&text, Type::TEXT)]).await;
        let rows = rows.map_err(|error| SqlError::of(&error))?;
        let answer = rows.first().map(|row| row.try_get::<_, bool>(0)).transpose();
        Ok(answer.map_err(|error| SqlError::of(&error))?.unwrap_or(false))
    }

    /// Runs a question that is answered with at most one text, about `about`.
    ///
    /// # Errors
    /// [`SqlError`].
    pub async fn text(&self, question: &str, about: &str) -> Result<Option<String>, SqlError> {
        let rows = self.client.query_typed(question, &[(&about, Type::TEXT)]).await;
        let rows = rows.map_err(|error| SqlError::of(&error))?;
        let answer = rows.first().map(|row| row.try_get::<_, String>(0)).transpose();
        answer.map_err(|error| SqlError::of(&error))
    }

    /// What the server has warned of so far.
    pub fn warnings(&self) -> Vec<String> {
        self.notices.take()
    }

    /// Says goodbye, so that the server does not have to notice.
    pub async fn close(self) {
        let Self { client, mut driver, .. } = self;
        drop(client);
        let _ = timeout(FAREWELL, &mut driver.0).await;
    }
}
