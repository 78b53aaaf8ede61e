//! Field reports: what becomes of each, what is held and why, and that nothing is lost or stored twice.

mod attachments;
mod bad_link;
mod crash;
mod devices;
mod examples;
mod field;
mod halting;
mod holds;
mod kinds;
mod lists;
mod numbering;
mod peers;
mod personal;
mod personal_access;
mod personal_keys;
mod report_stream;
mod report_stream_parts;
mod review;
mod rig;
mod rights;
mod streams;
mod torture;
mod versions;
