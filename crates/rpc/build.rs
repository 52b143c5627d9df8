//! Generates the code of `proto/carillon/v1` without protoc, and the descriptors that server reflection serves.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message;

const ROOT: &str = "../../proto";
const FILES: [&str; 7] = ["agents", "queues", "calls", "records", "explain", "statistics", "watch"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let files = FILES.map(|file| format!("{ROOT}/carillon/v1/{file}.proto"));
    let descriptors = protox::compile(files, [ROOT])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("carillon.v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
