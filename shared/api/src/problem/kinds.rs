//! Every kind of problem, in one table: what clients branch on, and what its page at `/problems/{name}` says.

use lambda_http::http::StatusCode;

/// What a client can branch on.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
}

/// The page of a kind of problem. It is apart from the kind itself, so that only the function that serves the pages contains their text.
#[derive(Debug, Clone, Copy)]
pub struct ProblemPage {
    /// The last part of the `type`.
    pub name: &'static str,
    /// The title.
    pub title: &'static str,
    /// The status that the problem is answered with.
    pub status: StatusCode,
    /// What went wrong.
    pub meaning: &'static str,
    /// What a client does about it.
    pub remedy: &'static str,
}

macro_rules! kinds {
    ($($constant:ident $name:literal $status:ident $title:literal: $meaning:literal $remedy:literal)*) => {
        $(pub(super) const $constant: Kind = Kind { name: $name, status: StatusCode::$status, title: $title };)*
        /// Every problem that there is.
        pub(crate) const KINDS: &[Kind] = &[$($constant),*];
        /// The page of every problem.
        pub const PROBLEM_PAGES: &[ProblemPage] = &[$(ProblemPage {
            name: $name, title: $title, status: StatusCode::$status, meaning: $meaning, remedy: $remedy,
        }),*];
    };
}

kinds! {
    MALFORMED_JSON "malformed-json" BAD_REQUEST "Malformed JSON":
        "The body of the request is not JSON in UTF-8."
        "Correct the body and send the request again. `detail` says where it stops being JSON."
    INVALID_REQUEST "invalid-request" BAD_REQUEST "Invalid request":
        "Fields of the body or parameters of the query are missing, unknown, repeated or malformed."
        "Correct everything that `errors` lists and send the request again."
    INVALID_HEADER "invalid-header" BAD_REQUEST "Invalid header":
        "A header of the request is malformed."
        "Correct the header that `detail` names and send the request again."
    MALFORMED_ID "malformed-id" BAD_REQUEST "Malformed id":
        "The id in the path is not a UUID in its usual form."
        "Use the id that was answered when the account or transaction was created."
    FORBIDDEN "forbidden" FORBIDDEN "Permission required":
        "The access token does not have the scope that the operation needs."
        "Send a token that has the scope."
    UNAUTHENTICATED "unauthenticated" UNAUTHORIZED "Authentication required":
        "The request has no access token, or one that is not valid here."
        "Send `Authorization: Bearer` with an access token of the API's issuer."
    NOT_FOUND "not-found" NOT_FOUND "Not found":
        "No account or transaction has this id, or it belongs to another customer. The two are the same answer."
        "Check the id and whose token you send."
    NO_SUCH_ROUTE "no-such-route" NOT_FOUND "Path not found":
        "The API has no such path."
        "Check the path. The contract at `/openapi.json` has them all."
    METHOD_NOT_ALLOWED "method-not-allowed" METHOD_NOT_ALLOWED "Method not allowed":
        "The path does not take this method."
        "Use a method that the header `Allow` names."
    NOT_YET "not-yet" CONFLICT "Version not reached":
        "You asked for a version that the account or transaction has not reached."
        "Ask again in a moment, or for a version that was answered to a command."
    ALREADY_OPEN "already-open" CONFLICT "Account already open":
        "An account with this id is open already."
        "Use the account, or create another with another Idempotency-Key."
    VERSION_MISMATCH "version-mismatch" PRECONDITION_FAILED "Version conflict":
        "The account has another version than those in the header `If-Match`. Nothing was changed."
        "Read the account again, decide on its current version, and send the request with its `ETag`."
    BODY_TOO_LARGE "body-too-large" PAYLOAD_TOO_LARGE "Body too large":
        "The body of the request is larger than any that the API takes."
        "Send only the fields of the operation."
    WRONG_CONTENT_TYPE "wrong-content-type" UNSUPPORTED_MEDIA_TYPE "Unsupported content type":
        "The body of the request is not declared as JSON."
        "Send `Content-Type: application/json`."
    INSUFFICIENT_FUNDS "insufficient-funds" UNPROCESSABLE_ENTITY "Insufficient funds":
        "The account does not have that much money, its overdraft limit included. No money moved."
        "Ask for at most what `available` says."
    CURRENCY_MISMATCH "currency-mismatch" UNPROCESSABLE_ENTITY "Currency mismatch":
        "The amount is in another currency than the account. No money moved."
        "Send an amount in the account's currency."
    BALANCE_TOO_LARGE "balance-too-large" UNPROCESSABLE_ENTITY "Balance too large":
        "An earlier version of the bank refused the amount because of how much the account held. No money moved."
        "Send the deposit again as another request: there is no such limit any more."
    ACCOUNT_CLOSED "account-closed" UNPROCESSABLE_ENTITY "Account closed":
        "The account is closed. It stays closed for ever."
        "Open another account."
    ACCOUNT_FROZEN "account-frozen" UNPROCESSABLE_ENTITY "Account frozen":
        "The account is frozen: its money does not move until the bank unfreezes it."
        "Ask the bank."
    ACCOUNT_NOT_EMPTY "account-not-empty" UNPROCESSABLE_ENTITY "Account not empty":
        "Only an account with a balance of zero can be closed."
        "Bring the balance to zero first. `balance` says what it is."
    TRANSACTIONS_UNDER_WAY "transactions-under-way" UNPROCESSABLE_ENTITY "Transactions pending":
        "Open transactions of the account do not allow the request."
        "Wait until they have ended and send the request again."
    OVERDRAFT_IN_USE "overdraft-in-use" UNPROCESSABLE_ENTITY "Overdraft in use":
        "The balance is further below zero than the new overdraft limit."
        "Set a limit that covers the balance, or pay money in first."
    SAME_ACCOUNT "same-account" UNPROCESSABLE_ENTITY "Same account":
        "The source and the destination of the transaction are the same account."
        "Name two different accounts."
    IDEMPOTENCY_KEY_REUSED "idempotency-key-reused" UNPROCESSABLE_ENTITY "Idempotency key reused":
        "The Idempotency-Key, or the `request_id` of a deposit request, was used for another request. Nothing was changed."
        "Send a new key with a new request, and the same key only with the very same request."
    TOO_BUSY "too-busy" SERVICE_UNAVAILABLE "Account too busy":
        "Too many commands on this account arrived at once. Nothing was changed."
        "Send the request again after the seconds that `Retry-After` says."
    OUTCOME_UNKNOWN "outcome-unknown" SERVICE_UNAVAILABLE "Outcome unknown":
        "It is not known yet whether the request had its effect."
        "Send the same request again with the same Idempotency-Key. If it had none, read the account first."
    UNAVAILABLE "unavailable" SERVICE_UNAVAILABLE "Service unavailable":
        "Something that the answer needs does not respond. Nothing was changed."
        "Send the request again after the seconds that `Retry-After` says."
    INTERNAL "internal" INTERNAL_SERVER_ERROR "Internal error":
        "The request failed through no fault of yours."
        "Try again later. If it fails again, report the `X-Correlation-Id` of the answer."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_says_what_is_wrong_and_what_to_do_and_needs_no_other_document() {
        for page in PROBLEM_PAGES {
            for text in [page.meaning, page.remedy] {
                assert!(text.ends_with('.') && !text.contains("README"), "{}: {text}", page.name);
            }
            // A title, not a sentence: a few words, the first with a capital.
            let words = page.title.split(' ').count();
            assert!(
                (1..=3).contains(&words) && page.title.starts_with(|first: char| first.is_ascii_uppercase()),
                "{page:?}"
            );
            assert!(page.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{page:?}");
        }
    }
}
