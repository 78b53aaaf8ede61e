//! Sites: recording and reading them.

use safelane::rpc::pb;
use tonic::{Code, Status};

use super::teams::organization;
use crate::bad_input::{day, names};
use crate::desk::reason;
use crate::harness::{World, fresh_id, in_world};

/// Records the authority of Zimbabwe and answers its id.
pub(super) async fn authority(world: &World) -> String {
    organization(world, pb::OrganizationKind::Authority, "ZIMAC", "ZW").await
}

/// A site to record.
pub(super) fn site(authority: &str, code: &str, area_m2: i64) -> pb::Site {
    pb::Site {
        site_id: fresh_id(),
        authority_id: authority.to_owned(),
        code: code.to_owned(),
        name: "Burma Valley".to_owned(),
        class: pb::HazardClass::Cha.into(),
        area_m2,
        position: Some(pb::Position { latitude: -19.1, longitude: 32.8, accuracy_m: 20 }),
        time_zone: "Africa/Harare".to_owned(),
        information_on: Some(day(1998, 3, 1)),
        evidence: "Records of 1976".to_owned(),
        ..pb::Site::default()
    }
}

/// Records a site and answers it.
pub(super) async fn created(world: &World, site: pb::Site) -> pb::Site {
    let request = pb::CreateSiteRequest { site: Some(site) };
    world.sites().create_site(request).await.expect("it is recorded").into_inner().site.unwrap()
}

/// Expects that a rule says no, and some of what it tells.
pub(super) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, expected: &str, facts: &[(&str, &str)]) {
    let status = answer.expect_err("refused");
    let (name, told) = reason(&status);
    assert_eq!((status.code(), name.as_str()), (Code::FailedPrecondition, expected), "{status:?}");
    for (fact, value) in facts {
        assert_eq!(told.get(*fact).map(String::as_str), Some(*value), "{told:?}");
    }
}

#[tokio::test]
async fn a_site_is_recorded_once_and_read_back() {
    in_world(async |world| {
        let authority = authority(world).await;
        let new = pb::CreateSiteRequest { site: Some(site(&authority, "ZW-0042", 806_000)) };
        let first = world.sites().create_site(new.clone()).await.unwrap().into_inner();
        assert_eq!(first.revision, 2);
        assert_eq!(world.sites().create_site(new.clone()).await.unwrap().into_inner(), first);
        let site = first.site.unwrap();
        assert_eq!((site.country_code.as_str(), site.area_m2, site.revision), ("ZW", 806_000, 2));
        assert_eq!(site.position, new.site.as_ref().unwrap().position);
        let get = pb::GetSiteRequest { site_id: site.site_id.clone(), min_revision: 2 };
        assert_eq!(world.sites().get_site(get).await.unwrap().into_inner().site, Some(site));
        let mut taken = new.site.unwrap();
        taken.site_id = fresh_id();
        let request = pb::CreateSiteRequest { site: Some(taken) };
        refused(world.sites().create_site(request).await, "CODE_TAKEN", &[("code", "ZW-0042")]);
    })
    .await;
}

#[tokio::test]
async fn bad_fields_are_all_named_and_days_are_those_of_the_place() {
    in_world(async |world| {
        let authority = authority(world).await;
        let bad = pb::Site {
            area_m2: 0,
            time_zone: "Africa/Salisbury".to_owned(),
            position: Some(pb::Position { latitude: -91.0, longitude: f64::NAN, accuracy_m: -1 }),
            ..site(&authority, "zw", 1)
        };
        let five = [
            "site.code",
            "site.area_m2",
            "site.time_zone",
            "site.position.latitude",
            "site.position.longitude",
            "site.position.accuracy_m",
        ];
        let request = pb::CreateSiteRequest { site: Some(bad) };
        names(world.sites().create_site(request).await, &five);
        // It is the leap day in Harare, and still the day before in Greenwich.
        world.clock.set("2000-02-28T22:30:00Z");
        let leap = |time_zone: &str, code: &str| {
            let information_on = Some(day(2000, 2, 29));
            let site =
                pb::Site { information_on, time_zone: time_zone.to_owned(), ..site(&authority, code, 1) };
            pb::CreateSiteRequest { site: Some(site) }
        };
        names(world.sites().create_site(leap("Europe/London", "ZW-1")).await, &["site.information_on"]);
        world.sites().create_site(leap("Africa/Harare", "ZW-2")).await.unwrap();
    })
    .await;
}
