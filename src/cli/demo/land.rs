//! The land of the demo: confirmed hazardous areas of Zimbabwe as they were published for the ends of three years,
//! with their re-measurements and splits.

use std::io::Write;

use crate::cli::client::{Connection, refused};
use crate::cli::demo::say;
use crate::cli::demo::steps::id;
use crate::cli::table;
use crate::error::StartError;
use crate::rpc::pb;
use crate::rpc::pb::site_service_client::SiteServiceClient;

const AREAS: &str = include_str!("../zimbabwe_cha.csv");

/// Years at whose end the source gives areas, in the order of its columns.
const YEARS: [i32; 3] = [2014, 2016, 2017];

/// Code, name and area of a part.
type Part = (&'static str, &'static str, i64);

/// The splits of 2017: the site, and code, name and area of its parts.
const SPLITS: [(&str, [Part; 2]); 2] = [
    ("ZW-01", [("ZW-01A", "Musengezi-Mazowe", 11_784_543), ("ZW-01B", "Mazowe-Rwenya", 11_802_059)]),
    (
        "ZW-02",
        [("ZW-02A", "Mwenezi-Sango Sector 3", 16_508_588), ("ZW-02B", "Mwenezi-Sango Sector 4", 7_196_038)],
    ),
];

/// A place of the source: its code, its name, and its area at the end of each year; none when it is not listed.
struct Place {
    code: String,
    name: String,
    areas: [Option<i64>; YEARS.len()],
}

/// Records the land, and shows its ledger.
pub(super) struct Surveyor {
    sites: SiteServiceClient<Connection>,
    authority: String,
}

impl Surveyor {
    pub(super) fn new(connection: Connection) -> Self {
        Self { sites: SiteServiceClient::new(connection), authority: id("authority").to_string() }
    }

    /// Plays the years and shows the land ledger of each.
    pub(super) async fn play(&mut self, out: &mut (dyn Write + Send)) -> Result<(), StartError> {
        for place in places()? {
            self.record(&place).await?;
        }
        say(
            out,
            "\nThe land, in square metres. The source gives areas at the ends of years: what differs is booked as\n\
             re-measurement, and what it no longer lists as cleared.",
        )?;
        let mut rows = Vec::with_capacity(YEARS.len());
        let mut first_day = day(2014, 1, 1);
        for year in YEARS {
            let last_day = day(year, 12, 31);
            rows.push((format!("to end of {year}"), self.sums(first_day, last_day).await?));
            first_day = day(year + 1, 1, 1);
        }
        say(out, &table::land(&rows))
    }

    /// One place through the years.
    async fn record(&mut self, place: &Place) -> Result<(), StartError> {
        let [Some(found), second, third] = place.areas else { return Err(broken(&place.name)) };
        let (mut known_at, mut known) = (self.identify(place, found).await?, found);
        for (year, area) in [(2016, second), (2017, third)] {
            known_at = match area {
                // What was measured as before, or closed before, is not booked again.
                Some(area) if area == known => known_at,
                None if known == 0 => known_at,
                Some(area) => self.remeasure(place, area, year, known_at).await?,
                None => self.close(place, year, known_at).await?,
            };
            known = area.unwrap_or(0);
        }
        for (_, parts) in SPLITS.iter().filter(|(code, _)| *code == place.code) {
            self.split(place, parts, known_at).await?;
        }
        Ok(())
    }

    async fn identify(&mut self, place: &Place, area_m2: i64) -> Result<i64, StartError> {
        let site = pb::Site {
            site_id: site_id(&place.code),
            authority_id: self.authority.clone(),
            code: place.code.clone(),
            name: place.name.clone(),
            class: pb::HazardClass::Cha.into(),
            area_m2,
            time_zone: "Africa/Harare".to_owned(),
            information_on: Some(day(2014, 12, 31)),
            ..Default::default()
        };
        let request = pb::CreateSiteRequest { site: Some(site) };
        let answer = self.sites.create_site(request).await.map_err(refused)?.into_inner();
        Ok(answer.revision)
    }

    async fn remeasure(
        &mut self,
        place: &Place,
        area_m2: i64,
        year: i32,
        expected_revision: i64,
    ) -> Result<i64, StartError> {
        let request = pb::RecordRemeasurementRequest {
            request_id: id(&format!("measure {} {year}", place.code)).to_string(),
            site_id: site_id(&place.code),
            area_m2,
            measured_on: Some(day(year, 12, 31)),
            reason: format!("Area published for the end of {year}"),
            expected_revision,
            ..Default::default()
        };
        let answer = self.sites.record_remeasurement(request).await.map_err(refused)?.into_inner();
        Ok(answer.revision)
    }

    /// Depth and report are not in the source.
    async fn close(&mut self, place: &Place, year: i32, expected_revision: i64) -> Result<i64, StartError> {
        let release = pb::LandRelease {
            r#type: pb::ReleaseType::Cleared.into(),
            decided_on: Some(day(year, 12, 31)),
            decided_by: "Example decision".to_owned(),
            depth_cm: 13,
            quality_control: "Example report".to_owned(),
            ..Default::default()
        };
        let request = pb::CloseSiteRequest {
            request_id: id(&format!("close {}", place.code)).to_string(),
            site_id: site_id(&place.code),
            release: Some(release),
            expected_revision,
        };
        let answer = self.sites.close_site(request).await.map_err(refused)?.into_inner();
        Ok(answer.revision)
    }

    async fn split(
        &mut self,
        place: &Place,
        parts: &[Part],
        expected_revision: i64,
    ) -> Result<(), StartError> {
        let part = |(code, name, area_m2): &Part| pb::SitePart {
            site_id: site_id(code),
            code: (*code).to_owned(),
            name: (*name).to_owned(),
            area_m2: *area_m2,
            ..Default::default()
        };
        let request = pb::SplitSiteRequest {
            request_id: id(&format!("split {}", place.code)).to_string(),
            site_id: site_id(&place.code),
            split_on: Some(day(2017, 12, 31)),
            reason: "Sectors of 2017".to_owned(),
            parts: parts.iter().map(part).collect(),
            expected_revision,
        };
        self.sites.split_site(request).await.map_err(refused)?;
        Ok(())
    }

    async fn sums(&mut self, first_day: pb::Date, last_day: pb::Date) -> Result<pb::LandSums, StartError> {
        let request = pb::GetLandLedgerRequest {
            authority_id: self.authority.clone(),
            first_day: Some(first_day),
            last_day: Some(last_day),
            ..Default::default()
        };
        let answer = self.sites.get_land_ledger(request).await.map_err(refused)?.into_inner();
        Ok(answer.totals.unwrap_or_default())
    }
}

/// The rows of the source, with codes by their order.
fn places() -> Result<Vec<Place>, StartError> {
    let rows =
        AREAS.lines().filter(|line| !line.starts_with(['#', '\u{feff}']) && !line.starts_with("TOTAL"));
    rows.skip(1).zip(1..).map(|(line, number)| place(line, number)).collect()
}

fn place(line: &str, number: i32) -> Result<Place, StartError> {
    let cells: Vec<&str> = line.split(',').collect();
    let [name, areas @ ..] = cells.as_slice() else { return Err(broken(line)) };
    let area = |text: &&str| match *text {
        "" => Ok(None),
        digits => digits.parse().map(Some).map_err(|_| broken(line)),
    };
    let areas = areas.iter().map(area).collect::<Result<Vec<_>, _>>()?;
    let areas = areas.try_into().map_err(|_| broken(line))?;
    Ok(Place { code: format!("ZW-{number:02}"), name: (*name).to_owned(), areas })
}

fn broken(line: &str) -> StartError {
    StartError::Refused(format!("the land of the example has a broken line: {line:?}"))
}

fn site_id(code: &str) -> String {
    id(&format!("site {code}")).to_string()
}

fn day(year: i32, month: i32, day: i32) -> pb::Date {
    pb::Date { year, month, day }
}
