//! The HTTP edge: what a request means, and how an answer or a problem looks. Text from outside is parsed here, once, into
//! types of the domain; behind this crate nothing is checked again. It knows nothing of the AWS SDK.
//!
//! | file | what it is |
//! |---|---|
//! | `call.rs` | one request: who calls, with which headers, parameters and body |
//! | `call/headers.rs`, `call/parameters.rs` | its headers and the parameters of its query |
//! | `call/answer.rs` | what goes back |
//! | `body.rs` | request bodies as commands of the bank |
//! | `bus.rs` | requests of other systems, which come over the bus, and their answers |
//! | `views.rs` | what answers look like |
//! | `problem.rs`, `problem/kinds.rs` | every error a client can see, by RFC 9457, and its page |
//! | `cursor.rs` | places in lists |
//! | `operations.rs`, `openapi.rs` | every operation in one table, and the contract that is made from it |

mod body;
mod bus;
mod call;
mod cursor;
mod id;
mod openapi;
mod operations;
mod problem;
mod views;

pub use body::{CreateAccountBody, Fields, FromFields, MoneyBody, OverdraftLimitBody, TransactionBody};
pub use bus::{
    Asked, DepositRequestAccepted, DepositRequestRefused, DepositRequestUnreadable, DepositRequested, NoRequestId,
    RequestId,
};
pub use call::{ADMIN_SCOPE, Call, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Reader, Response, answered, no_content};
pub use cursor::CursorKeys;
pub use openapi::{Example, OpenApi, openapi};
pub use operations::{DOCUMENTATION, OPERATIONS, Operation, no_such_route};
pub use problem::{FieldError, PROBLEM_PAGES, Problem, ProblemPage};
pub use views::{
    AccountEventView, AccountView, Changed, JournalView, StatementEntryView, TotalView, TotalsView, TransactionView,
    VisibleSides,
};
