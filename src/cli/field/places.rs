//! What people call tasks and sites, as far as the team feed told it.

use std::collections::HashMap;

use crate::cli::field::outbox::Outbox;
use crate::error::StartError;
use crate::rpc::pb;
use crate::rpc::pb::safety_stop::Target;

/// Names of tasks and sites, by id.
#[derive(Debug, Clone, Default)]
pub struct Places {
    tasks: HashMap<String, String>,
    sites: HashMap<String, String>,
}

impl Places {
    /// Those that the outbox knows.
    pub(super) fn of(outbox: &Outbox) -> Result<Self, StartError> {
        let tasks = outbox.feed_records::<pb::Task>("task")?.into_iter();
        let sites = outbox.feed_records::<pb::FeedSite>("site")?.into_iter().filter_map(|of| of.site);
        Ok(Self {
            tasks: tasks.map(|task| (task.task_id, format!("{} {}", task.code, task.title))).collect(),
            sites: sites.map(|site| (site.site_id, format!("{} {}", site.code, site.name))).collect(),
        })
    }

    /// Whether people can be told what a stop is about. One comes before the task or the site that it is on.
    pub(super) fn know(&self, stop: &pb::SafetyStop) -> bool {
        match &stop.target {
            Some(Target::Task(task)) => self.tasks.contains_key(&task.task_id),
            Some(Target::SiteId(site)) => self.sites.contains_key(site),
            Some(Target::OperatorId(_)) | None => true,
        }
    }

    /// What a stop is about.
    pub(super) fn stopped(&self, stop: &pb::SafetyStop) -> String {
        let named = |kind: &str, names: &HashMap<String, String>, id: &String| {
            let unknown = || format!("{kind} {id}, whose code is not known here yet");
            names.get(id).map_or_else(unknown, |name| format!("{kind} {name}"))
        };
        match &stop.target {
            Some(Target::Task(task)) => named("task", &self.tasks, &task.task_id),
            Some(Target::SiteId(site)) => named("site", &self.sites, site),
            Some(Target::OperatorId(_)) | None => "ALL WORK of the operator".to_owned(),
        }
    }
}
