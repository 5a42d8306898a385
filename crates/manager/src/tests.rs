//! Tests of the whole manager: three of them in one process, a gateway, and who attacks them.

mod at_rest;
mod attacks;
mod caps;
mod epoch_attacks;
mod epochs;
mod generation;
mod lifecycle;
mod log_evidence;
mod orders;
mod owner_change;
mod permits;
mod recovery;
mod rig;
mod rounds;
mod stolen_gateway;
