//! The questions of every kind of report, in the order in which they are asked, with the rules that the contract has for
//! each field.

use prost_reflect::DynamicMessage;

use crate::rpc::pb::{
    ExpendSource, InspectionResult, OrdnanceCategory, OrdnanceCondition, OrdnanceDisposal, ReleaseType,
};

use super::question::{How, Question, ask, choice, chosen, number, number_in, optional_choice, text, when};

/// What is before it is held, since the clock of the tablet was reset.
const FIRST_YEAR: i16 = 1990;
const AREA_M2_MAX: i64 = 10_000_000_000;
const DEPTH_CM_MAX: i64 = 2_000;
const DAY_MINUTES: i64 = 1_440;

/// What every report begins with.
pub(super) const HEAD: &[Question] = &[ask("task_id", "task", How::Task { needed: false }), WORK_DATE];
/// The same for those that are about a task.
pub(super) const HEAD_WITH_TASK: &[Question] =
    &[ask("task_id", "task", How::Task { needed: true }), WORK_DATE];
const WORK_DATE: Question =
    ask("work_date", "day of the work", How::Day { needed: true, from_year: FIRST_YEAR });
/// What every report ends with.
pub(super) const NOTE: &[Question] = &[text("note", "note", 0, 4_000)];

const PLACE: Question = ask("position", "position", How::Position);

const AREA: &[Question] = &[
    ask("site_id", "site", How::Site { needed: true }),
    choice("type", "how it was released"),
    number("area_m2", "square metres", 1, AREA_M2_MAX),
    when(
        |area| chosen(area, "type", ReleaseType::Cleared),
        number("depth_cm", "depth in centimetres", 1, DEPTH_CM_MAX),
    ),
];
const AREAS: Question = ask(
    "areas",
    "was land released",
    How::Rows { least: 0, most: 100, more: "was more land released", of: AREA },
);

/// A survey clears nothing.
const SURVEYED_AREA: &[Question] = &[
    ask("site_id", "site", How::Site { needed: true }),
    ask("type", "how it was released", How::Choice { needed: true, without: &[ReleaseType::Cleared as i32] }),
    number("area_m2", "square metres", 1, AREA_M2_MAX),
];

const ITEM: &[Question] = &[
    choice("category", "category"),
    ask("improvised", "was it improvised", How::Yes),
    when(|item| chosen(item, "category", OrdnanceCategory::Other), text("model", "what it is", 1, 100)),
    when(
        |item| !chosen(item, "category", OrdnanceCategory::Other),
        text("model", "model, such as PMN-2", 0, 100),
    ),
    number("quantity", "how many", 1, 1_000_000),
    choice("condition", "condition"),
    choice("disposal", "what became of it"),
    number("depth_cm", "depth in centimetres at which it lay", 0, DEPTH_CM_MAX),
    PLACE,
    when(is_other, text("note", "what is other about condition or disposal", 1, 1_000)),
    when(|item| !is_other(item), text("note", "note about it", 0, 1_000)),
];

const PEOPLE: &[Question] = &[
    number("girls", "girls", 0, 1_000_000),
    number("boys", "boys", 0, 1_000_000),
    number("women", "women", 0, 1_000_000),
    number("men", "men", 0, 1_000_000),
];
const DIRECT: Question = ask(
    "direct",
    "direct beneficiaries",
    How::Part { first: "were the people counted whom it is for", of: PEOPLE },
);
const INDIRECT: Question = ask(
    "indirect",
    "indirect beneficiaries",
    How::Part { first: "were the people around them counted", of: PEOPLE },
);

pub(super) const PROGRESS: &[Question] = &[
    choice("activity", "activity of the day"),
    AREAS,
    ask(
        "worked",
        "did people work",
        How::Rows {
            least: 0,
            most: 20,
            more: "did others work",
            of: &[
                choice("role", "their role"),
                number("people", "how many people", 1, 1_000),
                ask("minutes", "minutes of all of them together", How::Minutes),
            ],
        },
    ),
    number("machine_minutes", "minutes of all machines", 0, 100_000),
    ask(
        "stand_downs",
        "did work stand still",
        How::Rows {
            least: 0,
            most: 20,
            more: "did it stand still again",
            of: &[
                choice("cause", "why"),
                number("minutes", "minutes that it took", 1, DAY_MINUTES),
                text("note", "note about it", 0, 1_000),
            ],
        },
    ),
    number("not_done_m2", "square metres that were planned and not done", 0, AREA_M2_MAX),
    when(|of| 0 < number_in(of, "not_done_m2"), text("not_done_reason", "why not", 1, 1_000)),
    optional_choice("terrain", "terrain"),
];

pub(super) const SURVEY: &[Question] = &[
    ask("site_id", "site", How::Site { needed: true }),
    choice("kind", "kind of survey"),
    choice("result", "result"),
    text("evidence", "evidence in words", 1, 4_000),
    optional_choice("evidence_type", "evidence"),
    ask("suspected", "ordnance that may be there", How::Choices { most: 20 }),
    number("estimated_area_m2", "estimated square metres of the hazard", 0, AREA_M2_MAX),
    ask(
        "areas",
        "does it release land",
        How::Rows { least: 0, most: 100, more: "does it release more land", of: SURVEYED_AREA },
    ),
    DIRECT,
    INDIRECT,
];

pub(super) const ORDNANCE: &[Question] = &[
    ask("site_id", "site", How::Site { needed: false }),
    ask("items", "was more found", How::Rows { least: 1, most: 500, more: "was more found", of: ITEM }),
];

pub(super) const COMPLETION: &[Question] = &[
    text("reference", "reference of the completion report", 1, 100),
    ask(
        "areas",
        "was land released that was not reported before",
        How::Rows { least: 0, most: 100, more: "was more land released", of: AREA },
    ),
    text("not_done", "what was not done, and why", 0, 1_000),
    DIRECT,
    INDIRECT,
];

pub(super) const SPOT_TASK: &[Question] = &[
    text("place", "place in words", 1, 200),
    ask("items", "was something found", How::Rows { least: 0, most: 500, more: "was more found", of: ITEM }),
    DIRECT,
    INDIRECT,
];

pub(super) const ACCIDENT: &[Question] = &[
    choice("kind", "what happened"),
    optional_choice("category", "category of the device that was involved"),
    text("description", "what happened, in words, without names of victims", 1, 4_000),
    PLACE,
    ask(
        "victims",
        "was somebody harmed",
        How::Rows { least: 0, most: 100, more: "was somebody else harmed", of: VICTIM },
    ),
    ask("halt_work", "must work on the task stop", How::Yes),
];

const VICTIM: &[Question] = &[ask("details", "", How::Part { first: "", of: DETAILS })];
const DETAILS: &[Question] = &[
    choice("outcome", "what became of the person"),
    optional_choice("group", "who it is"),
    text("name", "name", 0, 200),
    text("identification", "number of a paper", 0, 200),
    ask("born_on", "day of birth", How::Day { needed: false, from_year: 1 }),
    text("address", "address", 0, 500),
    text("activity", "what the person was doing", 0, 500),
    optional_choice("tampering", "did the person tamper with the device"),
];

pub(super) const RISK_EDUCATION: &[Question] = &[
    text("topic", "topic of the session", 1, 200),
    text("method", "method, such as theatre", 0, 200),
    text("language", "language", 0, 50),
    number("minutes", "minutes that it took", 1, DAY_MINUTES),
    DIRECT,
    INDIRECT,
];

pub(super) const INSPECTION: &[Question] = &[
    choice("result", "result"),
    optional_choice("activity", "activity that was inspected"),
    ask(
        "organization_id",
        "organization whose work it is, by id, if it is not your own",
        How::Id { needed: false },
    ),
    number("sampled_m2", "square metres that were inspected", 0, AREA_M2_MAX),
    ask(
        "finds",
        "was ordnance found in the sample",
        How::Rows { least: 0, most: 500, more: "was more found", of: ITEM },
    ),
    text("findings", "findings in words", 1, 4_000),
    when(fails, text("nonconformity", "type of the non-conformity", 0, 200)),
    when(fails, text("measures", "measures that were taken at once", 0, 4_000)),
    when(
        fails,
        ask(
            "measures_due",
            "day by which measures are to be taken",
            How::Day { needed: false, from_year: FIRST_YEAR },
        ),
    ),
    when(
        |of| chosen(of, "result", InspectionResult::Critical),
        ask("halt_work", "must work on the task stop", How::Yes),
    ),
];

fn fails(inspection: &DynamicMessage) -> bool {
    !chosen(inspection, "result", InspectionResult::Conforming)
}

pub(super) const EXPENSE_CLAIM: &[Question] = &[
    choice("source", "which bucket pays"),
    when(
        |of| !chosen(of, "source", ExpendSource::Available),
        ask("obligation_id", "obligation, by id", How::Id { needed: true }),
    ),
    ask("amount", "amount with its currency", How::Money),
    choice("category", "category of the cost"),
    text("payee", "who was paid", 1, 200),
    text("reference", "reference of the receipt", 0, 100),
];

fn is_other(item: &DynamicMessage) -> bool {
    chosen(item, "condition", OrdnanceCondition::Other) || chosen(item, "disposal", OrdnanceDisposal::Other)
}
