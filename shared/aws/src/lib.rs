//! The ports of `eventing` on AWS: the only crate in which an AWS type has a name. It knows no domain.
//!
//! | file | what it is |
//! |---|---|
//! | `event_store.rs`, `item.rs` | the event store on DynamoDB, and the form of its items |
//! | `read_table.rs` | read tables on DynamoDB |
//! | `stream.rs`, `bus.rs` | stream records in, bus entries out, bus events in |
//! | `config.rs` | clients and settings from the environment |
//! | `secret.rs` | a secret that is rotated |
//! | `telemetry.rs` | logs |

mod bus;
mod config;
mod event_store;
mod item;
mod read_table;
mod secret;
mod stream;
mod telemetry;

pub use bus::{EventBridge, SOURCE, envelope_of};
pub use config::{ConfigError, dynamodb, eventbridge, required, secrets_manager};
pub use event_store::DynamoEventStore;
pub use item::size as item_bytes;
pub use read_table::{CurrentRows, Index, Page, Place, RowHistory};
pub use secret::{RotatedSecret, SecretError, Values};
pub use stream::{UnreadableRecord, commit_of};
pub use telemetry::init as init_telemetry;
