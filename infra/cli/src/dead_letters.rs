//! What could not be handled. Whoever gave up (EventBridge, an asynchronous invocation, a stream's mapping, a rule) writes in a form
//! of its own; nearly all of them lead to recorded events, and to redrive a dead letter is to publish those once more. So nothing
//! that lay in a queue is trusted: the events come from the store, and everybody downstream knows one by its id.
//! A request of another system is not recorded: its sender, who has no answer, repeats it.

mod letter;
mod queue;

use std::collections::BTreeSet;

use aws::DynamoEventStore;
use clap::Subcommand;
use eventing::{Host, System};
use letter::Letter;
use queue::{HIDDEN_FOR_REDRIVE, Queue, no_letter};
use serde_json::{Value, json};

use crate::{
    Error, Options, Scan, Verdict,
    connection::Connection,
    models::Tables,
    output::{self, note},
    republish::{self, Destination},
};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// What waits, without its content.
    List(QueueName),
    /// One of them, whole. It may hold what a person wrote.
    Show {
        /// Its id, from `list`.
        id: String,
        #[command(flatten)]
        queue: QueueName,
    },
    /// Publishes the events of dead letters once more, from the store, and takes the letters out of the queue.
    Redrive {
        /// Their ids, from `list`.
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// All that wait.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        #[command(flatten)]
        queue: QueueName,
        #[command(flatten)]
        to: republish::To,
        #[command(flatten)]
        scan: Scan,
    },
    /// Takes dead letters out of the queue, and does nothing about them.
    Delete {
        /// Their ids, from `list`.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        queue: QueueName,
    },
}

#[derive(Debug, clap::Args)]
pub struct QueueName {
    /// The queue, without the prefix.
    #[arg(long, default_value = "dead-letters")]
    queue: String,
}

pub async fn run(
    options: &Options,
    connection: &Connection,
    tables: &Tables<'_>,
    command: &Command,
) -> Result<Verdict, Error> {
    let name = match command {
        Command::List(queue)
        | Command::Show { queue, .. }
        | Command::Redrive { queue, .. }
        | Command::Delete { queue, .. } => &queue.queue,
    };
    let queue = Queue::connect(connection, name).await?;
    match command {
        Command::List(_) => {
            let hidden = queue.hidden().await?;
            let all = queue.look().await?;
            for letter in &all {
                options.tell(letter, &letter.in_words())?;
            }
            if hidden > 0 {
                note(&format!(
                    "about {hidden} more are hidden, for a quarter of an hour at most: somebody is at work on them"
                ));
            }
            if !all.is_empty() || hidden > 0 {
                return Ok(Verdict::NotWell);
            }
            if !options.json {
                output::line(&format!("nothing waits in {name}"))?;
            }
            Ok(Verdict::Well)
        }
        Command::Show { id, .. } => {
            let all = queue.look().await?;
            let letter = all.iter().find(|letter| letter.id == *id).ok_or_else(|| no_letter(id))?;
            let body: Value = serde_json::from_str(&letter.body).unwrap_or_else(|_| Value::String(letter.body.clone()));
            output::line(&if options.json { body.to_string() } else { format!("{body:#}") })?;
            Ok(Verdict::Well)
        }
        Command::Redrive { ids, all, to, scan, .. } => {
            tables.check(&[]).await?;
            let (store, bus) = (&tables.store, to.connect(connection).await?);
            let mut redrive = Redrive { options, queue, store, bus, of_records: Vec::new(), stay: Vec::new() };
            if *all {
                redrive.all().await?;
            } else {
                for letter in redrive.queue.take(ids).await? {
                    redrive.one(letter).await?;
                }
            }
            redrive.finish(*scan).await
        }
        Command::Delete { ids, .. } => {
            for letter in queue.take(ids).await? {
                queue.delete(&letter).await?;
                options.tell(&json!({ "id": letter.id }), &format!("{}: deleted", letter.id))?;
            }
            Ok(Verdict::Well)
        }
    }
}

/// Letters on their way out of the queue. Whoever is stopped on the way redrives the one at work once more.
struct Redrive<'a> {
    options: &'a Options,
    queue: Queue,
    store: &'a DynamoEventStore,
    bus: Destination,
    /// Those about records of the stream, which one look over the table serves, in the end.
    of_records: Vec<Letter>,
    stay: Vec<Letter>,
}

impl Redrive<'_> {
    /// All that wait now, a few at a time: there may be more than a queue lets anybody hold at once (SQS quota: 120,000).
    async fn all(&mut self) -> Result<(), Error> {
        let (began, mut seen, mut later) = (System.now(), BTreeSet::new(), Vec::new());
        loop {
            let letters = self.queue.receive(HIDDEN_FOR_REDRIVE).await?;
            if letters.is_empty() {
                if !later.is_empty() {
                    note(&format!("{} have come since this began, and wait for the next redrive", later.len()));
                }
                self.queue.put_back(&later).await;
                return Ok(());
            }
            for letter in letters.into_iter().filter(|letter| seen.insert(letter.id.clone())) {
                // What came back at once would go round for ever.
                if letter.sent_at.is_some_and(|at| at > began) {
                    later.push(letter);
                } else {
                    self.one(letter).await?;
                }
            }
        }
    }

    async fn one(&mut self, letter: Letter) -> Result<(), Error> {
        if letter.time().is_some() {
            self.of_records.push(letter);
            return Ok(());
        }
        let outcome = letter.redrive(self.store, &self.bus).await;
        self.settle(letter, outcome.map_err(|error| eventing::causes(&*error))).await
    }

    async fn settle(&mut self, letter: Letter, outcome: Result<u64, String>) -> Result<(), Error> {
        match outcome {
            Ok(events) => {
                // Published and still there: to redrive it once more does no harm.
                if let Err(error) = self.queue.delete(&letter).await {
                    return self.keep(letter, &format!("its events are published, {}", eventing::causes(&*error)));
                }
                let done = match events {
                    0 => "nothing to publish, for the schedule comes again by itself".to_owned(),
                    events => format!("{events} events published"),
                };
                self.options.tell(&json!({ "id": letter.id, "events": events }), &format!("{}: {done}", letter.id))
            }
            Err(error) => self.keep(letter, &error),
        }
    }

    /// Leaves a letter where it is.
    fn keep(&mut self, letter: Letter, why: &str) -> Result<(), Error> {
        let told =
            self.options.tell(&json!({ "id": letter.id, "error": why }), &format!("{}: stays, {why}", letter.id));
        self.stay.push(letter);
        told
    }

    async fn finish(mut self, scan: Scan) -> Result<Verdict, Error> {
        let of_records = std::mem::take(&mut self.of_records);
        let times = of_records.iter().filter_map(Letter::time);
        if let Some((from, to)) = times.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1))) {
            let published = republish::of_time(self.store, &self.bus, None, Some(from), Some(to), scan).await;
            let records: u64 = of_records.iter().filter_map(Letter::records).sum();
            let outcome = published.map_err(|error| eventing::causes(&*error)).and_then(|published| {
                // Each was an append. Where fewer are of that time, a clock was so far off that we cannot know which they were.
                let commits = published.commits;
                let too_few =
                    || format!("{records} records, but {commits} appends of that time: republish a longer one");
                if commits < records { Err(too_few()) } else { Ok(published.events) }
            });
            for letter in of_records {
                self.settle(letter, outcome.clone()).await?;
            }
        }
        self.queue.put_back(&self.stay).await;
        Ok(if self.stay.is_empty() { Verdict::Well } else { Verdict::NotWell })
    }
}

#[cfg(test)]
mod tests {
    use ::tests::{Reply, Wire, WireFault};
    use aws_sdk_sqs::{
        config::{BehaviorVersion, Credentials, Region},
        types::Message,
    };
    use clap::Parser;

    use super::*;
    use crate::loops::{FAILS, FINE, HANGS, UNREADABLE, accounts, bus, id, ill, spoil};

    fn letter(number: u128) -> Letter {
        let detail = json!({ "aggregate_id": id(number), "version": 1 });
        let event = json!({ "source": "daybook", "detail-type": "AccountCreated", "detail": detail });
        let message = Message::builder().message_id(number.to_string()).receipt_handle(format!("receipt-{number}"));
        Letter::new(message.body(event.to_string()).build())
    }

    #[tokio::test]
    async fn a_redrive_does_all_others_and_deletes_only_what_was_published() {
        let (engine, client, wire) = accounts().await;
        spoil(&engine).await;
        ill(&wire);
        let (store, (bus, _)) = (DynamoEventStore::new(client, "events"), bus());
        // A queue that does not let go of the last letter.
        let of_queue = Wire::default();
        of_queue.script(std::iter::repeat_n(WireFault::Before(Reply::Status(200, "{}".to_owned())), 50));
        of_queue.answer_all_with("receipt-5", Reply::Status(500, String::new()));
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url("http://127.0.0.1:9")
            .http_client(of_queue.http_client())
            .retry_config(Wire::retries());
        let queue = Queue::new(aws_sdk_sqs::Client::from_conf(config.build()), "http://127.0.0.1:9/0/q".to_owned());
        let options = Options::parse_from(["daybook", "dead-letters", "list"]);
        let mut redrive =
            Redrive { options: &options, queue, store: &store, bus, of_records: Vec::new(), stay: Vec::new() };
        for number in [HANGS, FAILS, UNREADABLE, FINE[0], FINE[1]] {
            redrive.one(letter(number)).await.unwrap();
        }
        let stay: Vec<_> = redrive.stay.iter().map(|letter| letter.id.clone()).collect();
        assert_eq!(stay, ["1", "2", "3", "5"]);
        assert_eq!(redrive.finish(Scan { segments: 1 }).await.unwrap(), Verdict::NotWell);
        let sent = of_queue.sent();
        let (back, deleted): (Vec<_>, Vec<_>) = sent.iter().partition(|body| body.contains("VisibilityTimeout"));
        let numbers = |bodies: &[&String]| {
            let number = |body: &&String| (1..=5).find(|number| body.contains(&format!("receipt-{number}"))).unwrap();
            bodies.iter().map(number).collect::<BTreeSet<u32>>()
        };
        assert_eq!((numbers(&deleted), numbers(&back)), ([4, 5].into(), [1, 2, 3, 5].into()));
    }
}
