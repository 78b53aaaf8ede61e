//! Methods of mine action.

use crate::domain::words::words;

words! {
    /// A method, as in the minimum data draft of GICHD.
    ActivityType {
        /// Non-technical survey.
        Nts = "NTS",
        /// Technical survey.
        Ts = "TS",
        /// Clearance by deminers.
        ManualClearance = "MANUAL_CLEARANCE",
        /// Work with machines.
        Mechanical = "MECHANICAL",
        /// Work with dogs or rats.
        AnimalDetection = "ANIMAL_DETECTION",
        /// Battle area clearance.
        Bac = "BAC",
        /// Disposal of single items.
        EodSpotTask = "EOD_SPOT_TASK",
        /// Marking and fencing.
        Marking = "MARKING",
        /// Destruction of stockpiles.
        StockpileDestruction = "STOCKPILE_DESTRUCTION",
        /// Survey of land that was surveyed before.
        Resurvey = "RESURVEY",
        /// Explosive ordnance risk education.
        RiskEducation = "RISK_EDUCATION",
        /// Monitoring of work.
        QualityAssurance = "QUALITY_ASSURANCE",
        /// Inspection by samples.
        QcSampling = "QC_SAMPLING",
        /// Victim assistance.
        VictimAssistance = "VICTIM_ASSISTANCE",
        /// Anything else.
        Other = "OTHER",
    }
}
