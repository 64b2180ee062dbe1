//! What the mechanism needs from the machine it runs on. The only place where time passes and dice are thrown, so that a
//! simulator can own both.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use aggregate::Timestamp;
use uuid::Uuid;

/// Time, sleep and randomness.
pub trait Host: Send + Sync {
    /// The time of this machine's clock. Clocks of two machines differ, and no outcome may depend on which is right.
    fn now(&self) -> Timestamp;

    /// Waits for `duration`.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// Runs `work` for at most `limit`. `None` where it takes longer: then it is dropped at the await where it stands, as a function
    /// that is killed would be.
    fn within<T: Send>(
        &self,
        limit: Duration,
        work: impl Future<Output = T> + Send,
    ) -> impl Future<Output = Option<T>> + Send {
        async move {
            let (mut work, mut limit) = (pin!(work), pin!(self.sleep(limit)));
            poll_fn(|context| match work.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending => limit.as_mut().poll(context).map(|()| None),
            })
            .await
        }
    }

    /// A new UUID version 7: its text order is the order of creation on one machine, to the millisecond.
    fn new_id(&self) -> Uuid;

    /// A random wait between zero and `ceiling` ("full jitter": two that collided once do not collide again in step).
    fn jitter(&self, ceiling: Duration) -> Duration;
}

/// No wait between two attempts is longer.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Waits after `attempts` attempts, from 1: a random time of up to `unit`, doubled with each attempt, up to [`PAUSE_MAX`].
pub(crate) async fn pause(host: &impl Host, attempts: u32, unit: Duration) {
    let ceiling = unit.saturating_mul(2_u32.saturating_pow(attempts)).min(PAUSE_MAX);
    host.sleep(host.jitter(ceiling)).await;
}

/// Kept free at the end of an invocation, to say how it ended.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// The time after which no new attempt begins, in an invocation that is ended from outside at `millis` (milliseconds since the Unix
/// epoch, as Lambda says it): half a second before.
#[must_use]
pub fn deadline(millis: u64) -> Timestamp {
    let micros = i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(1_000);
    Timestamp::from_micros(micros).earlier_by(ANSWER_MARGIN)
}

/// The real machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Host for System {
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn jitter(&self, ceiling: Duration) -> Duration {
        ceiling.mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_keeps_half_a_second_for_its_answer() {
        assert_eq!(deadline(29_000), Timestamp::from_micros(28_500_000));
        assert_eq!(deadline(u64::MAX), Timestamp::from_micros(i64::MAX).earlier_by(ANSWER_MARGIN));
    }
}
