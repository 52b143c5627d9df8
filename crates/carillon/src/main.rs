//! Carillon: an open-source contact center that runs as a cluster.

use std::process::ExitCode;

fn main() -> ExitCode {
    carillon::main()
}
