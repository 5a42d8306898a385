//! The item use cases through the plane, over a real store.

mod coherence;
mod deletion;
mod limits;
mod locks;
mod moves;
mod policies;
mod states;
mod updates;
mod versions;
mod visibility;
