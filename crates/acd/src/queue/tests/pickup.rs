//! Pickup (Spec: TR-4).

use super::*;

fn wants(number: u64, agent: &str) -> Event {
    let own = call_id(90);
    let own = OwnCall { leg: LegId::caller(own), reservation: ReservationId { call: own, n: 1 } };
    Event::PickUp { call: call_id(number), agent: agent_id(agent), own }
}

/// Two calls ring, the second three seconds later.
fn two_ring(pickup: bool) -> Hall {
    let mut hall = Hall::new(Config { pickup, ..config(&["anna", "piotr", "ivan"]) });
    for agent in ["anna", "piotr"] {
        hall.status(agent, Standing::Free);
    }
    hall.status("ivan", Standing::Busy);
    hall.enqueue(first(1));
    hall.pass(Duration::from_secs(3));
    hall.enqueue(first(2));
    hall.said();
    hall
}

// spec: TR-4
#[test]
fn tr_4_who_picks_up_joins_the_offer_that_rings_however_often_he_asks() {
    let mut hall = two_ring(true);
    hall.tell(Event::WhatRings { asker: call_id(90), agent: agent_id("ivan") });
    let longest = RingingCall { call: call_id(1), ringing_for: Duration::from_secs(3) };
    assert_eq!(hall.said(), [(90, FromQueue::Rings(Ok(longest)))]);
    hall.tell(wants(1, "ivan"));
    hall.tell(wants(1, "ivan"));
    let offers = hall.offers();
    assert_eq!(whom(&offers), [(1, "ivan".to_owned()), (1, "ivan".to_owned())]);
    assert!(matches!(offers[0].agents[0].invitation, Invitation::OwnCall(_)));
    assert_eq!((offers[0].id.counter, offers[0].ring_for), (1, Duration::from_secs(17)));
    hall.status("ivan", Standing::Free);
    hall.enqueue(first(3));
    assert_eq!(hall.offers(), [], "he is not free for another call as long as he is part of that offer");
}

// spec: TR-4
#[test]
fn tr_4_a_queue_says_why_nothing_can_be_picked_up() {
    let refused = |pickup, number, agent: &str| {
        let mut hall = two_ring(pickup);
        hall.tell(wants(number, agent));
        match hall.said().pop() {
            Some((90, FromQueue::NotPickedUp { why, .. })) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(false, 1, "ivan"), PickupRefusal::NotAllowed);
    assert_eq!(refused(true, 1, "maria"), PickupRefusal::DoesNotServe);
    assert_eq!(refused(true, 7, "ivan"), PickupRefusal::NothingRings);
    let mut hall = two_ring(true);
    hall.tell(Event::Leave { call: call_id(1), why: Left::Abandoned });
    hall.said();
    hall.tell(wants(1, "ivan"));
    let why = PickupRefusal::NothingRings;
    assert_eq!(hall.said(), [(90, FromQueue::NotPickedUp { call: call_id(1), why })]);
}
