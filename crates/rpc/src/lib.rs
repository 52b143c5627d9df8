//! What goes over the wire: the code generated from `proto/`, the conversions from the rooms' own types to it, the refusals
//! of the public API, and what nodes say to each other ([`cluster`]).
//!
//! Names travel as text (`tenants/{tenant}/agents/{agent}`) and are read by [`names`]; a snapshot of `carillon_acd::view`
//! becomes its message by `From`.

pub mod cluster;
pub mod explain;
pub mod names;
pub mod refusal;
pub mod statistics;
pub mod time;

mod agent;
mod call;
mod queue;
mod record;

pub use prost_types::{Duration, Timestamp};
pub use refusal::Refusal;

/// The generated messages, clients and servers of `proto/carillon/v1`; their documentation is that of the proto files.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod v1 {
    tonic::include_proto!("carillon.v1");
}

/// The encoded `FileDescriptorSet` of `carillon.v1` with everything it imports, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/carillon.v1.bin"));

/// The metadata of an answer that names nodes whose part of it is missing: their numbers, with commas between.
pub const MISSING_NODES: &str = "carillon-missing-nodes";

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::{FileDescriptorProto, FileDescriptorSet};

    use super::DESCRIPTORS;

    fn ours() -> Vec<FileDescriptorProto> {
        let all = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
        all.into_iter().filter(|file| file.package() == "carillon.v1").collect()
    }

    #[test]
    fn each_call_has_a_request_and_a_response_of_its_own() {
        for file in ours() {
            assert!(file.service.len() <= 1, "{}: one file per service", file.name());
            for method in file.service.iter().flat_map(|service| &service.method) {
                assert_eq!(method.input_type(), format!(".carillon.v1.{}Request", method.name()));
                assert_eq!(method.output_type(), format!(".carillon.v1.{}Response", method.name()));
            }
        }
    }

    #[test]
    fn each_enum_begins_with_unspecified() {
        for value in ours().iter().flat_map(|file| &file.enum_type).map(|each| &each.value[0]) {
            assert!(value.name().ends_with("_UNSPECIFIED") && value.number() == 0, "{}", value.name());
        }
    }

    #[test]
    fn every_element_has_a_comment() {
        // Field numbers in descriptor.proto: what is a message, a field, a service, a method, an enum, a value.
        let wanted =
            |path: &[i32]| matches!(path, [4, _] | [4, _, 2, _] | [6, _] | [6, _, 2, _] | [5, _] | [5, _, 2, _]);
        for file in ours() {
            let info = file.source_code_info.as_ref().unwrap();
            for place in info.location.iter().filter(|place| wanted(&place.path)) {
                assert!(place.leading_comments.is_some(), "{}:{}", file.name(), place.span[0] + 1);
            }
        }
    }
}
