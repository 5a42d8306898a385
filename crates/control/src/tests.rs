//! The identity use cases through the plane, over a real store.

mod accounts;
mod assocs;
mod directory;
mod entering;
mod escalation;
mod existence;
mod explain;
mod groups;
mod guard_rails;
mod kept;
mod lockout;
mod login;
mod logins;
mod matrix;
mod merge;
mod methods;
mod owner;
mod password;
mod permissions;
mod records;
mod roles;
mod second_factor;
mod setup;
mod tokens;
mod two_nodes;
mod uid;
