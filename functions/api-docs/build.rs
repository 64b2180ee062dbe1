//! Makes compact JSON of the contract, so that the function has the bytes that it answers with.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/openapi.yaml");
    println!("cargo::rerun-if-changed={}", contract.display());
    let contract: serde_json::Value = serde_saphyr::from_str(&fs::read_to_string(contract)?)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("openapi.json"), contract.to_string())?;
    Ok(())
}
