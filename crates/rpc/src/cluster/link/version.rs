//! The versions of what nodes say to each other. A cluster is updated node by node, so two versions that follow each other
//! work side by side: each reads its own and the one before, and writes the newest that both know.

use tonic::Status;

use super::wire::Hello;

/// The newest version of the messages that this program reads and writes.
pub const PROTOCOL: u32 = 1;
/// The oldest that it still reads.
pub const OLDEST: u32 = PROTOCOL - 1;

/// The newest version of two ranges, each from its oldest to its newest.
fn common(ours: (u32, u32), theirs: (u32, u32)) -> Option<u32> {
    let (oldest, newest) = (ours.0.max(theirs.0), ours.1.min(theirs.1));
    (oldest <= newest).then_some(newest)
}

/// The version that a link speaks: the newest that both sides know.
///
/// # Errors
/// Both sides' versions, when they have none in common.
pub(super) fn agree(hello: &Hello) -> Result<u32, Status> {
    let (newest, oldest) = (hello.protocol, hello.oldest.unwrap_or(hello.protocol.saturating_sub(1)));
    if let Some(agreed) = common((OLDEST, PROTOCOL), (oldest, newest)) {
        return Ok(agreed);
    }
    let (older, newer) = if newest < PROTOCOL { ("that one", "this one") } else { ("this one", "that one") };
    Err(Status::failed_precondition(format!(
        "node {} speaks the versions {oldest} to {newest} of the cluster's protocol, this node {OLDEST} to \
         {PROTOCOL}: update {older} first to a release between it and {newer}",
        hello.node
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(protocol: u32, oldest: Option<u32>) -> Hello {
        Hello { node: 7, boot: 1, protocol, oldest, ..Hello::default() }
    }

    #[test]
    fn two_releases_that_follow_each_other_have_a_common_version_and_others_need_not() {
        assert_eq!(common((4, 5), (5, 6)), Some(5));
        assert_eq!(common((5, 6), (4, 5)), Some(5));
        assert_eq!(common((4, 5), (2, 8)), Some(5));
        assert_eq!(common((4, 5), (6, 7)), None);
        assert_eq!(common((6, 7), (4, 5)), None);
    }

    #[test]
    fn neighbours_speak_what_both_know() {
        assert_eq!(agree(&hello(PROTOCOL, Some(OLDEST))).unwrap(), PROTOCOL);
        assert_eq!(agree(&hello(PROTOCOL + 1, Some(PROTOCOL))).unwrap(), PROTOCOL);
        assert_eq!(
            agree(&hello(PROTOCOL + 1, None)).unwrap(),
            PROTOCOL,
            "it reads the one before, unless it says more"
        );
        assert_eq!(agree(&hello(PROTOCOL + 5, Some(0))).unwrap(), PROTOCOL, "one that goes far back");
        assert_eq!(agree(&hello(OLDEST, None)).unwrap(), OLDEST);
    }

    #[test]
    fn versions_without_a_common_one_are_refused_with_both() {
        let refused = agree(&hello(PROTOCOL + 2, None)).unwrap_err();
        let (theirs, ours) = (format!("{} to {}", PROTOCOL + 1, PROTOCOL + 2), format!("{OLDEST} to {PROTOCOL}"));
        assert!(refused.message().contains(&theirs) && refused.message().contains(&ours), "{refused}");
    }
}
