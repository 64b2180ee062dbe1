//! Every alarm of the template is explained, is on the dashboard, and looks at something that is emitted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use aggregate::{AggregateId, Timestamp, Version};
use aws_lambda_events::eventbridge::EventBridgeEvent;
use domain::{Account, AccountCommand, Order, Transaction, TransactionCommand};
use eventing::{Bus, BusError, Entry, EventStore, MemoryStore, PublishLimits, System, execute, load};
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit, with_local_recorder,
};
use tests::{
    Fault, FaultyStore, MemoryTable, OpenList, SickStore, Sickness, StillHost, command, envelopes, eur, owner,
    repository, request,
};
use uuid::Uuid;

fn read(file: &str) -> String {
    fs::read_to_string(repository().join(file)).unwrap()
}

#[test]
fn every_alarm_has_its_section_in_the_runbook_and_its_place_on_the_dashboard() {
    let (template, runbook) = (read("template.yaml"), read("infra/runbook.md"));
    let lines: Vec<&str> = template.lines().collect();
    let is_alarm = |pair: &&[&str]| pair[1].trim() == "Type: AWS::CloudWatch::Alarm";
    let alarms: BTreeSet<&str> =
        lines.windows(2).filter(is_alarm).map(|pair| pair[0].trim().trim_end_matches(':')).collect();
    let explained: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert!(alarms.len() > 10);
    assert_eq!(explained, alarms);
    let shown = template.split_once("\"alarms\": [").unwrap().1.split_once(']').unwrap().0;
    let shown: BTreeSet<&str> =
        shown.split('"').filter_map(|arn| arn.strip_prefix("${")?.strip_suffix(".Arn}")).collect();
    assert_eq!(shown, alarms);
    for alarm in alarms {
        assert!(
            template.contains(&format!("See {alarm} in infra/runbook.md.")),
            "{alarm} does not say where it is explained"
        );
    }
}

/// Counts what is measured in a test, by name.
#[derive(Default)]
struct Measured(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

struct Counted(Arc<AtomicU64>);

impl HistogramFn for Counted {
    fn record(&self, _value: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Measured {
    fn of(&self, key: &Key) -> Arc<AtomicU64> {
        self.0.lock().unwrap().entry(key.name().to_owned()).or_default().clone()
    }

    fn names(&self) -> BTreeSet<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|(_, count)| count.load(Ordering::Relaxed) > 0).map(|(name, _)| name.clone()).collect()
    }
}

impl Recorder for Measured {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Counted(self.of(key))))
    }
}

/// A bus that takes every other entry.
#[derive(Default)]
struct HalfBus(AtomicU64);

impl Bus for HalfBus {
    const LIMITS: PublishLimits = PublishLimits { entries_max: 10, bytes_max: 1_000_000 };

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Option<String>>, BusError> {
        let answer =
            |_| self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(2).then(|| "ThrottlingException".to_owned());
        Ok(entries.iter().map(answer).collect())
    }
}

fn create() -> AccountCommand {
    AccountCommand::CreateAccount { owner: owner(), currency: domain::Currency::from_code("EUR").unwrap() }
}

async fn account(store: &impl EventStore) -> AggregateId {
    let id = AggregateId(Uuid::now_v7());
    let deposit = AccountCommand::DepositMoney { by: owner(), amount: eur(100), description: None };
    for body in [create(), deposit] {
        execute::<Account>(store, &StillHost::default(), &command(id, body, None)).await.unwrap();
    }
    id
}

/// Commands that meet another one, and that do not know how they ended.
async fn commands() {
    let overtaking = FaultyStore::default();
    let id = account(&overtaking).await;
    let freeze = |id| command(id, AccountCommand::FreezeAccount, None);
    let mut other = overtaking.read(id, 2, 1).await.unwrap().remove(0);
    other.version = 3;
    overtaking.plan(Fault::Overtaken(Box::new(other)));
    execute::<Account>(&overtaking, &StillHost::default(), &freeze(id)).await.unwrap();
    (0..3).for_each(|_| overtaking.plan(Fault::RequestLost));
    let unfreeze = command(id, AccountCommand::UnfreezeAccount, None);
    execute::<Account>(&overtaking, &StillHost::default(), &unfreeze).await.unwrap_err();
}

/// A request over HTTP that the function cannot answer.
async fn requests() {
    let id = AggregateId(Uuid::now_v7());
    let store = SickStore { sick: [(id, Sickness::Fails)].into(), ..SickStore::default() };
    let target = format!("/accounts/{id}/deposits");
    let body = serde_json::json!({ "amount": "1", "currency": "EUR" });
    let request = request("alice", "POST /accounts/{id}/deposits", &target, &[], &body);
    let response = account_commands::handle(&store, &StillHost::default(), request).await;
    assert_eq!(response.status(), 503);
}

/// Records on their way to the bus, and events on their way into a read model.
async fn events() {
    let store = MemoryStore::default();
    let id = account(&store).await;
    let mut batch = aws_lambda_events::dynamodb::Event::default();
    for (place, commit) in store.read(id, 1, usize::MAX).await.unwrap().iter().enumerate() {
        batch.records.push(aws::record_of(commit, place.to_string()).unwrap());
    }
    let mut unreadable = aws_lambda_events::dynamodb::EventRecord::default();
    "INSERT".clone_into(&mut unreadable.event_name);
    batch.records.push(unreadable);
    event_publisher::handle(&HalfBus::default(), &StillHost::default(), batch).await.unwrap();

    let table = MemoryTable::<domain::AccountRow>::default();
    let mut event = EventBridgeEvent::<serde_json::Value>::default();
    event.detail = serde_json::to_value(&envelopes(&store, id).await[0]).unwrap();
    aws::project_delivered(&store, &table, &StillHost::default(), &event).await.unwrap();
}

/// A sweep that ends one transaction and not another.
async fn sweeps() {
    let mut store = SickStore::default();
    let [payer, shop, sick] = [account(&store).await, account(&store).await, account(&store).await];
    let mut open = OpenList::default();
    for source in [payer, sick] {
        let id = AggregateId(Uuid::now_v7());
        let order = Order { by: owner(), source, destination: shop, amount: eur(1), description: None };
        let [source, destination] = [source, shop].map(|id| load::<Account>(&store, id, Version::MAX));
        let (source, destination) = (source.await.unwrap().aggregate, destination.await.unwrap().aggregate);
        let body = TransactionCommand::InitiateTransaction { order, source, destination };
        execute::<Transaction>(&store, &StillHost::default(), &command(id, body, None)).await.unwrap();
        open.ids.push(id);
    }
    store.sick = [(sick, Sickness::Fails)].into();
    // A clock that begins when an account could not have been opened yet: all are open for too long.
    let swept = transaction_process::sweep(&store, &System, &open, Timestamp::MAX).await.unwrap();
    assert_eq!((swept.resumed, swept.stuck), (1, 1));
}

#[test]
fn every_metric_that_an_alarm_or_the_dashboard_looks_at_is_emitted_by_the_handlers() {
    let template = read("template.yaml");
    let of_alarms = template.split("Namespace: Daybook").skip(1).map(|rest| rest.split_once("MetricName: ").unwrap().1);
    let of_dashboard = template.split("\"Daybook\", \"").skip(1);
    // `[ ".", "Name", ".", "." ]` has the namespace of the metric before it.
    let rows = template.lines().filter(|line| line.contains("[ \"Daybook\", "));
    let repeated = rows.flat_map(|line| line.split("[ \".\", \"").skip(1));
    let name = |rest: &str| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap().to_owned();
    let looked_at: BTreeSet<String> = of_alarms
        .chain(of_dashboard)
        .chain(repeated)
        .map(name)
        .filter(|name| name != "ApproximateAgeOfOldestMessage")
        .collect();
    assert!(looked_at.len() > 8, "{looked_at:?}");

    let measured = Measured::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    with_local_recorder(&measured, || {
        runtime.block_on(async {
            commands().await;
            requests().await;
            events().await;
            sweeps().await;
        });
    });
    let silent: Vec<_> = looked_at.difference(&measured.names()).cloned().collect();
    assert!(silent.is_empty(), "nobody emits {silent:?}, only {:?}", measured.names());
}
