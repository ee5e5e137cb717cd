//! Two sessions and a simulated link between them, and single sessions that get bytes by hand.

mod bytes;
mod chaos;
mod interop;
mod lost;
mod pair;
mod pipe;
mod sides;
mod traffic;
