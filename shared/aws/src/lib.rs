//! The ports of `eventing` on AWS. No other shared crate names a type of AWS's SDK; this one knows no domain.
//!
//! | file | what it is |
//! |---|---|
//! | `event_store.rs`, `item.rs` | the event store on DynamoDB, and the form of its items |
//! | `read_table.rs`, `counters.rs` with `generations.rs`, `journal.rs` | read tables on DynamoDB |
//! | `repair.rs`, `difference.rs` | compares read tables with the events, and repairs them |
//! | `stream.rs`, `bus.rs` | stream records in, bus entries out, bus events in and into read models |
//! | `fault.rs` | errors of AWS's services, by whether a later request may succeed |
//! | `config.rs` | clients and settings from the environment |
//! | `secret.rs` | a secret that is rotated |
//! | `telemetry.rs` | logs and metrics |

mod bus;
mod config;
mod counters;
mod difference;
mod event_store;
mod fault;
mod generations;
mod item;
mod journal;
mod read_table;
mod repair;
mod secret;
mod stream;
mod telemetry;

pub use bus::{EventBridge, envelope_of, project_delivered};
pub use config::{ConfigError, OPERATION_TIMEOUT, dynamodb, eventbridge, required, retries, secrets_manager, timeouts};
pub use counters::{Contents, Counters};
pub use difference::Difference;
pub use event_store::{DynamoEventStore, ScanPage, ScanPlace, Segment};
pub use eventing::{Index, Page, Place};
pub use generations::{GENERATION_KEPT, Generations};
pub use item::size as item_bytes;
pub use journal::Journal;
pub use read_table::{CurrentRows, RowHistory};
pub use repair::{Comparable, Expected, Finding, Keys, Kind, Mode, RowPlace};
pub use secret::RotatedSecret;
pub use stream::{UnreadableRecord, commit_of, record_of};
pub use telemetry::{init as init_telemetry, measure_lag, reported};
