//! Accreditations as they are shown: by the calendar of today, and with a person's stand-down.

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::app::App;
use crate::app::page::{Page, PageRequest};
use crate::app::token::Filter;
use crate::domain::accreditation::{Accreditation, AccreditationLevel, stood_down, valid_days};
use crate::domain::caller::Caller;
use crate::domain::days::today_in;
use crate::domain::ids::AccreditationId;
use crate::domain::kind::Kind;
use crate::error::Error;
use crate::store::accreditation::{AccreditationFilter, list_accreditations, list_for};
use crate::store::person::{LastTouch, last_touch};

/// An accreditation on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownAccreditation {
    /// The accreditation; its state is that of the day.
    pub accreditation: Accreditation,
    /// Since when the person has stood down.
    pub stood_down_since: Option<Date>,
}

impl App {
    /// The server's date in UTC.
    pub(crate) fn today(&self) -> Date {
        today_in(&TimeZone::UTC, self.now())
    }

    /// One accreditation as it is today.
    ///
    /// # Errors
    /// `NotFound` when there is none that the caller may see.
    pub async fn get_accreditation(
        &self,
        caller: &Caller,
        id: AccreditationId,
        min_revision: i64,
    ) -> Result<ShownAccreditation, Error> {
        let mut found = self.seen_accreditation(caller, id).await?;
        if 0 < min_revision {
            self.feed.reach(found.organization.scope(), min_revision).await?;
            found = self.seen_accreditation(caller, id).await?;
        }
        let shown = self.show(vec![found], self.today()).await?;
        shown.into_iter().next().ok_or_else(|| Error::not_found(Kind::Accreditation, id))
    }

    /// Accreditations of an operator by id, as they are on the filter's day.
    ///
    /// # Errors
    /// `NotFound` when the caller may not see the operator's people; `PageToken` when the token is of another list.
    pub async fn list_accreditations(
        &self,
        caller: &Caller,
        mut filter: AccreditationFilter,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<ShownAccreditation>, Error> {
        self.expect_seen(caller, filter.operator, Kind::Organization, filter.operator).await?;
        self.feed.reach(filter.operator.scope(), min_revision).await?;
        let text =
            format!("{:?} {:?} {:?} {:?}", filter.level, filter.subject, filter.activity, filter.state);
        let bound = Filter::of(&[b"accreditations", filter.operator.uuid().as_bytes(), text.as_bytes()]);
        filter.after = page.id_position(self, bound)?;
        let rows = list_accreditations(self.store.pool(), &filter, page.limit()).await?;
        let Page { rows, next } = page.cut(self, bound, rows, |row| row.id.uuid().as_bytes().to_vec());
        Ok(Page { rows: self.show(rows, filter.today).await?, next })
    }

    async fn show(&self, rows: Vec<Accreditation>, today: Date) -> Result<Vec<ShownAccreditation>, Error> {
        let mut persons: Vec<Uuid> =
            rows.iter().filter(|row| is_person(row)).map(|row| row.subject).collect();
        persons.sort_unstable();
        persons.dedup();
        // Accreditations that join with those on the page count for how long a person has been accredited.
        let (all, touched) = if persons.is_empty() {
            (Vec::new(), HashMap::new())
        } else {
            let pool = self.store.pool();
            (list_for(pool, &persons, None).await?, last_touch(pool, &persons, today).await?)
        };
        let show = |row: Accreditation| {
            let days = self.policy.stand_down_days;
            let stood_down_since = stood_down_since(&row, &all, &touched, today, days);
            let state = row.state_on(today);
            ShownAccreditation { accreditation: Accreditation { state, ..row }, stood_down_since }
        };
        Ok(rows.into_iter().map(show).collect())
    }
}

fn is_person(of: &Accreditation) -> bool {
    of.level == AccreditationLevel::Person
}

fn stood_down_since(
    of: &Accreditation,
    all: &[Accreditation],
    touched: &HashMap<Uuid, LastTouch>,
    today: Date,
    stand_down_days: u16,
) -> Option<Date> {
    let holds = of.valid_days().intervals().iter().any(|days| days.contains(today));
    if !is_person(of) || !holds {
        return None;
    }
    let same = |other: &&Accreditation| other.subject == of.subject && other.activity == of.activity;
    let joined: Vec<Accreditation> = all.iter().filter(same).cloned().collect();
    let valid = valid_days(&joined);
    let since = valid.intervals().iter().find(|days| days.contains(today))?.first();
    let touch = touched.get(&of.subject).copied().unwrap_or_default();
    stood_down(today, touch.worked, touch.refreshed, since, stand_down_days)
}
