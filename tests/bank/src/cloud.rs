//! A local cloud that is killed and started again, on the same ports and the same folder.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The cloud.
pub struct Cloud {
    folder: tempfile::TempDir,
    binaries: PathBuf,
    ports: [u16; 2],
    child: Mutex<Child>,
    functions_killed: AtomicU64,
    clouds_killed: AtomicU64,
    /// The API.
    pub url: String,
}

impl Cloud {
    /// Builds everything and starts it.
    pub fn start() -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let binaries = own.parent().ok_or("our own binary is in no folder")?.to_owned();
        let mut build = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
        build.args(["build", "--quiet", "--locked", "--workspace", "--bins"]);
        // As we were built ourselves; the folder of the profile `dev` has another name.
        let profile = binaries.file_name().and_then(|name| name.to_str()).filter(|name| *name != "debug");
        build.args(["--profile", profile.unwrap_or("dev")]);
        if !build.status().map_err(|error| error.to_string())?.success() {
            return Err("the workspace does not build".to_owned());
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let ports = [free_port()?, free_port()?];
        let child = Mutex::new(spawn(&binaries, &folder, ports)?);
        let url = format!("http://127.0.0.1:{}", ports[0]);
        let [functions_killed, clouds_killed] = [AtomicU64::new(0), AtomicU64::new(0)];
        Ok(Self { folder, binaries, ports, child, functions_killed, clouds_killed, url })
    }

    /// Kills the local cloud, and starts it again.
    pub fn kill_itself(&self) -> Result<(), String> {
        let mut child = self.child();
        child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
        *child = spawn(&self.binaries, &self.folder, self.ports)?;
        self.clouds_killed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Kills one of the functions' processes, whatever it does at the moment.
    pub fn kill_a_function(&self) -> Result<(), String> {
        let pid = self.child().id().to_string();
        let children = Command::new("pgrep").args(["-P", &pid]).output().map_err(|error| error.to_string())?;
        let children = String::from_utf8_lossy(&children.stdout).into_owned();
        let children: Vec<&str> = children.lines().collect();
        let Some(victim) = fastrand::choice(&children) else { return Ok(()) };
        let killed = Command::new("kill").args(["-KILL", victim]).stderr(Stdio::null()).status();
        if killed.map_err(|error| error.to_string())?.success() {
            self.functions_killed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Functions killed so far.
    pub fn functions_killed(&self) -> u64 {
        self.functions_killed.load(Ordering::Relaxed)
    }

    /// Local clouds killed so far.
    pub fn clouds_killed(&self) -> u64 {
        self.clouds_killed.load(Ordering::Relaxed)
    }

    /// The variables that lead AWS's tools here.
    pub fn environment(&self) -> Result<Vec<(String, String)>, String> {
        let answer = ureq::get(format!("{}/_local/environment", self.url)).call();
        let text =
            answer.and_then(|mut answer| answer.body_mut().read_to_string()).map_err(|error| error.to_string())?;
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(text.lines().filter_map(pair).collect())
    }

    /// What `daybook` says to these arguments, and whether it found everything well.
    pub fn daybook(&self, arguments: &[&str]) -> Result<(bool, String), String> {
        /// It may find nothing out because the engine is at work on something else for a moment.
        const TRIES: u32 = 3;
        let mut tries = 0;
        loop {
            tries += 1;
            let mut command = Command::new(self.binaries.join("daybook"));
            command.args(arguments).current_dir(self.folder.path()).envs(self.environment()?);
            let output = command.output().map_err(|error| error.to_string())?;
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            match output.status.code() {
                Some(0) => return Ok((true, said)),
                Some(1) => return Ok((false, said)),
                _ if tries < TRIES => {}
                _ => return Err(format!("daybook {arguments:?} finds nothing out: {said}")),
            }
        }
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // It may have gone by itself, which the checks have seen.
        let mut child = self.child();
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| error.to_string())
}

/// Starts it, and waits until it is ready.
fn spawn(binaries: &std::path::Path, folder: &tempfile::TempDir, ports: [u16; 2]) -> Result<Child, String> {
    let [api, engine] = ports.map(|port| port.to_string());
    let mut child = Command::new(binaries.join("local"))
        .args(["--requests-per-second", "10000"]) // What is measured here is the bank, not the gateway.
        .args(["--port", &api, "--engine-port", &engine, "--no-build", "--data-dir"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("it has no output")?).lines();
    if !lines.by_ref().map_while(Result::ok).any(|line| line.starts_with("ready ")) {
        return Err("the local cloud does not start".to_owned());
    }
    // What it says is read, so that it never waits for us.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Ok(child)
}
