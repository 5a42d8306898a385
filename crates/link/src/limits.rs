//! Bounds on what the other end can make this one hold or wait for.

use std::time::Duration;

/// Bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at the same time, handshakes included. Further ones are closed at once.
    pub connections_max: usize,
    /// Connections of one address at the same time. All roles of one machine may share it.
    pub connections_per_address_max: usize,
    /// Connections of one key at the same time, relayed ones included; further ones are closed.
    pub connections_per_key_max: usize,
    /// Calls of one key in progress, also those that it has given up, which go on all the same.
    pub calls_per_key_max: usize,
    /// Calls in progress on one connection.
    pub streams_per_connection_max: u32,
    /// A request's head, in bytes.
    pub header_bytes_max: u32,
    /// Memory for all request bodies that have not been answered, in bytes.
    pub bodies_bytes_max: usize,
    /// Time for the TLS handshake, and for the header of a relayed connection.
    pub handshake_timeout: Duration,
    /// Time from the head of a request to the last byte of its body.
    pub body_timeout: Duration,
    /// Time a connection may stay without a request. Longer than the heartbeat of a gateway.
    pub idle_timeout: Duration,
    /// Time between pings that find out whether the other end is still there, and the time it has
    /// to answer one.
    pub keepalive: Duration,
    /// Time a relayed connection may stay without a byte in either direction.
    pub relay_idle_timeout: Duration,
    /// Time for running calls after shutdown was asked for.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 2_048,
            connections_per_address_max: 512,
            connections_per_key_max: 64,
            calls_per_key_max: 4_096,
            streams_per_connection_max: 256,
            header_bytes_max: 16 * 1024,
            bodies_bytes_max: 256 * 1024 * 1024,
            handshake_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(300),
            keepalive: Duration::from_secs(20),
            relay_idle_timeout: Duration::from_secs(300),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Bounds of a channel.
#[derive(Clone, Copy, Debug)]
pub struct ChannelLimits {
    /// Time to connect by one route: name, TCP, TLS and, where relayed, the relay.
    pub connect_timeout: Duration,
    /// Time between pings, and the time to answer one. What does not answer is dead.
    pub keepalive: Duration,
    /// The pause after the first failure to connect by any route; calls fail at once meanwhile.
    /// It doubles with each failure.
    pub backoff_min: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
}

impl Default for ChannelLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            keepalive: Duration::from_secs(5),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(1),
        }
    }
}

/// Bounds of one call.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// Time from the call to the last byte of the answer, connecting included.
    pub timeout: Duration,
    /// Largest answer that is taken, in bytes.
    pub answer_bytes_max: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            answer_bytes_max: keysherd_fragments::encoding::MESSAGE_BYTES_MAX,
        }
    }
}
