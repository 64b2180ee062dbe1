//! The functions' binaries: built when cargo runs the local cloud, else found beside it.

use crate::template::Function;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::process::Command;

/// The program of every function, by binary name.
pub async fn ready(functions: &[Function], may_build: bool) -> Result<BTreeMap<String, PathBuf>, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot tell where this program is: {error}"))?;
    let folder = own.parent().ok_or("this program is in no folder")?;
    if let (true, Some(cargo)) = (may_build, std::env::var_os("CARGO")) {
        eprintln!("building {} functions", functions.len());
        let mut build = Command::new(cargo);
        build.arg("build");
        if folder.ends_with("release") {
            build.arg("--release");
        }
        for function in functions {
            build.args(["--package", &function.binary]);
        }
        let status = build.status().await.map_err(|error| format!("cannot run cargo: {error}"))?;
        if !status.success() {
            return Err("the functions do not build; cargo says why above".to_owned());
        }
    }
    let mut programs = BTreeMap::new();
    for function in functions {
        let program = folder.join(&function.binary);
        if !program.exists() {
            return Err(format!("{} is not built; `cargo build --workspace` builds all", program.display()));
        }
        programs.insert(function.binary.clone(), program);
    }
    Ok(programs)
}
