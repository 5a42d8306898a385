//! Whole runs in one process: a command line in, two streams and an exit code out.
//!
//! No run sees the real home directory: directories come from the environment that is handed in.

mod calls;
mod fake;
mod harness;
mod logins;
mod parsing;
mod profiles;
mod specs;
mod uid_rotator;
mod waiting;
