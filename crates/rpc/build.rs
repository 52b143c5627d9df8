//! Generates the code of `proto/` without protoc, and the descriptors that server reflection serves: those of the public
//! API only.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message;

const ROOT: &str = "../../proto";
const PUBLIC: [&str; 8] = ["agents", "queues", "calls", "cluster", "records", "explain", "statistics", "watch"];
const CLUSTER: [&str; 6] = ["ids", "agent", "queue", "call", "checkpoints", "links"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    generate("carillon.v1", &PUBLIC)?;
    generate("carillon.cluster.v1", &CLUSTER)
}

fn generate(package: &str, files: &[&str]) -> Result<(), Box<dyn Error>> {
    let folder = format!("{ROOT}/{}", package.replace('.', "/"));
    let descriptors = protox::compile(files.iter().map(|file| format!("{folder}/{file}.proto")), [ROOT])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join(format!("{package}.bin")), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
