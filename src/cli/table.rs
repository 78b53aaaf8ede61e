//! Budget rows and land as readable tables.

use comfy_table::{CellAlignment, Table, presets};

use crate::domain::money::format_minor_units;
use crate::rpc::pb;

/// Rows of a report, amounts with thousands separators, codes indented by depth.
pub(super) fn rows(rows: &[pb::BudgetReportRow], labels: &[String], exponent: u8) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut header = vec!["Allocation".to_owned()];
    header.extend(labels.iter().cloned());
    table.set_header(header);
    for row in rows {
        let indent = "  ".repeat(usize::try_from(row.depth).unwrap_or(0));
        let mut cells = vec![format!("{indent}{}", row.code)];
        cells.extend(amounts(row.buckets.as_ref()).map(|amount| format_minor_units(amount, exponent)));
        table.add_row(cells);
    }
    lines(table)
}

/// Sums of the land ledger, a row each, with thousands separators.
pub(super) fn land(rows: &[(String, pb::LandSums)]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "Years",
        "Opening",
        "Identified",
        "Remeasured",
        "Cancelled",
        "Reduced",
        "Cleared",
        "Closing",
    ]);
    for (name, sums) in rows {
        let mut cells = vec![name.clone()];
        let columns = [
            sums.opening_m2,
            sums.identified_m2,
            sums.remeasured_m2,
            sums.cancelled_m2,
            sums.reduced_m2,
            sums.cleared_m2,
            sums.closing_m2,
        ];
        // Square metres have no smaller unit.
        cells.extend(columns.map(|area| format_minor_units(area, 0)));
        table.add_row(cells);
    }
    lines(table)
}

/// Totals in one line.
pub(super) fn totals(of: &pb::BudgetTotals, currency: &str, exponent: u8) -> String {
    let show = |amount: i64| format_minor_units(amount, exponent);
    format!(
        "total {currency} {}: available {}, reserved {}, obligated {}, advanced {}, expended {}",
        show(of.received),
        show(of.available),
        show(of.reserved),
        show(of.obligated),
        show(of.advanced),
        show(of.expended)
    )
}

fn amounts(buckets: Option<&pb::Buckets>) -> [i64; 7] {
    let of = buckets.copied().unwrap_or_default();
    [of.received, of.available, of.allocated_out, of.reserved, of.obligated, of.advanced, of.expended]
}

/// The table as text, numbers to the right.
fn lines(mut table: Table) -> String {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}
