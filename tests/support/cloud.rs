//! The local cloud and all its functions, as processes, and an HTTP client for it.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, Once},
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long a test waits for something that must happen: generous, for a machine that does other things too.
const PATIENCE: Duration = Duration::from_mins(1);

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where cargo puts binaries of the profile that this test was built with.
fn binaries() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().find(|folder| folder.join(".cargo-lock").exists());
    folder.unwrap_or_else(|| test.parent().unwrap()).to_owned()
}

/// Builds every binary of the workspace, once in a test run.
pub fn build_everything() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--workspace", "--bins"]).current_dir(repository());
        // The folder of the profile `dev` has another name.
        let folder = binaries();
        let profile = folder.file_name().and_then(|name| name.to_str()).filter(|name| *name != "debug");
        build.args(["--profile", profile.unwrap_or("dev")]);
        assert!(build.status().unwrap().success(), "the workspace does not build");
    });
}

/// The binary of a function, built.
#[must_use]
pub fn function_binary(name: &str) -> PathBuf {
    build_everything();
    binaries().join(name)
}

/// A running local cloud; it and all its processes are stopped when this goes.
pub struct Cloud {
    child: Child,
    output: Arc<Output>,
    /// The API.
    pub url: String,
    /// Alice's, who sends every request that does not say who does; nothing where the API asks for none.
    alice: Option<String>,
}

#[derive(Default)]
struct Output {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers that tests look at.
    pub headers: ureq::http::HeaderMap,
    /// The body; null where it is not JSON.
    pub body: Value,
}

impl Answer {
    /// The text of a header, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The last part of a problem's type.
    #[must_use]
    pub fn problem(&self) -> &str {
        self.body["type"].as_str().and_then(|text| text.rsplit('/').next()).unwrap_or_default()
    }
}

impl Cloud {
    /// Starts one in memory, on free ports, and waits until it is ready.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&["--in-memory"])
    }

    /// Starts one with these options beside the ports.
    #[must_use]
    pub fn start_with(options: &[&str]) -> Self {
        build_everything();
        let mut child = Command::new(binaries().join("local"))
            .args(["--port", "0", "--engine-port", "0", "--no-build"])
            .args(options)
            .current_dir(repository())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new(Output::default());
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        output.clone().follow(stdout);
        output.clone().follow(stderr);
        let mut cloud = Self { child, output, url: String::new(), alice: None };
        let ready = cloud.wait_for_line("ready http");
        ready.trim_start_matches("ready ").clone_into(&mut cloud.url);
        let printed = cloud.printed();
        let token = printed.iter().find_map(|line| line.strip_prefix("token alice "));
        cloud.alice = token.map(|token| format!("Bearer {token}"));
        cloud
    }

    /// The process id of the local cloud.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything printed so far.
    #[must_use]
    pub fn printed(&self) -> Vec<String> {
        self.output.lines.lock().unwrap().clone()
    }

    /// The first line printed that has `text` in it; waits for it.
    #[must_use]
    pub fn wait_for_line(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.output.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(Instant::now() < deadline, "no line with {text:?} in:\n{}", lines.join("\n"));
            lines = self.output.grown.wait_timeout(lines, Duration::from_millis(100)).unwrap().0;
        }
    }

    /// The endpoint of a service (`DynamoDB`, `EventBridge`), from the start screen.
    #[must_use]
    pub fn url_of(&self, service: &str) -> String {
        let line = self.wait_for_line(service);
        let at = line.find("http://").expect("an endpoint");
        line[at..].split_whitespace().next().unwrap().to_owned()
    }

    /// Kills the local cloud as nothing can be prepared for.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, as Ctrl-C does, and gives its exit code.
    #[must_use]
    pub fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }

    /// The token of a user (`alice`, `bob`, `admin`), as a header.
    #[must_use]
    pub fn token_of(&self, name: &str) -> String {
        self.token(name, "")
    }

    /// A token of `name` that is as `query` wishes: see `Wish` in the local cloud's `identity.rs`.
    #[must_use]
    pub fn token(&self, name: &str, query: &str) -> String {
        let mut answer = ureq::get(format!("{}/_local/tokens/{name}?{query}", self.url)).call().unwrap();
        format!("Bearer {}", answer.body_mut().read_to_string().unwrap())
    }

    /// `GET`.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    /// `POST` of JSON.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], Some(body.to_string().as_bytes()))
    }

    /// `POST` of JSON with an idempotency key.
    #[must_use]
    pub fn post_once(&self, path: &str, key: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        self.send("POST", path, &headers, Some(body.to_string().as_bytes()))
    }

    /// A request of the administrator's.
    #[must_use]
    pub fn administrate(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let (token, body) = (self.token_of("admin"), body.map(Value::to_string));
        let headers = [("content-type", "application/json"), ("authorization", token.as_str())];
        self.send(method, path, &headers, body.as_ref().map(String::as_bytes))
    }

    /// Any request.
    #[must_use]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        self.try_send(method, path, headers, body).unwrap()
    }

    /// Any request, which may fail on the way.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer, ureq::Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        let says_who = headers.iter().any(|(name, _)| *name == "authorization");
        let alice = self.alice.iter().filter(|_| !says_who).map(|token| ("authorization", token.as_str()));
        // An empty value is a header that is left out.
        for (name, value) in headers.iter().copied().chain(alice).filter(|(_, value)| !value.is_empty()) {
            request = request.header(name, value);
        }
        let mut response = match body {
            Some(body) => agent.run(request.body(body).unwrap())?,
            None => agent.run(request.body(()).unwrap())?,
        };
        let text = response.body_mut().read_to_string()?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: serde_json::from_str(&text).unwrap_or_default(),
        })
    }

    /// Puts an event on the bus, as another system does.
    pub fn put_event(&self, source: &str, detail_type: &str, detail: &Value) {
        let entry = serde_json::json!({
            "EventBusName": "daybook", "Source": source, "DetailType": detail_type, "Detail": detail.to_string(),
        });
        let mut answer = ureq::post(self.url_of("EventBridge"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", "AWSEvents.PutEvents")
            .send(serde_json::json!({ "Entries": [entry] }).to_string())
            .unwrap();
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
    }

    /// Opens an account and gives its path.
    #[must_use]
    pub fn open_account(&self, currency: &str) -> String {
        let answer = self.post("/accounts", &serde_json::json!({ "currency": currency }));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.header("location").to_owned()
    }

    /// Asks again until the answer is as it should be.
    pub fn eventually(&self, path: &str, good: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path);
            if good(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} stays at {answer:?}\n{}", self.printed().join("\n"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Output {
    fn follow(self: Arc<Self>, stream: impl std::io::Read + Send + 'static) {
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                self.lines.lock().unwrap().push(line);
                self.grown.notify_all();
            }
        });
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // Already gone after `kill` and `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
