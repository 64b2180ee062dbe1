//! Every aggregate's history, from one parallel scan of the events table.
//!
//! The place up to which each segment is done, and well, is kept in a file beside the caller until all are, so that a run that was
//! stopped goes on where it was. What is done twice then is done twice to the same end.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use aggregate::{AggregateId, Version};
use aws::{DynamoEventStore, ScanPlace, Segment};
use eventing::Commit;
use futures_util::{StreamExt, future::join_all, stream};
use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::{Error, Scan, Verdict, output::note};

/// Aggregates of one segment that are worked on at once: enough to hide the way to the tables, few enough not to crowd them.
const AT_ONCE: usize = 8;

/// Some of an aggregate's commits, in order, as the scan came upon them: mostly all.
#[derive(Debug)]
pub struct History {
    /// Whose they are.
    pub aggregate_id: AggregateId,
    /// At least one.
    pub commits: Vec<Commit>,
}

impl History {
    /// The version of the newest event in it.
    pub fn newest(&self) -> Version {
        self.commits.last().map_or(0, Commit::last_version)
    }
}

/// What was seen on the way.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Seen {
    /// Commits that were read.
    pub commits: u64,
    /// Items that are no commits this code can read.
    pub unreadable: u64,
    /// Aggregates that could not be worked on, because something did not answer.
    pub failed: u64,
}

impl Seen {
    fn add(&mut self, more: Self) {
        self.commits += more.commits;
        self.unreadable += more.unreadable;
        self.failed += more.failed;
    }
}

/// Failures without a success between them after which a segment is given up: then it is not one aggregate that is ill.
const FAILURES_IN_A_ROW_MAX: usize = 4 * AT_ONCE;

/// Where a run has come to, in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    /// What tells the events table from others.
    table: String,
    segments: u16,
    /// By segment.
    reached: BTreeMap<u16, Reached>,
}

/// How far a segment is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reached {
    /// Not begun.
    Nothing,
    /// Done up to and with the commit at this place.
    UpTo(ScanPlace),
    /// Done.
    End,
}

/// What was done longer ago than this is done again: much may have happened to it.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(24);

fn is_recent(file: &Path) -> bool {
    let age = fs::metadata(file).and_then(|file| file.modified()).map(|at| at.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age < FORGOTTEN_AFTER)
}

fn file(name: &str) -> PathBuf {
    format!(".daybook-{name}.json").into()
}

/// Whether work of this name on this table was begun lately, and not ended.
pub async fn is_under_way(store: &DynamoEventStore, name: &str) -> Result<bool, Error> {
    let (table, _) = store.described().await?;
    Ok(Bookmark::found(&file(name)).is_some_and(|found| found.table == table))
}

/// Keeps the progress of one piece of work.
struct Bookmark {
    file: Option<PathBuf>,
    progress: RefCell<Progress>,
}

impl Bookmark {
    /// Goes on where the last run with this file came to, if it was about the same table, cut in as many segments, and lately.
    fn open(file: Option<PathBuf>, table: &str, segments: u16) -> io::Result<Self> {
        let found = file.as_deref().and_then(Self::found);
        let progress = found.filter(|found| found.table == table && found.segments == segments);
        if let (Some(file), Some(_)) = (&file, &progress) {
            note(&format!("going on where the last run came to; delete {} to begin anew", file.display()));
        }
        let progress = progress.unwrap_or(Progress { table: table.to_owned(), segments, reached: BTreeMap::new() });
        let bookmark = Self { file, progress: RefCell::new(progress) };
        bookmark.write()?;
        Ok(bookmark)
    }

    fn found(file: &Path) -> Option<Progress> {
        if is_recent(file) { serde_json::from_slice(&fs::read(file).ok()?).ok() } else { None }
    }

    /// How far the segment is done.
    fn reached(&self, segment: u16) -> Reached {
        self.progress.borrow().reached.get(&segment).copied().unwrap_or(Reached::Nothing)
    }

    fn note(&self, segment: u16, reached: Reached) -> io::Result<()> {
        self.progress.borrow_mut().reached.insert(segment, reached);
        self.write()
    }

    fn write(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        // A new file takes the old one's place at once, so that there is never half of one.
        let fresh = file.with_extension("new");
        fs::write(&fresh, serde_json::to_vec(&*self.progress.borrow())?)?;
        fs::rename(fresh, file)
    }

    fn done(&self) -> io::Result<()> {
        match self.file.as_ref().map(fs::remove_file) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Hands every aggregate's history to `work`, which may get one in several pieces, and says whether all is well with it. One on
/// which `work` fails is told, and the others are worked on. Resumes under the name `name`, where there is one: a segment that had
/// something that is not well is done once more from there, so that whoever goes on does not leave that unsaid.
///
/// # Errors
/// When a segment cannot be read to its end, after all others were.
pub async fn each<F: Future<Output = Result<Verdict, Error>>>(
    store: &DynamoEventStore,
    name: Option<&str>,
    what: &str,
    scan: Scan,
    work: impl Fn(History) -> F,
) -> Result<Seen, Error> {
    let (table, commits_about) = store.described().await?;
    let bookmark = Bookmark::open(name.map(file), &table, scan.segments)?;
    let bar = bar(what, commits_about);
    let segments = (0..scan.segments)
        .map(|number| each_of(store, Segment { number, total: scan.segments }, &bookmark, &bar, &work));
    let outcomes = join_all(segments).await;
    bar.finish_and_clear();
    let mut seen = Seen::default();
    for outcome in outcomes {
        seen.add(outcome?);
    }
    if seen.failed == 0 {
        bookmark.done()?;
    }
    Ok(seen)
}

async fn each_of<F: Future<Output = Result<Verdict, Error>>>(
    store: &DynamoEventStore,
    segment: Segment,
    bookmark: &Bookmark,
    bar: &ProgressBar,
    work: &impl Fn(History) -> F,
) -> Result<Seen, Error> {
    let (mut seen, mut verdict) = (Seen::default(), Verdict::Well);
    let mut after = match bookmark.reached(segment.number) {
        Reached::Nothing => None,
        Reached::UpTo(place) => Some(place),
        Reached::End => return Ok(seen),
    };
    // The last history of a page may go on in the next.
    let mut unfinished: Option<History> = None;
    let mut failures_in_a_row = 0;
    let attempt = |history: History| {
        let (aggregate_id, outcome) = (history.aggregate_id, work(history));
        async move { (aggregate_id, outcome.await) }
    };
    loop {
        let page = store.scan(segment, after).await?;
        let mut histories: Vec<History> = unfinished.take().into_iter().collect();
        for commit in page.commits {
            seen.commits += 1;
            bar.inc(1);
            match commit {
                Err(error) => {
                    seen.unreadable += 1;
                    verdict = Verdict::NotWell;
                    bar.suspend(|| note(&eventing::causes(&error)));
                }
                Ok(commit) => match histories.last_mut() {
                    Some(last) if last.aggregate_id == commit.aggregate_id => last.commits.push(commit),
                    _ => histories.push(History { aggregate_id: commit.aggregate_id, commits: vec![commit] }),
                },
            }
        }
        if page.next.is_some() {
            unfinished = histories.pop();
        }
        let finished = histories.last().and_then(|last| Some((last.aggregate_id, last.commits.last()?.version)));
        let mut outcomes = stream::iter(histories).map(&attempt).buffer_unordered(AT_ONCE);
        while let Some((aggregate_id, outcome)) = outcomes.next().await {
            match outcome {
                Ok(outcome) => {
                    verdict = verdict.max(outcome);
                    failures_in_a_row = 0;
                }
                Err(error) => {
                    verdict = Verdict::NotFoundOut;
                    seen.failed += 1;
                    failures_in_a_row += 1;
                    bar.suspend(|| note(&format!("{aggregate_id}: {}", eventing::causes(&*error))));
                    if failures_in_a_row == FAILURES_IN_A_ROW_MAX {
                        return Err(
                            format!("{failures_in_a_row} aggregates in a row failed, so this was given up").into()
                        );
                    }
                }
            }
        }
        match (page.next, finished) {
            _ if verdict != Verdict::Well => {}
            (None, _) => bookmark.note(segment.number, Reached::End)?,
            (Some(_), Some(finished)) => bookmark.note(segment.number, Reached::UpTo(finished))?,
            (Some(_), None) => {}
        }
        after = page.next;
        if after.is_none() {
            return Ok(seen);
        }
    }
}

/// The time after which a bar says how much longer it takes. Before that, one slow request makes it hours.
const ETA_FROM: Duration = Duration::from_secs(10);

/// A bar on a terminal; nothing elsewhere.
fn bar(what: &str, commits_about: u64) -> ProgressBar {
    let bar = ProgressBar::new(commits_about).with_message(what.to_owned());
    let left = |state: &ProgressState, text: &mut dyn fmt::Write| {
        if state.elapsed() >= ETA_FROM {
            // Nowhere to go with an error.
            let _ = write!(text, ", {:#} left", HumanDuration(state.eta()));
        }
    };
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos} of about {human_len} commits{left}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("left", left));
    bar
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::BTreeSet};

    use ::tests::{Engine, commit};
    use aggregate::AggregateId;
    use eventing::EventStore;
    use tokio::sync::Notify;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_run_goes_on_where_the_last_one_came_to_if_it_is_cut_in_as_many_segments() {
        let folder = tempfile::tempdir().unwrap();
        let file = || Some(folder.path().join("bookmark.json"));
        let place = (AggregateId(Uuid::from_u128(1)), 7);
        let first = Bookmark::open(file(), "t", 3).unwrap();
        assert_eq!(first.reached(0), Reached::Nothing);
        first.note(0, Reached::UpTo(place)).unwrap();
        first.note(1, Reached::End).unwrap();

        let second = Bookmark::open(file(), "t", 3).unwrap();
        let reached = [0, 1, 2].map(|segment| second.reached(segment));
        assert_eq!(reached, [Reached::UpTo(place), Reached::End, Reached::Nothing]);
        let of = |table: &str, segments| Bookmark::open(file(), table, segments).unwrap().reached(0);
        assert_eq!(of("t", 4), Reached::Nothing, "other segments begin anew");
        assert_eq!(of("other", 3), Reached::Nothing, "another table begins anew");
        second.done().unwrap();
        assert_eq!(Bookmark::open(file(), "t", 3).unwrap().reached(0), Reached::Nothing);
    }

    /// Aggregates with so many commits each: several pages of a scan.
    const AGGREGATES: u128 = 800;
    const COMMITS: u64 = 5;

    #[tokio::test]
    async fn a_run_that_was_stopped_goes_on_at_its_place_and_leaves_nothing_out() {
        let engine = Engine::start().await;
        let store = DynamoEventStore::new(engine.client.clone(), "events");
        let commit = |(id, version)| commit(AggregateId(Uuid::from_u128(id)), version);
        let all = (0..AGGREGATES).flat_map(|id| (1..=COMMITS).map(move |version| (id, version)));
        let append = async |commit: Commit| store.append(&commit).await.unwrap();
        stream::iter(all.map(commit)).map(append).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;

        let folder = tempfile::tempdir().unwrap();
        let file = || Some(folder.path().join("bookmark.json"));
        let (segment, bar) = (Segment { number: 0, total: 1 }, ProgressBar::hidden());
        let got: RefCell<BTreeMap<AggregateId, BTreeSet<u64>>> = RefCell::default();
        let (stop_after, stop) = (Cell::new(AGGREGATES * 2 / 3), Notify::new());
        let work = async |history: History| -> Result<Verdict, Error> {
            if stop_after.get() == 0 {
                stop.notify_one();
                std::future::pending::<()>().await;
            }
            stop_after.set(stop_after.get() - 1);
            let versions = history.commits.iter().map(|commit| commit.version);
            got.borrow_mut().entry(history.aggregate_id).or_default().extend(versions);
            Ok(Verdict::Well)
        };
        let bookmark = Bookmark::open(file(), "t", 1).unwrap();
        tokio::select! {
            ended = each_of(&store, segment, &bookmark, &bar, &work) => panic!("{ended:?}"),
            () = stop.notified() => {}
        }
        stop_after.set(u128::MAX);
        let seen = each_of(&store, segment, &Bookmark::open(file(), "t", 1).unwrap(), &bar, &work).await.unwrap();

        let commits = u64::try_from(AGGREGATES).unwrap() * COMMITS;
        assert!((1..commits).contains(&seen.commits), "{} of {commits} were read once more", seen.commits);
        let (got, whole) = (got.into_inner(), (1..=COMMITS).collect::<BTreeSet<_>>());
        assert_eq!(got.len(), usize::try_from(AGGREGATES).unwrap());
        assert!(got.values().all(|versions| *versions == whole));
    }

    #[tokio::test]
    async fn what_is_not_well_is_looked_at_again_by_who_goes_on() {
        let engine = Engine::start().await;
        let store = DynamoEventStore::new(engine.client.clone(), "events");
        for id in 1..=2 {
            store.append(&commit(AggregateId(Uuid::from_u128(id)), 1)).await.unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let bookmark = || Bookmark::open(Some(folder.path().join("bookmark.json")), "t", 1).unwrap();
        let (segment, bar, seen) = (Segment { number: 0, total: 1 }, ProgressBar::hidden(), Cell::new(0));
        let is_well = Cell::new(false);
        let work = async |_| {
            seen.set(seen.get() + 1);
            Ok(Verdict::of(is_well.get()))
        };
        for (well, all) in [(false, 2), (true, 4), (true, 4)] {
            is_well.set(well);
            each_of(&store, segment, &bookmark(), &bar, &work).await.unwrap();
            assert_eq!(seen.get(), all);
        }
    }

    #[tokio::test]
    async fn a_segment_is_given_up_where_everything_fails_and_not_where_one_does() {
        let engine = Engine::start().await;
        let store = DynamoEventStore::new(engine.client.clone(), "events");
        let aggregates = FAILURES_IN_A_ROW_MAX as u128 + 8;
        let append = async |id| store.append(&commit(AggregateId(Uuid::from_u128(id)), 1)).await.unwrap();
        stream::iter(1..=aggregates).map(append).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
        let scan = Scan { segments: 1 };
        let fails = async |_| Err::<Verdict, Error>("no answer".into());
        let given_up = each(&store, None, "all", scan, fails).await.unwrap_err().to_string();
        assert!(given_up.contains("in a row failed"), "{given_up}");
        let every_other = Cell::new(false);
        let half = async |_| {
            every_other.set(!every_other.get());
            if every_other.get() { Ok(Verdict::Well) } else { Err("no answer".into()) }
        };
        let seen = each(&store, None, "all", scan, half).await.unwrap();
        assert_eq!((seen.commits, u128::from(seen.failed)), (u64::try_from(aggregates).unwrap(), aggregates / 2));
    }

    #[test]
    fn a_bookmark_that_is_no_bookmark_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bookmark.json");
        std::fs::write(&file, "{").unwrap();
        assert_eq!(Bookmark::open(Some(file), "t", 1).unwrap().reached(0), Reached::Nothing);
    }
}
