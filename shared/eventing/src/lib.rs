//! The mechanism of event sourcing, generic over the aggregate: how a command becomes recorded events, how recorded events
//! reach a bus, how a read model follows them. Async, and without AWS: `aws` implements the ports that are declared here.
//!
//! | file | what it is |
//! |---|---|
//! | `commit.rs` | what one append writes: all events of one command, and perhaps the state after them |
//! | `store.rs` | the event store port and its outcomes |
//! | `execute.rs` | one command: load, recognise a repetition, decide, append; conflicts and unknown outcomes |
//! | `search.rs` | versions by time |
//! | `projection.rs` | one event on its way into a read model: Apply, Skip or Gap |
//! | `journal.rs` | the order in which a reader follows all events, and how none is missed |
//! | `list.rs`, `history.rs`, `counters.rs` | what queries read, and how two sources make one answer |
//! | `secret.rs` | a secret that is rotated |
//! | `publish.rs` | recorded events on their way to the bus, entry by entry |
//! | `causes.rs` | errors as a log shows them |
//! | `host.rs` | time, sleep and randomness |
//! | `measures.rs` | what is measured, and under which names |
//! | `memory.rs` | an event store in memory |
//! | `contract.rs` | what every event store promises, as a test suite |

mod causes;
mod commit;
pub mod contract;
mod counters;
mod execute;
mod history;
mod host;
mod journal;
mod list;
pub mod measures;
mod memory;
mod projection;
mod publish;
mod search;
mod secret;
mod store;

pub use causes::causes;
pub use commit::{Commit, RecordedEvent, Snapshot};
pub use counters::{CounterTable, Counts, sums};
pub use execute::{Command, ExecuteError, Executed, ExpectedVersion, Loaded, execute, load};
pub use history::{HistoryPage, HistoryTable, first_not_early, history_page, newest_version};
pub use host::{Host, System, deadline};
pub use journal::{
    ENTRY_WRITE_MAX, Entered, HOLD_BACK, JournalPage, JournalReader, JournalTable, Placing, Position, SHARDS,
    ShardPage, enter, merge, place, read_journal, shard,
};
pub use list::{CurrentTable, Index, ListFrom, Page, Place, list};
pub use memory::MemoryStore;
pub use projection::{
    Gate, ProjectError, Projected, ReadTable, Saved, TableError, catch_up, classify, fold, fresh, project,
};
pub use publish::{Bus, BusError, Entry, PublishLimits, Published, Rejected, publish};
pub use search::{BinarySearch, load_at};
pub use secret::{Secret, SecretError, SecretValues};
pub use store::{AppendError, EventStore, ReadError, Tail};
