//! The HTTP edge: what a request means, and how an answer or a problem looks. Text from outside is parsed here, once, into
//! types of the domain; behind this crate nothing is checked again. It knows nothing of the AWS SDK.
//!
//! | file | what it is |
//! |---|---|
//! | `call.rs` | one request: who calls, with which headers, parameters and body |
//! | `body.rs` | request bodies as commands of the bank |
//! | `views.rs` | what answers look like |
//! | `problem.rs` | every error a client can see, by RFC 9457 |
//! | `cursor.rs` | places in lists |
//! | `routes.rs` | the paths of the API, to tell a wrong method from an unknown path |

mod body;
mod call;
mod cursor;
mod problem;
mod routes;
mod views;

pub use body::{CreateAccountBody, MoneyBody, OverdraftLimitBody, TransactionBody};
pub use call::{ADMIN_SCOPE, Call, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Reader, Response};
pub use cursor::CursorKeys;
pub use problem::{FieldError, Problem};
pub use routes::{ROUTES, no_such_route};
pub use views::{AccountView, Changed, JournalView, StatementEntryView, TotalView, TotalsView, TransactionView};
