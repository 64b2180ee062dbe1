//! The start: what is being done until everything is ready, and then the one screen that says what there is.

use std::{
    borrow::Cow,
    io::{IsTerminal, Write, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{BOLD, Console, DIM, Line};
use crate::template::Route;

/// How often the spinner turns.
const SPINNER_INTERVAL: Duration = Duration::from_millis(80);

/// What is being done: a spinner on a terminal, lines elsewhere. On the standard error, so that the standard output has only
/// what is wanted in the end.
pub struct Progress {
    spinner: Option<ProgressBar>,
}

impl Progress {
    /// Nothing is being done yet.
    pub fn new() -> Self {
        Self { spinner: stderr().is_terminal().then(spinner) }
    }

    /// The next thing is being done.
    pub fn step(&self, what: impl Into<Cow<'static, str>>) {
        let what = what.into();
        match &self.spinner {
            Some(spinner) => spinner.set_message(terminal::line(&what).into_owned()),
            // Nobody may be there to read it.
            None => drop(writeln!(stderr(), "{}", terminal::line(&what))),
        }
    }

    /// Another program writes to the terminal while `work` is done.
    pub async fn aside<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let Some(spinner) = &self.spinner else {
            self.step(what.to_owned());
            return work.await;
        };
        spinner.println(terminal::line(what));
        spinner.disable_steady_tick();
        spinner.finish_and_clear();
        let result = work.await;
        spinner.reset();
        spinner.enable_steady_tick(SPINNER_INTERVAL);
        result
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

fn spinner() -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
    spinner.enable_steady_tick(SPINNER_INTERVAL);
    spinner
}

/// What there is, once it is ready.
pub struct Screen<'a> {
    pub base_url: &'a str,
    /// Whether the API's contract is shown there.
    pub has_page: bool,
    pub engine_url: &'a str,
    pub bus_url: &'a str,
    pub data: &'a str,
    /// Names with tokens for them, where the API has an authorizer.
    pub tokens: &'a [(&'a str, String)],
    pub routes: &'a [Route],
    /// Queues that have messages from earlier, with how many.
    pub waiting: &'a [(String, usize)],
}

impl Screen<'_> {
    /// Shows everything, and last the line that says that it is ready.
    pub fn show(&self, console: &Console) {
        let line = |text: &str| console.line(&Line::default().text(text));
        let fact = |name: &str, value: &str, hint: &str| {
            let fact = Line::default().text("  ").styled(DIM, format!("{name:<12}")).text(value);
            console.line(&if hint.is_empty() { fact } else { fact.text("  ").styled(DIM, hint) });
        };
        line("");
        let width = self.routes.iter().map(|route| shown_key(route).len()).max().unwrap_or_default();
        for route in self.routes {
            let key = Line::default().text(format!("  {:<width$}  ", shown_key(route)));
            console.line(&key.styled(DIM, &route.function));
        }
        line("");
        fact("API", self.base_url, if self.has_page { "open it in a browser to read the contract" } else { "" });
        fact("DynamoDB", self.engine_url, "aws dynamodb --endpoint-url");
        fact("EventBridge", self.bus_url, "aws events --endpoint-url");
        fact("data", self.data, "");
        for (queue, messages) in self.waiting {
            fact("waiting", &format!("{} in {queue}", super::counted(*messages, "message")), "");
        }
        if let Some(example) = self.example() {
            line("");
            console.line(&Line::default().text("  ").styled(BOLD, example));
        }
        line("");
        for (name, token) in self.tokens {
            line(&format!("token {name} {token}"));
        }
        line(&format!("ready {}", self.base_url));
    }

    /// A request to begin with: the first route with an example, or the first that makes something without parameters.
    fn example(&self) -> Option<String> {
        let is_simple = |route: &&Route| !route.path.contains(['{', '$']);
        let with_example = self.routes.iter().filter(is_simple).find(|route| route.example.is_some());
        let route =
            with_example.or_else(|| self.routes.iter().filter(is_simple).find(|route| route.method == "POST"))?;
        let method = if route.method == "POST" { String::new() } else { format!("-X {} ", route.method) };
        let body = route.example.as_ref().map(|body| format!(" -H 'content-type: application/json' -d '{body}'"));
        let token = self.tokens.first().filter(|_| route.authorized).map(|(name, _)| {
            format!(" -H \"authorization: Bearer $(curl -s {}/_local/tokens/{name})\"", self.base_url)
        });
        let (token, body) = (token.unwrap_or_default(), body.unwrap_or_default());
        Some(format!("curl -i {method}{}{}{token}{body}", self.base_url, route.path))
    }
}

fn shown_key(route: &Route) -> String {
    match route.path.as_str() {
        Route::DEFAULT => "anything else".to_owned(),
        path => format!("{:<7} {path}", route.method),
    }
}
