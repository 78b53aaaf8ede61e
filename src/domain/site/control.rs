//! What quality control of tasks says of a clearance. A report that no task has is taken as it is: much land was
//! cleared before its tasks were recorded here.

use jiff::civil::Date;

use crate::domain::ids::TaskId;
use crate::domain::site::LandRelease;
use crate::domain::text::{Code, Source};

/// A quality control of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The task.
    pub task: TaskId,
    /// Its code.
    pub code: Code,
    /// The depth that was ordered, in centimetres; 0 for none.
    pub depth_cm: i32,
    /// Whether the task was given up.
    pub is_cancelled: bool,
    /// The day.
    pub inspected_on: Date,
    /// Whether the work was accepted.
    pub passed: bool,
    /// Number of the report.
    pub reference: Source,
}

/// What quality control says against a clearance. `controls` are those of tasks on its ground, by task, the oldest
/// first.
#[must_use]
pub fn faults(release: &LandRelease, evidence_on: Date, controls: &[Control]) -> Vec<String> {
    // A report may have been given the same number again after the rework: what it said last counts.
    let named =
        last_of_each(controls.iter().filter(|of| Some(&of.reference) == release.quality_control.as_ref()));
    let last = last_of_each(controls.iter());
    let mut failed: Vec<&Control> = named.iter().copied().filter(|of| !of.passed).collect();
    for of in last.iter().copied().filter(|of| !of.passed && !is_taken_over(of, &last)) {
        if !failed.contains(&of) {
            failed.push(of);
        }
    }
    let told = failed.into_iter().map(|of| {
        let Control { code, inspected_on, .. } = of;
        let reference = of.reference.as_str();
        format!(
            "quality control {reference} of task {code} failed on {inspected_on}; name the report that passed"
        )
    });
    let mut faults: Vec<String> = told.collect();
    for of in named.iter().filter(|of| of.passed && of.inspected_on <= evidence_on) {
        let (reference, inspected_on) = (of.reference.as_str(), of.inspected_on);
        faults.push(format!(
            "quality control {reference} of {inspected_on} is not after the last evidence of danger, of {evidence_on}"
        ));
    }
    // A report that is not known here does not make what was ordered any less deep.
    let measured = if named.is_empty() { &last } else { &named };
    faults.extend(measured.iter().filter_map(|of| too_shallow(release, of)));
    faults
}

/// The last control of each task.
fn last_of_each<'a>(controls: impl Iterator<Item = &'a Control>) -> Vec<&'a Control> {
    let mut last: Vec<&Control> = Vec::new();
    for control in controls {
        last.retain(|of| of.task != control.task);
        last.push(control);
    }
    last
}

/// Whether another task did the work of one that failed and was given up.
fn is_taken_over(failed: &Control, last: &[&Control]) -> bool {
    let by = |of: &&Control| of.passed && of.task != failed.task && failed.inspected_on <= of.inspected_on;
    failed.is_cancelled && last.iter().any(by)
}

fn too_shallow(release: &LandRelease, of: &Control) -> Option<String> {
    let depth_cm = release.depth_cm.filter(|depth| *depth < of.depth_cm && !of.is_cancelled)?;
    let (code, ordered) = (&of.code, of.depth_cm);
    Some(format!(
        "depth_cm is {depth_cm}, but task {code} was ordered to clear to {ordered}; clear it to there"
    ))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use uuid::Uuid;

    use super::*;
    use crate::domain::site::ReleaseType;
    use crate::domain::site::sample::release;

    const EVIDENCE: Date = date(2014, 6, 30);

    fn control(task: u128, day: i8, passed: bool, reference: &str) -> Control {
        Control {
            task: TaskId::new(Uuid::from_u128(task)),
            code: Code::parse(&format!("T-{task}")).unwrap(),
            depth_cm: 20,
            is_cancelled: false,
            inspected_on: date(2015, 1, day),
            passed,
            reference: Source::parse(reference).unwrap(),
        }
    }

    /// The faults of a clearance to 20 cm by report QC-7.
    fn of(controls: &[Control]) -> String {
        faults(&release(ReleaseType::Cleared, date(2024, 2, 29)), EVIDENCE, controls).join("; ")
    }

    #[test]
    fn what_passed_and_what_nobody_knows_is_taken() {
        assert_eq!(of(&[]), "");
        assert_eq!(of(&[control(1, 2, true, "QC-6")]), "");
        assert_eq!(of(&[control(1, 2, false, "QC-7"), control(1, 3, true, "QC-7")]), "");
    }

    #[test]
    fn what_failed_last_is_told_whether_it_is_named_or_not() {
        let failed = of(&[control(1, 2, true, "QC-6"), control(1, 3, false, "QC-7")]);
        assert!(failed.starts_with("quality control QC-7 of task T-1 failed on 2015-01-03"), "{failed}");
        assert_eq!(failed.matches("failed").count(), 1, "{failed}");
        let other = of(&[control(1, 2, false, "QC-6"), control(2, 3, true, "QC-7")]);
        assert!(other.contains("QC-6 of task T-1 failed"), "{other}");
        let given_up = Control { is_cancelled: true, ..control(1, 2, false, "QC-6") };
        assert_eq!(of(&[given_up.clone(), control(2, 2, true, "QC-7")]), "");
        assert_ne!(of(&[given_up]), "", "nobody took it over");
    }

    #[test]
    fn a_clearance_is_as_deep_as_was_ordered_and_controlled_after_the_evidence() {
        let deeper = |reference| Control { depth_cm: 21, ..control(1, 2, true, reference) };
        for reference in ["QC-7", "QC-6"] {
            let shallow = of(&[deeper(reference)]);
            assert!(shallow.contains("depth_cm is 20, but task T-1 was ordered to clear to 21"), "{shallow}");
        }
        // Another task cleared its own part of the ground.
        assert_eq!(of(&[deeper("QC-6"), control(2, 2, true, "QC-7")]), "");
        let old = of(&[Control { inspected_on: EVIDENCE, ..control(1, 2, true, "QC-7") }]);
        assert!(old.contains("is not after the last evidence"), "{old}");
    }
}
