//! The example as steps: `program_example.csv`, read as it stands.

use uuid::Uuid;

use crate::error::StartError;

const EXAMPLE: &str = include_str!("../program_example.csv");

/// Namespace of the demo's ids: they are made from names, so that every run uses the same ones.
const NAMESPACE: Uuid = Uuid::from_u128(0x5afe_1a9e_0de6_5000_8000_0000_0000_0001);

/// One row of the example.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Its number in the file, such as `8a`.
    pub(super) number: String,
    /// What happens, in the words of the ledger.
    pub(super) action: String,
    /// Node that the money leaves, or `outside`.
    pub(super) from: String,
    /// Node that it reaches.
    pub(super) to: String,
    /// How much, in minor units.
    pub(super) minor_units: i64,
    /// What the file says about it.
    pub(super) note: String,
}

/// The id of something in the demo.
pub(super) fn id(name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// Reads the steps.
pub(super) fn read() -> Result<Vec<Step>, StartError> {
    let rows = EXAMPLE.lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.map(|line| {
        let broken = || StartError::Refused(format!("the example has a broken line: {line:?}"));
        let cells: Vec<&str> = line.split(',').collect();
        let [number, action, from, to, amount, note] = cells.as_slice() else {
            return Err(broken());
        };
        let first = |place: &str| place.split('.').next().unwrap_or_default().to_owned();
        Ok(Step {
            number: (*number).to_owned(),
            action: (*action).to_owned(),
            from: first(from),
            to: first(to),
            minor_units: amount.parse().map_err(|_| broken())?,
            note: (*note).to_owned(),
        })
    })
    .collect()
}
