//! What only administrators read. It is a function of its own, so that the customers' function has no way to these tables.

use std::pin::pin;

use api::{Call, CursorKeys, JournalView, Problem, Response, TotalView};
use domain::{Currency, TotalsRow};
use eventing::{CounterTable, Counts, Host, JournalReader, Position, Secret, read_journal, sums};
use lambda_http::{Request, http::StatusCode};

/// What these queries read.
pub struct Queries<J, C, K> {
    /// All events in time order.
    pub journal: J,
    /// Counters by currency.
    pub totals: C,
    /// What cursors are signed with.
    pub cursor_keys: K,
}

impl<J: JournalReader, C: CounterTable, K: Secret> Queries<J, C, K> {
    /// Answers one request. The routes are the template's.
    pub async fn handle(&self, host: &impl Host, request: Request) -> Response {
        let call = Call::new(request, host);
        call.answer(host, pin!(self.answer(host, &call))).await
    }

    /// The answer to a call, or why there is none.
    ///
    /// # Errors
    /// The problem that the caller is told.
    pub async fn answer(&self, host: &impl Host, call: &Call) -> Result<Response, Problem> {
        call.admin_only()?;
        match call.route() {
            "GET /events" => self.events(host, call).await,
            "GET /totals" => self.totals(host, call).await,
            _ => Err(api::no_such_route(call.method_and_path().1)),
        }
    }

    /// All events, oldest first. There is always a cursor: who keeps asking with the newest one misses none.
    async fn events(&self, host: &impl Host, call: &Call) -> Result<Response, Problem> {
        let (limit, since, event_type) = (call.limit()?, call.instant("since")?, call.event_type()?);
        let keys = CursorKeys::of(&self.cursor_keys).await?;
        let after = match call.cursor(&keys)? {
            Some(place) => Position::from_text(place),
            None => since.map_or(Position::start(), Position::before),
        };
        let page = read_journal(&self.journal, &after, host.now(), event_type, limit).await?;
        let next_cursor = call.next_cursor(&keys, &page.up_to.to_string())?;
        call.json(StatusCode::OK, &JournalView { items: page.events, complete_until: page.up_to.time(), next_cursor })
    }

    /// What there is in each currency, and what was moved today.
    async fn totals(&self, host: &impl Host, call: &Call) -> Result<Response, Problem> {
        let today = host.now().day();
        let (now, mut moved) = sums(&self.totals, (TotalsRow::NOW, &today)).await?;
        let total = |(code, counts): (String, Counts)| {
            let currency = Currency::from_code(&code).map_err(|error| Problem::internal(&error))?;
            let count = |counts: &Counts, name: &str| counts.get(name).copied().unwrap_or(0);
            let moved = count(&moved.remove(&code).unwrap_or_default(), TotalsRow::MONEY_MOVED);
            let open = count(&counts, TotalsRow::ACCOUNTS_OPEN);
            Ok(TotalView::new(currency, open, count(&counts, TotalsRow::MONEY_HELD), moved))
        };
        let items: Vec<TotalView> = now.into_iter().map(total).collect::<Result<_, Problem>>()?;
        call.json(StatusCode::OK, &api::TotalsView { day: today, items })
    }
}
