//! Field reports: what becomes of each, what is held and why, and that nothing is lost or stored twice.

mod crash;
mod holds;
mod kinds;
mod lists;
mod numbering;
mod rig;
mod rights;
mod streams;
mod versions;
