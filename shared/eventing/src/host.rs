//! What the mechanism needs from the machine it runs on. The only place where time passes and dice are thrown, so that a
//! simulator can own both.

use std::{future::Future, time::Duration};

use aggregate::Timestamp;
use uuid::Uuid;

/// Time, sleep and randomness.
pub trait Host: Send + Sync {
    /// The time of this machine's clock. Clocks of two machines differ, and no outcome may depend on which is right.
    fn now(&self) -> Timestamp;

    /// Waits for `duration`.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// A new UUID version 7: its text order is the order of creation on one machine, to the millisecond.
    fn new_id(&self) -> Uuid;

    /// A random wait between zero and `ceiling` ("full jitter": two that collided once do not collide again in step).
    fn jitter(&self, ceiling: Duration) -> Duration;
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
