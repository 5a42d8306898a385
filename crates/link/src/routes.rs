//! The paths of the services between roles.

/// Gateway to manager: the encodings of `fragments::messages::ManagerRequest` and its answer.
pub const MANAGER: &str = "/v1/manager";
/// Manager to manager: the encodings of `fragments::messages::PeerRequest` and its answer.
pub const PEER: &str = "/v1/peer";
/// Gateway to control: from a [`RemotePlane`](crate::RemotePlane) to a
/// [`PlaneService`](crate::PlaneService).
pub const PLANE: &str = "/v1/plane";
/// Anyone trusted to control: the newest trust bundle.
pub const BUNDLE: &str = "/v1/bundle";
/// Anyone trusted to anyone: the first call of every connection, which says that the other end lets
/// this one in and speaks the same version. Empty in both directions.
pub(crate) const HELLO: &str = "/v1/hello";
