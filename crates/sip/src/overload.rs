//! Admission of new calls and limits per source (Spec: SE-1).
//!
//! Published soon: `Admission { max_calls, max_queue }.admit(calls, queued) -> Result<(), Rejection>` (503 with
//! Retry-After) and `SourceLimiter::new(per_second, burst, capacity).allow(now, ip) -> bool`.
