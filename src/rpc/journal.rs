//! Events as bytes: what is stored, hashed and streamed is the message that clients receive.

use prost::Message;
use sha2::{Digest as _, Sha256};

use crate::app::codec::EventCodec;
use crate::app::command::{Command, Event, Place};
use crate::domain::currency::Currency;
use crate::domain::entry::PostedEntry;
use crate::domain::ids::AllocationId;
use crate::domain::program::{Balance, Buckets, Turnover};
use crate::error::Error;
use crate::rpc::change;
use crate::rpc::convert::entry::{Context, read_entry, read_outcome};
use crate::rpc::convert::{self, entry_out, read_timestamp};
use crate::rpc::difference::first_difference;
use crate::rpc::pb;
use crate::rpc::read::Reader;
use crate::store::journal::EventKind;

/// The functions that `app` needs of the wire.
pub const CODEC: EventCodec = EventCodec {
    encode,
    decode,
    digest,
    differs,
    encode_change: change::encode,
    request_differs: change::differs,
    recorded_name: change::recorded_name,
    encode_report: convert::field_report::encode_stored,
    encode_halt: convert::safety_stop::encode_halt,
    read_report: convert::field_report::read_content,
    encode_attachment: convert::field_report::encode_attachment,
    report_differs,
    report_tells,
    victims_of_report: convert::field_report::victims_of,
};

fn report_differs(before: &[u8], after: &[u8]) -> Option<String> {
    first_difference("safelane.v1.FieldReport", before, after).map(|path| format!("report.{path}"))
}

fn report_tells(content: &[u8]) -> Result<[u8; 32], Error> {
    use pb::field_report::Body;
    let sent = read::<pb::FieldReport>(content)?;
    let told = match sent.body {
        Some(Body::ExpenseClaim(claim)) => {
            let pb::ExpenseClaim { payee, reference, amount, .. } = claim;
            let receipt = pb::ExpenseClaim { payee, reference, amount, ..pb::ExpenseClaim::default() };
            pb::FieldReport { body: Some(Body::ExpenseClaim(receipt)), ..pb::FieldReport::default() }
        }
        // A device draws the ids of victims and the salt of their hashes anew: of them only the number tells something.
        Some(Body::Accident(mut accident)) => {
            accident.victims.fill(pb::Victim::default());
            let body = Some(Body::Accident(accident));
            pb::FieldReport { body, note: sent.note, ..pb::FieldReport::default() }
        }
        body => pb::FieldReport { body, note: sent.note, ..pb::FieldReport::default() },
    };
    Ok(Sha256::digest(told.encode_to_vec()).into())
}

fn encode(event: &Event) -> Vec<u8> {
    match event {
        Event::Organization(new) => convert::organization(new).encode_to_vec(),
        Event::Program(new) => convert::program(new, &[]).encode_to_vec(),
        Event::Period(changed) => convert::period(changed).encode_to_vec(),
        Event::Allocation(new) => convert::allocation(new).encode_to_vec(),
        Event::Entry(posted) => entry_out::posted_entry(posted).encode_to_vec(),
        Event::Changed(place) => {
            let recorded_at = Some(convert::timestamp(place.recorded_at));
            pb::Change { revision: place.revision, recorded_at, ..pb::Change::default() }.encode_to_vec()
        }
    }
}

fn decode(kind: EventKind, bytes: &[u8]) -> Result<Event, Error> {
    let corrupt = |told: String| Error::bug(format!("a stored event of kind {kind:?} is unreadable: {told}"));
    let mut reader = Reader::of_stored();
    let event = match kind {
        EventKind::OrganizationCreated => {
            let stored = read::<pb::Organization>(bytes)?;
            convert::read_organization(&mut reader, &stored).map(Event::Organization)
        }
        EventKind::ProgramCreated => {
            let stored = read::<pb::Program>(bytes)?;
            convert::read_program(&mut reader, &stored).map(Event::Program)
        }
        EventKind::PeriodChanged => {
            let stored = read::<pb::Period>(bytes)?;
            convert::read_stored_period(&mut reader, &stored).map(Event::Period)
        }
        EventKind::AllocationCreated => {
            let stored = read::<pb::Allocation>(bytes)?;
            convert::read_stored_allocation(&mut reader, &stored).map(Event::Allocation)
        }
        EventKind::EntryPosted => {
            let stored = read::<pb::PostEntryResponse>(bytes)?;
            read_posted(&mut reader, &stored).map(Event::Entry)
        }
        EventKind::Changed => {
            let stored = read::<pb::Change>(bytes)?;
            let recorded_at = read_timestamp(stored.recorded_at.as_ref());
            Some(Event::Changed(Place { revision: stored.revision, recorded_at }))
        }
        EventKind::ReportReceived => {
            let stored = read::<pb::StoredReport>(bytes)?;
            let recorded_at = read_timestamp(stored.received_at.as_ref());
            Some(Event::Changed(Place { revision: stored.revision, recorded_at }))
        }
        EventKind::AttachmentStored => {
            let stored = read::<pb::AttachmentStored>(bytes)?;
            let recorded_at = read_timestamp(stored.stored_at.as_ref());
            Some(Event::Changed(Place { revision: stored.revision, recorded_at }))
        }
    };
    reader.finish(event).map_err(|error| corrupt(error.to_string()))
}

fn read<M: Message + Default>(bytes: &[u8]) -> Result<M, Error> {
    M::decode(bytes).map_err(|error| Error::Internal(Box::new(error)))
}

fn read_posted(reader: &mut Reader, stored: &pb::PostEntryResponse) -> Option<PostedEntry> {
    let sent = reader.need("entry", stored.entry.as_ref())?;
    let recorded_at = read_timestamp(sent.recorded_at.as_ref());
    let context = Context { currency: currency_of(sent), now: recorded_at };
    let mut entry = read_entry(reader, sent, context)?;
    read_outcome(&mut entry, sent)?;
    let balances: Option<Vec<_>> = stored.allocations.iter().map(|sent| read_balance(reader, sent)).collect();
    Some(PostedEntry {
        entry,
        revision: stored.revision,
        recorded_at,
        recorded_by: sent.recorded_by.clone(),
        balances: balances?,
    })
}

/// The currency of a stored entry: that of its amount. Entries without one (a percentage, a reversal) carry
/// no amount in a currency, so any will do to read them.
pub(super) fn currency_of(sent: &pb::Entry) -> Currency {
    use pb::entry::Action as Sent;
    let amount = match &sent.action {
        Some(Sent::Authorize(of)) => of.amount.as_ref(),
        Some(Sent::Rescind(of)) => of.amount.as_ref(),
        Some(Sent::CarryOver(of)) => of.amount.as_ref(),
        Some(Sent::Allocate(of)) => of.amount.as_ref(),
        Some(Sent::Deallocate(of)) => of.amount.as_ref(),
        Some(Sent::Reserve(of)) => of.amount.as_ref(),
        Some(Sent::Release(of)) => of.amount.as_ref(),
        Some(Sent::Obligate(of)) => of.amount.as_ref(),
        Some(Sent::Deobligate(of)) => of.amount.as_ref(),
        Some(Sent::Disburse(of)) => of.amount.as_ref(),
        Some(Sent::Refund(of)) => of.amount.as_ref(),
        Some(Sent::Expend(of)) => of.amount.as_ref(),
        Some(Sent::Increase(of)) => match &of.amount {
            Some(pb::increase::Amount::By(by)) => Some(by),
            _ => None,
        },
        Some(Sent::Reverse(_)) | None => None,
    };
    let code = amount.map_or("", |amount| amount.currency_code.as_str());
    Currency::parse(code).unwrap_or(Currency::NONE)
}

fn read_balance(reader: &mut Reader, sent: &pb::AllocationBalance) -> Option<(AllocationId, Balance)> {
    let id = reader.id("allocations.allocation_id", &sent.allocation_id, AllocationId::new)?;
    let buckets = sent.buckets.unwrap_or_default();
    let turnover = sent.turnover.unwrap_or_default();
    let balance = Balance {
        buckets: Buckets {
            received: buckets.received,
            available: buckets.available,
            allocated_out: buckets.allocated_out,
            reserved: buckets.reserved,
            obligated: buckets.obligated,
            advanced: buckets.advanced,
            expended: buckets.expended,
        },
        turnover: Turnover {
            received_in: turnover.received_in,
            returned_out: turnover.returned_out,
            expended_in: turnover.expended_in,
            expended_out: turnover.expended_out,
        },
        open_obligations: sent.open_obligations,
    };
    Some((id, balance))
}

/// A request as typed bytes: the fields that callers set, in the order of their numbers.
fn request(command: &Command) -> (&'static str, Vec<u8>) {
    match command {
        Command::CreateOrganization(new) => {
            let sent = pb::Organization { created_at: None, revision: 0, ..convert::organization(new) };
            ("organization", sent.encode_to_vec())
        }
        Command::CreateProgram(new) => {
            let whole = convert::program(new, &[]);
            let sent = pb::Program { created_at: None, revision: 0, minor_unit_exponent: 0, ..whole };
            ("program", sent.encode_to_vec())
        }
        Command::OpenPeriod(new) => ("period", opened(convert::period(new)).encode_to_vec()),
        Command::ChangePeriod(change) => {
            let sent = pb::ExpirePeriodRequest {
                request_id: change.request.to_string(),
                program_id: change.program.to_string(),
                period_id: change.period.to_string(),
                expected_revision: change.expected_revision,
            };
            (change.to.word(), sent.encode_to_vec())
        }
        Command::CreateAllocation(new) => ("allocation", added(convert::allocation(new)).encode_to_vec()),
        Command::PostEntry(entry) => ("entry", entry_out::asked_entry(entry).encode_to_vec()),
    }
}

/// A period as its caller sent it.
fn opened(whole: pb::Period) -> pb::Period {
    pb::Period {
        state: 0,
        original_authorization: 0,
        authorization: 0,
        authorization_revision: 0,
        revision: 0,
        ..whole
    }
}

/// An allocation as its caller sent it.
fn added(whole: pb::Allocation) -> pb::Allocation {
    pb::Allocation {
        depth: 0,
        buckets: None,
        turnover: None,
        open_obligations: 0,
        child_count: 0,
        created_at: None,
        revision: 0,
        ..whole
    }
}

fn digest(command: &Command) -> [u8; 16] {
    let (kind, bytes) = request(command);
    let mut hash = Sha256::new();
    hash.update(kind.as_bytes());
    hash.update([0]);
    hash.update(&bytes);
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    half
}

fn differs(kind: EventKind, stored: &[u8], command: &Command) -> Option<String> {
    let unreadable = || Some("content".to_owned());
    let Ok(first) = decode(kind, stored) else { return unreadable() };
    let earlier = match (first, command) {
        (Event::Organization(first), Command::CreateOrganization(_)) => Command::CreateOrganization(first),
        (Event::Program(first), Command::CreateProgram(_)) => Command::CreateProgram(first),
        (Event::Period(first), Command::OpenPeriod(_)) => Command::OpenPeriod(first),
        (Event::Period(first), Command::ChangePeriod(change)) => {
            return if first.id != change.period {
                Some("period_id".to_owned())
            } else if first.state == change.to {
                Some("expected_revision".to_owned())
            } else {
                Some("kind of request".to_owned())
            };
        }
        (Event::Allocation(first), Command::CreateAllocation(_)) => Command::CreateAllocation(first),
        (Event::Entry(mut first), Command::PostEntry(entry)) => {
            // A percentage and a reversal are stored without a currency; the program has only one.
            first.entry.currency = entry.currency;
            if let crate::domain::entry::Action::Increase(increase) = &mut first.entry.action {
                increase.outcome = None;
            }
            Command::PostEntry(first.entry)
        }
        _ => return Some("kind of request".to_owned()),
    };
    let ((name, before), (_, after)) = (request(&earlier), request(command));
    if before == after {
        return None;
    }
    let message = match command {
        Command::CreateOrganization(_) => "safelane.v1.Organization",
        Command::CreateProgram(_) => "safelane.v1.Program",
        Command::OpenPeriod(_) | Command::ChangePeriod(_) => "safelane.v1.Period",
        Command::CreateAllocation(_) => "safelane.v1.Allocation",
        Command::PostEntry(_) => "safelane.v1.Entry",
    };
    first_difference(message, &before, &after).map(|path| format!("{name}.{path}")).or_else(unreadable)
}
