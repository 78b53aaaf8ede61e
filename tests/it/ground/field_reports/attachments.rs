//! Files that reports declare: uploads that are cut, resumed, doubled and wrong, downloads, and who learns what.

mod bucket;
mod lies;
mod lost;
mod orphans;
mod process;
mod replicas;
mod resume;
pub(super) mod rig;
mod rights;
mod s3;
mod whole;
