//! The figures of RFC 3261 §17 and RFC 6026 as tables: time in milliseconds, event, effects.

use super::{Client, ClientEffect, ClientEvent, InviteClient, InviteServer, Server, ServerEffect, ServerEvent, Timers};
use crate::status::StatusCode;
use crate::time::Moment;
use std::time::Duration;

const RINGING: StatusCode = StatusCode::RINGING;
const OK: StatusCode = StatusCode::OK;
const BUSY: StatusCode = StatusCode::BUSY_HERE;

fn at(ms: u64) -> Moment {
    Moment::at(Duration::from_millis(ms))
}

/// Runs a machine by its own deadlines and gives the moments (ms) at which it wanted something, with the effects.
macro_rules! run_out {
    ($machine:expr, $tick:expr) => {{
        let timers = Timers::default();
        let mut log = Vec::new();
        while let Some(deadline) = $machine.deadline() {
            let effects = $machine.handle(deadline, $tick, &timers);
            log.push((deadline.since_start().as_millis() as u64, effects.to_vec()));
            assert!(log.len() < 50, "a machine that never ends: {log:?}");
        }
        assert!($machine.is_terminated());
        log
    }};
}

fn times<E: PartialEq + Copy>(log: &[(u64, Vec<E>)], effect: E) -> Vec<u64> {
    log.iter().filter(|(_, effects)| effects.contains(&effect)).map(|(ms, _)| *ms).collect()
}

#[test]
fn invite_client_timers_a_and_b() {
    let mut m = InviteClient::new(at(0), false, Timers::default().t1, &Timers::default());
    let log = run_out!(m, ClientEvent::Tick);
    assert_eq!(times(&log, ClientEffect::SendRequest), [500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_eq!(times(&log, ClientEffect::Timeout), [32_000]);
    let mut reliable = InviteClient::new(at(0), true, Timers::default().t1, &Timers::default());
    assert_eq!(run_out!(reliable, ClientEvent::Tick), [(32_000, vec![ClientEffect::Timeout])]);
    let mut near = InviteClient::new(at(0), false, Duration::from_millis(100), &Timers::default());
    let log = run_out!(near, ClientEvent::Tick);
    assert_eq!(times(&log, ClientEffect::SendRequest)[..4], [100, 300, 700, 1500], "in a network of one's own");
    assert_eq!(times(&log, ClientEffect::Timeout), [32_000]);
}

#[test]
fn invite_client_failure_acks_and_timer_d() {
    let t = Timers::default();
    let mut m = InviteClient::new(at(0), false, t.t1, &t);
    assert_eq!(m.handle(at(10), ClientEvent::Response(RINGING), &t), [ClientEffect::PassUp]);
    assert!(m.is_proceeding());
    assert_eq!(m.handle(at(20), ClientEvent::Response(BUSY), &t), [ClientEffect::SendAck, ClientEffect::PassUp]);
    assert_eq!(m.handle(at(30), ClientEvent::Response(BUSY), &t), [ClientEffect::SendAck]);
    assert_eq!(m.handle(at(40), ClientEvent::Response(OK), &t), []);
    assert_eq!(run_out!(m, ClientEvent::Tick), [(32_020, vec![])]);
    let mut tcp = InviteClient::new(at(0), true, t.t1, &t);
    assert_eq!(tcp.handle(at(1), ClientEvent::Response(BUSY), &t), [ClientEffect::SendAck, ClientEffect::PassUp]);
    assert!(tcp.is_terminated());
}

#[test]
fn invite_client_accepted_passes_every_2xx_until_timer_m() {
    let t = Timers::default();
    let mut m = InviteClient::new(at(0), false, t.t1, &t);
    assert_eq!(m.handle(at(5), ClientEvent::Response(OK), &t), [ClientEffect::PassUp]);
    assert_eq!(m.handle(at(900), ClientEvent::Response(OK), &t), [ClientEffect::PassUp]);
    assert_eq!(m.handle(at(901), ClientEvent::Response(BUSY), &t), []);
    assert_eq!(m.handle(at(902), ClientEvent::TransportError, &t), []);
    assert_eq!(run_out!(m, ClientEvent::Tick), [(32_005, vec![])]);
}

#[test]
fn invite_client_timer_c_cancels_what_rings_for_ever() {
    let t = Timers::default();
    let mut m = InviteClient::new(at(0), false, t.t1, &t);
    m.handle(at(0), ClientEvent::Response(RINGING), &t);
    let log = run_out!(m, ClientEvent::Tick);
    assert_eq!(log, [(300_000, vec![ClientEffect::SendCancel]), (332_000, vec![ClientEffect::Timeout])]);
}

#[test]
fn invite_client_timer_c_restarts_with_news_and_a_cancel_has_its_own_end() {
    let t = Timers::default();
    let mut m = InviteClient::new(at(0), false, t.t1, &t);
    m.handle(at(0), ClientEvent::Response(RINGING), &t);
    m.handle(at(100_000), ClientEvent::Response(RINGING), &t);
    assert_eq!(m.deadline(), Some(at(400_000)));
    m.handle(at(110_000), ClientEvent::Cancelled, &t);
    m.handle(at(120_000), ClientEvent::Response(RINGING), &t);
    assert_eq!(run_out!(m, ClientEvent::Tick), [(142_000, vec![ClientEffect::Timeout])]);
}

#[test]
fn client_timers_e_f_and_k() {
    let t = Timers::default();
    let mut m = Client::new(at(0), false, &t);
    let log = run_out!(m, ClientEvent::Tick);
    assert_eq!(
        times(&log, ClientEffect::SendRequest),
        [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
    );
    assert_eq!(times(&log, ClientEffect::Timeout), [32_000]);
    let mut m = Client::new(at(0), false, &t);
    assert_eq!(m.handle(at(100), ClientEvent::Response(RINGING), &t), [ClientEffect::PassUp]);
    assert_eq!(m.deadline(), Some(at(4100)));
    assert_eq!(m.handle(at(4100), ClientEvent::Tick, &t), [ClientEffect::SendRequest]);
    assert_eq!(m.handle(at(4200), ClientEvent::Response(OK), &t), [ClientEffect::PassUp]);
    assert_eq!(m.handle(at(4300), ClientEvent::Response(OK), &t), []);
    assert_eq!(run_out!(m, ClientEvent::Tick), [(9200, vec![])]);
    let mut tcp = Client::new(at(0), true, &t);
    assert_eq!(tcp.handle(at(1), ClientEvent::TransportError, &t), [ClientEffect::TransportError]);
    assert!(tcp.is_terminated());
}

#[test]
fn invite_server_failure_timers_g_h_and_i() {
    let t = Timers::default();
    let mut m = InviteServer::new(at(0), false, &t);
    assert_eq!(m.handle(at(0), ServerEvent::Respond(RINGING), &t), [ServerEffect::SendResponse]);
    assert_eq!(m.handle(at(1), ServerEvent::Repeated, &t), [ServerEffect::SendResponse]);
    assert_eq!(m.handle(at(0), ServerEvent::Respond(BUSY), &t), [ServerEffect::SendResponse]);
    let mut acked = m;
    let log = run_out!(m, ServerEvent::Tick);
    assert_eq!(
        times(&log, ServerEffect::SendResponse),
        [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
    );
    assert_eq!(log.last().map(|(ms, _)| *ms), Some(32_000));
    assert_eq!(acked.handle(at(40), ServerEvent::Ack, &t), []);
    assert_eq!(acked.handle(at(41), ServerEvent::Repeated, &t), []);
    assert_eq!(run_out!(acked, ServerEvent::Tick), [(5040, vec![])]);
}

#[test]
fn invite_server_2xx_repeats_until_its_ack() {
    let t = Timers::default();
    for reliable in [false, true] {
        let mut m = InviteServer::new(at(0), reliable, &t);
        m.handle(at(0), ServerEvent::Respond(OK), &t);
        assert_eq!(m.handle(at(1), ServerEvent::Repeated, &t), []);
        let mut acked = m;
        let log = run_out!(m, ServerEvent::Tick);
        assert_eq!(times(&log, ServerEffect::SendResponse).len(), 10);
        assert_eq!(times(&log, ServerEffect::NoAck), [32_000]);
        assert_eq!(acked.handle(at(700), ServerEvent::Ack, &t), [ServerEffect::PassUpAck]);
        assert_eq!(acked.handle(at(701), ServerEvent::Ack, &t), []);
        assert!(!acked.repeats_response());
        assert_eq!(run_out!(acked, ServerEvent::Tick), [(32_000, vec![])]);
    }
}

#[test]
fn invite_server_says_trying_and_gives_up_at_last() {
    let mut m = InviteServer::new(at(0), false, &Timers::default());
    let log = run_out!(m, ServerEvent::Tick);
    assert_eq!(log, [(200, vec![ServerEffect::SendTrying]), (7_200_000, vec![ServerEffect::Unanswered])]);
}

#[test]
fn server_timer_j_and_the_unanswered_end() {
    let t = Timers::default();
    let mut m = Server::new(at(0), false, &t);
    assert_eq!(m.handle(at(1), ServerEvent::Repeated, &t), []);
    assert_eq!(m.handle(at(2), ServerEvent::Respond(OK), &t), [ServerEffect::SendResponse]);
    assert_eq!(m.handle(at(3), ServerEvent::Repeated, &t), [ServerEffect::SendResponse]);
    assert_eq!(run_out!(m, ServerEvent::Tick), [(32_002, vec![])]);
    let mut silent = Server::new(at(0), false, &t);
    assert_eq!(run_out!(silent, ServerEvent::Tick), [(32_000, vec![ServerEffect::Unanswered])]);
    let mut tcp = Server::new(at(0), true, &t);
    tcp.handle(at(1), ServerEvent::Respond(OK), &t);
    assert!(tcp.is_terminated());
}
