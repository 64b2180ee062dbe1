//! The machine that everything runs on: one thread, a clock that only the scheduler moves, and one source of chance.
//!
//! A task stops at every [`Machine::point`], where the scheduler may let another go on or kill it: that is what a Lambda
//! function does that is frozen, times out or loses its machine.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use aggregate::Timestamp;
use eventing::Host;
use uuid::Uuid;

/// When every run begins: an arbitrary moment.
const BEGIN_MICROS: i64 = 1_763_891_400_000_000;

/// A task, until it ends or is killed.
pub struct Task<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    /// Points that it has come to.
    pub points: u32,
}

impl<T> Task<T> {
    /// A task that has not begun.
    pub fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self { future: Box::pin(future), points: 0 }
    }

    /// Lets it go on to its next point, or to its end.
    pub fn step(&mut self) -> Poll<T> {
        self.points += 1;
        self.future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A request is lost before it has an effect, or is refused: throttled, say.
    LostBefore,
    /// The answer is lost after the effect.
    LostAfter,
    /// A request that was given up has its effect later.
    Late,
    /// A write meets another one and is refused, though nobody was faster.
    Contended,
    /// An entry is refused by the bus.
    Refused,
    /// A delivery comes twice, or a batch once more.
    Doubled,
    /// The bus loses an event for good.
    Forgotten,
    /// A task is killed.
    Killed,
    /// The stream has a record that nobody can read.
    Poisoned,
    /// An invocation runs older code.
    OldCode,
    /// Nothing moves for up to a day.
    Stalled,
    /// A read of a table answers what was there some time ago.
    Stale,
}

const FAULTS: usize = 12;

/// What faults there are in a run, each as a chance in a thousand at each place where it may happen.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    of: [u32; FAULTS],
    /// How far clocks are apart, in microseconds.
    pub skew_micros: i64,
}

impl Rates {
    /// No faults at all.
    pub const NONE: Self = Self { of: [0; FAULTS], skew_micros: 0 };

    /// The rates of one seed: each none, low or extreme.
    fn drawn(rng: &mut fastrand::Rng) -> Self {
        let extremes = [200, 200, 200, 200, 400, 500, 500, 100, 200, 300, 30, 900];
        let of = extremes.map(|most| match rng.u32(0..4) {
            0 => 0,
            1 => rng.u32(0..=most),
            _ => rng.u32(0..=most / 4),
        });
        Self { of, skew_micros: [0, 1_000_000, 86_400_000_000][rng.usize(0..3)] }
    }
}

/// The state of the machine.
#[derive(Debug)]
pub struct State {
    /// All chance comes from here.
    pub rng: fastrand::Rng,
    /// Which faults there are.
    pub rates: Rates,
    /// Faults so far.
    pub faults: u64,
    /// Points that all tasks have come to.
    pub points: u64,
    /// Faults that are yet to happen, once each at a certain point, in the exhaustive mode.
    plan: Vec<(u64, Fault)>,
    now_micros: i64,
    hash: u64,
    trace: Option<Vec<String>>,
}

impl State {
    fn note(&mut self, what: impl FnOnce() -> String, fingerprint: u64) {
        // FNV-1a, on whole words.
        self.hash = (self.hash ^ fingerprint ^ self.points).wrapping_mul(0x0100_0000_01b3);
        let now = (self.now_micros - BEGIN_MICROS) / 1_000;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now:>12} ms  {}", what()));
        }
    }
}

/// The machine; clones are the same one.
#[derive(Debug, Clone)]
pub struct Machine(Arc<Mutex<State>>);

impl Machine {
    /// The machine of one seed.
    pub fn new(seed: u64, traced: bool) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let rates = Rates::drawn(&mut rng);
        Self::with(rng, rates, Vec::new(), traced)
    }

    /// The machine on which only what is planned goes wrong.
    pub fn planned(plan: Vec<(u64, Fault)>, traced: bool) -> Self {
        Self::with(fastrand::Rng::with_seed(0), Rates::NONE, plan, traced)
    }

    fn with(rng: fastrand::Rng, rates: Rates, plan: Vec<(u64, Fault)>, traced: bool) -> Self {
        let trace = traced.then(Vec::new);
        let state = State { rng, rates, faults: 0, points: 0, plan, now_micros: BEGIN_MICROS, hash: 0, trace };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Its state. Never held over a point.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a task stops until the scheduler lets it go on, if it ever does.
    pub async fn point(&self) {
        self.state().points += 1;
        let mut stopped = false;
        poll_fn(|_| if std::mem::replace(&mut stopped, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// A read takes some points, so that others can write between two reads that one query has begun together.
    pub async fn read_point(&self) {
        let points = self.state().rng.u32(1..=3);
        for _ in 0..points {
            self.point().await;
        }
    }

    /// Whether this fault happens here.
    pub fn fault(&self, fault: Fault) -> bool {
        let mut state = self.state();
        let rate = state.rates.of[fault as usize];
        // A step may pass several points, where one invocation does several things at once: it is killed after them.
        let is_now = |point: u64| point == state.points || (fault == Fault::Killed && point < state.points);
        let planned = state.plan.iter().position(|planned| planned.1 == fault && is_now(planned.0));
        let planned = planned.map(|place| state.plan.swap_remove(place));
        let happens = (rate > 0 && state.rng.u32(0..1_000) < rate) || planned.is_some();
        if happens {
            state.faults += 1;
            state.note(|| format!("  {fault:?}"), fault as u64);
        }
        happens
    }

    /// Moves the clock on.
    pub fn pass(&self, micros: i64) {
        self.state().now_micros += micros;
    }

    /// The time that nobody's clock shows, for each is off.
    pub fn true_time(&self) -> Timestamp {
        Timestamp::from_micros(self.state().now_micros)
    }

    /// Notes what happened: always in the run's fingerprint, and in words where the run is traced.
    pub fn note(&self, what: impl FnOnce() -> String, fingerprint: u64) {
        self.state().note(what, fingerprint);
    }

    /// The fingerprint of everything that happened.
    pub fn hash(&self) -> u64 {
        self.state().hash
    }

    /// What happened, in words.
    pub fn trace(&self) -> Vec<String> {
        self.state().trace.clone().unwrap_or_default()
    }
}

impl Host for Machine {
    fn now(&self) -> Timestamp {
        let mut state = self.state();
        let skew = match state.rates.skew_micros {
            0 => 0,
            most => state.rng.i64(-most..=most),
        };
        Timestamp::from_micros(state.now_micros + skew)
    }

    async fn sleep(&self, duration: Duration) {
        self.pass(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX));
        self.point().await;
    }

    /// By the clock that the scheduler moves, which may move on by a day between two points.
    async fn within<T: Send>(&self, limit: Duration, work: impl Future<Output = T> + Send) -> Option<T> {
        let (until, mut work) = (self.true_time().later_by(limit), pin!(work));
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if self.true_time() > until => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    fn new_id(&self) -> Uuid {
        Uuid::from_u128(self.state().rng.u128(..))
    }

    fn jitter(&self, ceiling: Duration) -> Duration {
        ceiling.mul_f64(self.state().rng.f64())
    }
}
