//! Every aggregate's history, from one parallel scan of the events table.
//!
//! The place up to which each segment is done, and well, is kept in a file beside the caller until all are, so that a run that was
//! stopped goes on where it was. What is done twice then is done twice to the same end.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use aggregate::{AggregateId, Version};
use aws::{DynamoEventStore, ScanPlace, Segment};
use eventing::Commit;
use futures_util::{StreamExt, future::try_join_all, stream};
use indicatif::{ProgressBar, ProgressStyle};
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
}

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

/// Hands every aggregate's history to `work`, which may get one in several pieces, and says whether all is well with it. Resumes
/// under the name `name`, where there is one: a segment that had something that is not well is done once more from there, so that
/// whoever goes on does not leave that unsaid.
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
    let seen = try_join_all(segments).await?;
    bar.finish_and_clear();
    bookmark.done()?;
    Ok(seen.into_iter().fold(Seen::default(), |all, segment| Seen {
        commits: all.commits + segment.commits,
        unreadable: all.unreadable + segment.unreadable,
    }))
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
        let mut outcomes = stream::iter(histories).map(work).buffer_unordered(AT_ONCE);
        while let Some(outcome) = outcomes.next().await {
            verdict = verdict.max(outcome?);
        }
        match (page.next, finished) {
            _ if verdict == Verdict::NotWell => {}
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

/// A bar on a terminal; nothing elsewhere.
fn bar(what: &str, commits_about: u64) -> ProgressBar {
    let bar = ProgressBar::new(commits_about).with_message(what.to_owned());
    let template = "{msg} {wide_bar} {pos}/about {len} commits, {per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::BTreeSet};

    use ::tests::{Engine, commit};
    use aggregate::AggregateId;
    use eventing::EventStore;
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
        let stop_after = Cell::new(AGGREGATES * 2 / 3);
        let work = async |history: History| -> Result<Verdict, Error> {
            stop_after.set(stop_after.get().checked_sub(1).ok_or("stopped")?);
            let versions = history.commits.iter().map(|commit| commit.version);
            got.borrow_mut().entry(history.aggregate_id).or_default().extend(versions);
            Ok(Verdict::Well)
        };
        let first = each_of(&store, segment, &Bookmark::open(file(), "t", 1).unwrap(), &bar, &work).await;
        assert_eq!(first.unwrap_err().to_string(), "stopped");
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

    #[test]
    fn a_bookmark_that_is_no_bookmark_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bookmark.json");
        std::fs::write(&file, "{").unwrap();
        assert_eq!(Bookmark::open(Some(file), "t", 1).unwrap().reached(0), Reached::Nothing);
    }
}
