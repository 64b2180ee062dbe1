//! Starts the local cloud.

fn main() -> std::process::ExitCode {
    local::main()
}
