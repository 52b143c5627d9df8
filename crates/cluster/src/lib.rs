//! Several nodes, one contact center: who is there, who owns which queue and which agent, and what all of them know.
//!
//! Queues, agents and registering trunks hash to 1,024 [shards](shard). Each shard has one owner, elected through a
//! [coordinator] (etcd, or one in process for a node that stands alone). The number of its election is the
//! *epoch*: whoever has seen a newer one refuses the older (Spec: CL-3). The election alone keeps nobody safe, since
//! a node can always be slower than it thinks; that a caller meets one agent and an agent one caller is kept by
//! call and agent. Elections keep the *order*: one owner at a time decides who is next.
//!
//! ```text
//!             etcd · embedded · simulated          one contract, one conformance suite
//!                        |  leases, transactions, feeds
//!                  coordinator::Coordinator
//!                        |
//!      space ----- keys, values and transactions; folders for configuration and availability
//!        |  picture: the feed as the core's events
//!        v
//!      node::Cluster --- one task: news, answers, links, time ---> ownership::Ownership (pure)
//!        |    \                                                       | effects
//!        |     keeper: the lease, by time of sending                  v
//!        v                                            claims, hand-overs, announcements
//!   Notice::{Serve, Stop, Report, Send, Probe}   ->   the wiring: actors and links
//!   Acting    may I act for this shard, now?     ->   actors, before each act
//!   Directory who owns this queue?               ->   addresses
//! ```
//!
//! How to use it: make a [`space::Space`] on a coordinator, start [`node::Cluster`] with what the node says of itself,
//! and do what its notices say, in their order. `Serve` starts the queues and agents of a shard, `Stop` ends them;
//! `Report` means "tell the new owner what you hold, then answer". Give it what links and probes have to say by
//! [`node::Cluster::tell`]. Ask [`acting::Acting`] before an owner acts and [`directory::Directory`] where a message
//! goes; answer with [`directory::Directory::admit`]'s refusal what comes in an old epoch. To end a node: drain it
//! ([`space::Space::drain`]) until its [holdings](node::Status::holdings) are zero, then [`node::Cluster::leave`].
//!
//! What the rules are, and why they are safe, is told in [`ownership`].
//!
//! Links between nodes are not here: this crate says what to send, and hears what came.

pub mod acting;
pub mod coordinator;
pub mod directory;
pub mod embedded;
pub mod etcd;
pub mod member;
mod memory;
pub mod mutant;
pub mod node;
pub mod ownership;
pub mod picture;
pub mod shard;
pub mod simulated;
pub mod space;
mod tree;
