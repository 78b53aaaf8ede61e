//! The clients of a run: clerks who draw up entries, post them, and post them again until they know.

use std::sync::Arc;
use std::time::{Duration, Instant};

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use safelane::rpc::pb::funding_service_client::FundingServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::desk::Desk;
use crate::evidence::chance::Chance;
use crate::evidence::history::{Answer, History};

/// The leaves that all clerks share, with the largest amounts: so large beside what is there that every run
/// meets refusals.
const LEAVES: [(&str, i64); 3] = [("T1", 2_000_000), ("B", 110_000_000), ("C", 90_000_000)];
/// How long a clerk waits for one answer before the entry is sent again.
const ATTEMPT_MAX: Duration = Duration::from_secs(15);
/// How long a clerk tries one entry. Longer than a crash takes to mend.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);
/// Between two attempts.
const PAUSE_MICROS_MAX: u64 = 20_000;

/// A clerk.
pub(crate) struct Clerk {
    desk: Arc<Desk>,
    chance: Chance,
    history: History,
    /// Services to choose from at each attempt.
    doors: Vec<FundingServiceClient<Channel>>,
    /// Reservations and obligations that this clerk knows to be booked, with the amount.
    held: Vec<(String, i64)>,
    promised: Vec<(String, i64)>,
}

impl Clerk {
    pub(crate) fn new(desk: &Arc<Desk>, chance: Chance, history: &History, doors: &[Channel]) -> Self {
        let doors = doors.iter().cloned().map(FundingServiceClient::new).collect();
        let (desk, history) = (Arc::clone(desk), history.clone());
        Self { desk, chance, history, doors, held: Vec::new(), promised: Vec::new() }
    }

    /// An entry of any kind, often one that is refused.
    pub(crate) fn draw(&mut self) -> pb::Entry {
        let (leaf, most) = *self.chance.pick(&LEAVES);
        let amount = self.chance.up_to(most);
        let action = match self.chance.below(20) {
            0..8 => Action::Expend(self.desk.expend(leaf, amount)),
            8..11 => self.desk.reserve(&self.chance.id(), leaf, amount),
            11..14 => Action::Obligate(self.desk.obligate(&self.chance.id(), leaf, amount)),
            14..16 if !self.held.is_empty() => {
                let (id, amount) = take(&mut self.chance, &mut self.held);
                self.desk.release(&id, amount)
            }
            16..18 if !self.promised.is_empty() => {
                let (id, amount) = take(&mut self.chance, &mut self.promised);
                self.desk.deobligate(&id, amount)
            }
            18 => self.desk.deallocate("T1", self.chance.up_to(3_000_000)),
            _ => self.desk.allocate("T1", self.chance.up_to(1_000_000)),
        };
        pb::Entry { entry_id: self.chance.id(), ..self.desk.entry(action) }
    }

    /// Remembers what can be given back later.
    fn learn(&mut self, entry: &pb::Entry, answer: &Answer) {
        let Answer::Accepted(_) = answer else { return };
        match entry.action.as_ref() {
            Some(Action::Reserve(new)) => {
                self.held.push((new.reservation_id.clone(), cents(new.amount.as_ref())));
            }
            Some(Action::Obligate(new)) => {
                self.promised.push((new.obligation_id.clone(), cents(new.amount.as_ref())));
            }
            _ => {}
        }
    }

    /// Posts an entry once.
    pub(crate) async fn attempt(&mut self, entry: &pb::Entry) -> Answer {
        let mut door = self.chance.pick(&self.doors).clone();
        let invoked = Instant::now();
        let request = pb::PostEntryRequest { entry: Some(entry.clone()) };
        let answer = match tokio::time::timeout(ATTEMPT_MAX, door.post_entry(request)).await {
            Ok(answer) => Answer::of(answer.map(tonic::Response::into_inner)),
            Err(_) => Answer::Unknown(Code::DeadlineExceeded, "no answer".to_owned()),
        };
        self.history.record(entry.clone(), invoked, answer.clone());
        self.learn(entry, &answer);
        answer
    }

    /// Posts an entry until it is accepted or refused.
    pub(crate) async fn settle(&mut self, entry: &pb::Entry) -> Answer {
        let start = Instant::now();
        loop {
            let answer = self.attempt(entry).await;
            if answer.is_settled() {
                return answer;
            }
            if SETTLED_WITHIN < start.elapsed() {
                let complaint = format!("entry {} is not settled: {answer:?}", entry.entry_id);
                self.history.complain(complaint);
                return answer;
            }
            self.chance.pause(PAUSE_MICROS_MAX).await;
        }
    }

    /// Posts entries through streams until each is accepted or refused.
    pub(crate) async fn settle_streamed(&mut self, entries: &[pb::Entry]) {
        let (start, mut open) = (Instant::now(), entries.to_vec());
        while !open.is_empty() {
            if SETTLED_WITHIN < start.elapsed() {
                self.history.complain(format!("{} streamed entries are not settled", open.len()));
                return;
            }
            let answers = self.stream(&open).await;
            let answered = answers.iter().map(Answer::is_settled).chain(std::iter::repeat(false));
            let left = open.iter().zip(answered).filter(|(_, settled)| !settled);
            open = left.map(|(entry, _)| entry.clone()).collect();
            if !open.is_empty() {
                self.chance.pause(PAUSE_MICROS_MAX).await;
            }
        }
    }

    /// Sends entries through one stream and half-closes. Answers come for the first ones, in order.
    pub(crate) async fn stream(&mut self, entries: &[pb::Entry]) -> Vec<Answer> {
        let mut door = self.chance.pick(&self.doors).clone();
        let (sender, receiver) = mpsc::channel(entries.len().max(1));
        let mut invoked = Vec::with_capacity(entries.len());
        for entry in entries {
            invoked.push(Instant::now());
            sender.send(pb::PostEntriesRequest { entry: Some(entry.clone()) }).await.expect("there is room");
        }
        drop(sender);
        let mut answers = Vec::with_capacity(entries.len());
        let ended = async {
            let mut told = door.post_entries(ReceiverStream::new(receiver)).await?.into_inner();
            while let Some(answer) = told.message().await? {
                self.take_answer(entries, &invoked, &mut answers, answer);
            }
            Ok::<(), Status>(())
        };
        let ended = tokio::time::timeout(ATTEMPT_MAX, ended).await;
        let missing = entries.len().saturating_sub(answers.len());
        if matches!(ended, Ok(Ok(()))) && missing != 0 {
            self.history
                .complain(format!("a stream ended well and left {missing} entries without an answer"));
        }
        for (entry, invoked) in entries.iter().zip(invoked).skip(answers.len()) {
            let told = Answer::Unknown(Code::Unknown, format!("the stream ended: {ended:?}"));
            self.history.record(entry.clone(), invoked, told);
        }
        answers
    }

    /// Takes an answer of a stream; it must be to the entry whose turn it is.
    fn take_answer(
        &mut self,
        entries: &[pb::Entry],
        invoked: &[Instant],
        answers: &mut Vec<Answer>,
        told: pb::PostEntriesResponse,
    ) {
        let (place, answer) = (answers.len(), Answer::of_streamed(told.outcome));
        let (Some(entry), Some(invoked)) = (entries.get(place), invoked.get(place)) else {
            self.history.complain("a stream has more answers than entries".to_owned());
            return;
        };
        if entry.entry_id == told.entry_id {
            self.history.record(entry.clone(), *invoked, answer.clone());
            self.learn(entry, &answer);
        } else {
            let (wanted, told) = (&entry.entry_id, &told.entry_id);
            let complaint =
                format!("answer {place} of a stream is to {told}, and it is the turn of {wanted}");
            self.history.complain(complaint);
        }
        answers.push(answer);
    }
}

fn take(chance: &mut Chance, from: &mut Vec<(String, i64)>) -> (String, i64) {
    let place = usize::try_from(chance.below(from.len() as u64)).expect("an index");
    let (id, amount) = from[place].clone();
    if chance.one_in(6) {
        // More than is there: refused, and the rest stays.
        return (id, amount + 1);
    }
    from.swap_remove(place)
}

fn cents(amount: Option<&pb::Money>) -> i64 {
    amount.map_or(0, |money| money.minor_units)
}
