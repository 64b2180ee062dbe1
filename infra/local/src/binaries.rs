//! The functions' binaries: built where cargo started us, found beside our own otherwise.
//!
//! A function's binary has the name of its package. It is built with our own profile into our own target folder, so that
//! `cargo run --release` runs everything in release.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::template::Function;

/// Where `cargo run` leaves the path of cargo itself.
const CARGO: &str = "CARGO";
/// Where `cargo run` leaves our package's folder, which is in the workspace of the functions.
const CARGO_MANIFEST_DIR: &str = "CARGO_MANIFEST_DIR";

/// How the functions' binaries come about.
pub struct Binaries {
    /// Where they are, or will be.
    folder: PathBuf,
    /// Cargo, where it is to build them.
    cargo: Option<OsString>,
}

impl Binaries {
    /// Built by the cargo that started us, unless there is none or `no_build` is wished.
    pub fn new(no_build: bool) -> Result<Self, String> {
        let own = env::current_exe().map_err(|error| format!("cannot find our own binary: {error}"))?;
        let folder = own.parent().map(Path::to_owned).ok_or("our own binary is in no folder")?;
        Ok(Self { folder, cargo: env::var_os(CARGO).filter(|_| !no_build) })
    }

    /// Whether [`Self::build`] has anything to do.
    pub fn are_built_first(&self) -> bool {
        self.cargo.is_some()
    }

    /// Builds every function's binary. What cargo has to say goes to the terminal.
    pub async fn build(&self, functions: &[Function]) -> Result<(), String> {
        let Some(cargo) = &self.cargo else { return Ok(()) };
        let mut command = Command::new(cargo);
        command.arg("build");
        for function in functions {
            command.args(["--package", &function.binary, "--bin", &function.binary]);
        }
        match self.folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => {}
            Some(profile) => {
                command.args(["--profile", profile]);
            }
        }
        if let Some(target) = self.folder.parent() {
            command.arg("--target-dir").arg(target);
        }
        if let Some(package) = env::var_os(CARGO_MANIFEST_DIR) {
            command.current_dir(package);
        }
        let status = command.kill_on_drop(true).status().await.map_err(|error| format!("cannot run cargo: {error}"))?;
        if status.success() { Ok(()) } else { Err("the functions do not build; cargo says why above".to_owned()) }
    }

    /// The binary of a function, which may be missing where nothing is built.
    pub fn find(&self, function: &Function) -> Result<PathBuf, String> {
        let path = self.folder.join(format!("{}{}", function.binary, env::consts::EXE_SUFFIX));
        if path.is_file() {
            return Ok(path);
        }
        let (name, path, package) = (&function.name, path.display(), &function.binary);
        Err(format!(
            "function {name} has no binary {path}; build it with `cargo build -p {package}`, or use `cargo run`"
        ))
    }
}
