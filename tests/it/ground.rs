//! The operations side: sites, tasks, teams and assignments, over real gRPC. Each part has a file of its own.

mod accreditations;
mod assets;
mod assignments;
mod feed_rig;
mod field_reports;
mod land;
mod licences;
mod locks;
mod many_sites;
mod member_names;
mod members;
mod outlines;
mod releases;
mod safety_stops;
mod site_views;
mod sites;
mod tasks;
mod team_feed;
mod team_feed_model;
mod team_feed_parts;
mod team_feed_story;
pub(crate) mod teams;
