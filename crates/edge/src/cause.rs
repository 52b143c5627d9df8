//! SIP statuses and Reason values to [`Cause`] and back: the one place where the two languages meet.

use carillon_acd::leg::Cause;

/// What a final status to an INVITE means. `alerted` tells whether the phone had rung before: a 480 or 408 then comes
/// from a person, or from a phone whose user did not pick up.
pub(crate) fn of_status(status: u16, alerted: bool) -> Cause {
    match status {
        486 | 600 => Cause::Busy,
        603 | 607 | 608 => Cause::Declined,
        480 if alerted => Cause::Declined,
        408 | 487 if alerted => Cause::NoAnswer,
        408 | 480 | 430 | 502 | 504 => Cause::Unreachable,
        404 | 410 | 484 | 604 => Cause::NotFound,
        401 | 403 | 407 => Cause::Forbidden,
        415 | 488 | 606 => Cause::NotAcceptable,
        503 => Cause::Congestion,
        other => Cause::Failed(other),
    }
}

/// The final response that tells an unanswered caller why.
pub(crate) fn to_status(cause: Cause) -> (u16, &'static str) {
    match cause {
        Cause::Busy => (486, "Busy Here"),
        Cause::Declined => (603, "Decline"),
        Cause::Normal | Cause::NoAnswer | Cause::Unreachable => (480, "Temporarily Unavailable"),
        Cause::NotFound => (404, "Not Found"),
        Cause::Forbidden => (403, "Forbidden"),
        Cause::NotAcceptable => (488, "Not Acceptable Here"),
        Cause::Congestion => (503, "Service Unavailable"),
        Cause::Cancelled | Cause::AnsweredElsewhere => (487, "Request Terminated"),
        Cause::MediaTimeout | Cause::SignallingTimeout => (504, "Server Time-out"),
        Cause::Failed(status @ 400..=699) => (status, "Call Failed"),
        Cause::Failed(_) => (500, "Server Internal Error"),
    }
}

/// The Reason header value of a BYE or CANCEL (RFC 3326; Q.850 causes where SIP has no word).
pub(crate) fn to_reason(cause: Cause) -> String {
    match cause {
        Cause::Normal => r#"Q.850;cause=16;text="Normal call clearing""#.into(),
        Cause::AnsweredElsewhere => r#"SIP;cause=200;text="Call completed elsewhere""#.into(),
        Cause::Cancelled => r#"SIP;cause=487;text="Request Terminated""#.into(),
        Cause::NoAnswer => r#"Q.850;cause=19;text="No answer""#.into(),
        Cause::MediaTimeout => r#"Q.850;cause=127;text="No RTP""#.into(),
        Cause::SignallingTimeout => r#"SIP;cause=408;text="Request Timeout""#.into(),
        other => {
            let (status, text) = to_status(other);
            format!(r#"SIP;cause={status};text="{text}""#)
        }
    }
}

/// How telling a status is when all branches of a leg failed; the least wins (RFC 3261 §16.7 step 6, with statuses that
/// speak of the person before those that speak of one device's network).
pub(crate) fn rank(status: u16) -> u16 {
    match status {
        600..=699 => 0,
        486 => 1,
        480 => 2,
        400..=499 if status != 408 => 3,
        300..=399 => 4,
        500..=599 if status != 503 => 5,
        503 => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_survives_the_way_to_a_status_and_back() {
        for cause in [
            Cause::Busy,
            Cause::Declined,
            Cause::NotFound,
            Cause::Forbidden,
            Cause::NotAcceptable,
            Cause::Congestion,
            Cause::Unreachable,
            Cause::Failed(500),
        ] {
            assert_eq!(of_status(to_status(cause).0, false), cause);
        }
    }

    #[test]
    fn a_480_is_a_rejection_only_after_ringing() {
        assert_eq!(of_status(480, true), Cause::Declined);
        assert_eq!(of_status(480, false), Cause::Unreachable);
        assert_eq!(of_status(408, true), Cause::NoAnswer);
        assert_eq!(of_status(487, true), Cause::NoAnswer);
    }

    // spec: QU-2
    #[test]
    fn answered_elsewhere_is_said_in_the_words_of_rfc_3326() {
        assert_eq!(to_reason(Cause::AnsweredElsewhere), r#"SIP;cause=200;text="Call completed elsewhere""#);
        assert_eq!(to_reason(Cause::Busy), r#"SIP;cause=486;text="Busy Here""#);
    }

    #[test]
    fn a_busy_person_outweighs_a_dead_device() {
        assert!(rank(603) < rank(486) && rank(486) < rank(404) && rank(404) < rank(503) && rank(503) < rank(408));
    }
}
