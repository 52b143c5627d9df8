//! RTP (RFC 3550): reading and writing headers, one continuous outgoing stream from changing sources, and what a
//! receiver learns about loss and jitter.
