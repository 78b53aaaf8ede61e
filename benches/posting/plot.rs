//! Throughput over entries in flight, as SVG.

use std::path::Path;

use plotters::prelude::*;

use crate::Failure;
use crate::load::Mode;
use crate::results::Results;

const SIZE: (u32, u32) = (960, 600);
/// One colour for each spread; streams have full lines and dots, calls thin ones.
const COLOURS: [RGBColor; 3] = [RGBColor(200, 30, 30), RGBColor(30, 130, 60), RGBColor(30, 70, 190)];
const GREY: RGBColor = RGBColor(110, 110, 110);

/// A line of the plot.
struct Curve {
    name: String,
    colour: RGBColor,
    width: u32,
    places: Vec<(u64, u64)>,
}

/// Draws all points and the two lines of the baseline.
pub(crate) fn draw(results: &Results, path: &Path) -> Result<(), Failure> {
    let curves = curves(results);
    let all = || curves.iter().flat_map(|curve| &curve.places);
    let right = all().map(|place| place.0).max().unwrap_or(1).max(2);
    let (low, high) = (all().map(|place| place.1).min(), all().map(|place| place.1).max());
    let (low, high) = (low.unwrap_or(1).max(2) / 2, high.unwrap_or(1).max(2) * 2);
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("Entries a second by entries in flight", ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(80)
        .build_cartesian_2d((1..right).log_scale(), (low..high).log_scale())?;
    chart.configure_mesh().x_desc("in flight").y_desc("entries a second").light_line_style(WHITE).draw()?;
    for curve in curves {
        let style = curve.colour.stroke_width(curve.width);
        let dots =
            curve.places.iter().map(|place| Circle::new(*place, curve.width + 1, curve.colour.filled()));
        chart.draw_series(dots.collect::<Vec<_>>())?;
        chart
            .draw_series(LineSeries::new(curve.places, style))?
            .label(curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(GREY)
        .draw()?;
    drop(chart);
    Ok(area.present()?)
}

fn curves(results: &Results) -> Vec<Curve> {
    let mut spreads: Vec<usize> = results.points.iter().map(|point| point.allocations).collect();
    spreads.sort_unstable();
    spreads.dedup();
    let mut curves = Vec::new();
    for (mode, width) in [(Mode::Streamed, 3), (Mode::Unary, 1)] {
        for (spread, colour) in spreads.iter().zip(COLOURS) {
            let points =
                results.points.iter().filter(|point| (point.mode, point.allocations) == (mode, *spread));
            let places = points.map(|point| (point.in_flight as u64, point.median().per_second)).collect();
            curves.push(Curve {
                name: format!("{}, {spread} allocations", mode.name()),
                colour,
                width,
                places,
            });
        }
    }
    let right = results.points.iter().map(|point| point.in_flight as u64).max().unwrap_or(1);
    for (name, run) in [
        ("pgbench spread", results.baseline(|run| run.spread)),
        ("pgbench hot", results.baseline(|run| run.hot)),
    ] {
        let places = vec![(1, run.per_second), (right, run.per_second)];
        curves.push(Curve { name: name.to_owned(), colour: GREY, width: 1, places });
    }
    curves
}
