//! In which fields two encodings of one message differ.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _, Value};

use crate::rpc::DESCRIPTOR;

/// Every message and service of the contract; none when the binary was built without, which a test excludes.
pub(super) static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTOR).ok());

/// Path of the first field in which two encodings of a message differ.
pub(super) fn first_difference(message: &str, before: &[u8], after: &[u8]) -> Option<String> {
    differences(message, before, after)?.into_iter().next()
}

/// Paths of all fields in which two encodings of a message differ, in the order of the contract; none when one of them
/// cannot be read. A list is one field.
pub(super) fn differences(message: &str, before: &[u8], after: &[u8]) -> Option<Vec<String>> {
    let descriptor = POOL.as_ref()?.get_message_by_name(message)?;
    let before = DynamicMessage::decode(descriptor.clone(), before).ok()?;
    let after = DynamicMessage::decode(descriptor, after).ok()?;
    let mut paths = Vec::new();
    compare(&before, &after, "", &mut paths);
    Some(paths)
}

fn compare(before: &DynamicMessage, after: &DynamicMessage, parent: &str, paths: &mut Vec<String>) {
    for field in before.descriptor().fields() {
        let (old, new) = (before.get_field(&field), after.get_field(&field));
        let present = before.has_field(&field) == after.has_field(&field);
        if present && old == new {
            continue;
        }
        let path = format!("{parent}{}", field.name());
        match (old.as_ref(), new.as_ref()) {
            (Value::Message(old), Value::Message(new)) if present => {
                compare(old, new, &format!("{path}."), paths);
            }
            _ => paths.push(path),
        }
    }
}

/// Whether a path such as `progress.areas[0].area_m2` names a field of a message. The number of an element is not
/// looked at.
pub(super) fn has_path(message: &str, path: &str) -> bool {
    let Some(mut at) = POOL.as_ref().and_then(|pool| pool.get_message_by_name(message)) else { return false };
    let mut steps = path.split('.').peekable();
    while let Some(step) = steps.next() {
        let (name, index) = step.split_once('[').map_or((step, None), |(name, index)| (name, Some(index)));
        let Some(field) = at.get_field_by_name(name) else { return false };
        let number = index.and_then(|index| index.strip_suffix(']'));
        let is_number = number.is_some_and(|number| number.parse::<u16>().is_ok());
        if index.is_some() && !(field.is_list() && is_number) {
            return false;
        }
        match field.kind().as_message() {
            Some(inner) => at = inner.clone(),
            None => return steps.peek().is_none(),
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::rpc::pb;

    fn paths(before: &pb::Task, after: &pb::Task) -> Vec<String> {
        differences("safelane.v1.Task", &before.encode_to_vec(), &after.encode_to_vec()).unwrap()
    }

    #[test]
    fn all_differences_are_found_in_the_order_of_the_contract() {
        let day = |day| Some(pb::Date { year: 1998, month: 7, day });
        let completion = |reference: &str, on| {
            Some(pb::Completion {
                reference: reference.to_owned(),
                completed_on: day(on),
                ..Default::default()
            })
        };
        let before = pb::Task { title: "a".into(), completion: completion("R", 1), ..pb::Task::default() };
        let mut after =
            pb::Task { site_ids: vec!["s".into()], completion: completion("R", 2), ..before.clone() };
        after.title = "b".into();
        after.first_day = day(1);
        assert_eq!(paths(&before, &before), Vec::<String>::new());
        assert_eq!(paths(&before, &after), ["title", "site_ids", "first_day", "completion.completed_on.day"]);
        assert_eq!(paths(&after, &pb::Task { first_day: None, ..after.clone() }), ["first_day"]);
    }

    #[test]
    fn a_path_names_a_field() {
        let has = |path| has_path("safelane.v1.FieldReport", path);
        for path in
            ["note", "work_date", "progress.areas[0].area_m2", "progress.areas", "ordnance.items[17].model"]
        {
            assert!(has(path), "{path}");
        }
        for path in [
            "",
            "nothing",
            "note.text",
            "note[0]",
            "progress.areas[x]",
            "progress.areas[0",
            "progress..areas",
        ] {
            assert!(!has(path), "{path}");
        }
    }
}
