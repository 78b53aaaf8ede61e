//! Ids that this program and the SQL that loads the ground make alike.

/// What an id is of. The SQL uses more numbers than this program.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    Operator = 1,
    Team = 6,
    Person = 7,
    Ambulance = 8,
    Detector = 9,
    Task = 10,
    Later = 15,
}

/// The id of one of them. Ids of neighbours are neighbours, as those of version 7 are.
pub(crate) fn id(of: Of, number: i64) -> String {
    format!("{:08x}-0000-7000-8000-{number:012x}", of as u32)
}

/// The same as an SQL function.
pub(crate) const FUNCTION: &str = "CREATE FUNCTION bench_id(kind INTEGER, number BIGINT) RETURNS UUID
    LANGUAGE SQL IMMUTABLE PARALLEL SAFE
    RETURN (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::UUID";
