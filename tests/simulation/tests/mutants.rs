//! Deliberate mistakes in the machines (`acd::mutant`), each of which the seeds must find. Built and run by
//! `cargo xtask simulate --mutants`, which sets the cfg; without it there are no mutants and no tests here.

#![cfg(carillon_mutants)]

use carillon_acd::mutant::Mutant;
use carillon_simulation::{Options, run};

/// Seeds in which each mistake must show.
const SEEDS: u64 = 1_000;

fn is_caught(mutant: Mutant) {
    Mutant::set(Some(mutant));
    let found = (0..SEEDS).find_map(|seed| {
        let outcome = std::panic::catch_unwind(|| run(seed, Options::default()));
        match outcome {
            Ok(Ok(_)) => None,
            Ok(Err(what)) => Some((seed, what)),
            Err(_) => Some((seed, "a machine panicked".to_owned())),
        }
    });
    Mutant::set(None);
    match found {
        Some((seed, what)) => println!("{mutant:?} is caught by seed {seed}: {what}"),
        None => panic!("{mutant:?} was not caught by {SEEDS} seeds"),
    }
}

#[test]
fn an_agent_who_grants_without_checking_is_caught() {
    is_caught(Mutant::GrantWithoutChecking);
}

#[test]
fn a_reservation_that_never_expires_is_caught() {
    is_caught(Mutant::NoReservationExpiry);
}

#[test]
fn a_ticket_that_is_not_refreshed_is_caught() {
    is_caught(Mutant::NoTicketRefresh);
}

#[test]
fn a_lease_counted_from_its_receipt_is_caught() {
    is_caught(Mutant::ReceiveTimeLease);
}

#[test]
fn an_offer_without_epoch_is_caught() {
    is_caught(Mutant::OfferWithoutEpoch);
}

#[test]
fn a_grant_without_epoch_is_caught() {
    is_caught(Mutant::GrantWithoutEpoch);
}

#[test]
fn a_wish_that_is_told_as_a_hold_is_caught() {
    is_caught(Mutant::WishForHold);
}

#[test]
fn a_place_that_is_forgotten_is_caught() {
    is_caught(Mutant::PlaceForgotten);
}

#[test]
fn a_priority_that_is_worth_nothing_is_caught() {
    is_caught(Mutant::PriorityWithoutWorth);
}

#[test]
fn first_come_by_the_clock_is_caught() {
    is_caught(Mutant::FifoByClock);
}

#[test]
fn a_loser_who_is_penalised_is_caught() {
    is_caught(Mutant::LoserPenalised);
}

/// All mutants have a test above, and without one the days are sound.
#[test]
fn without_a_mistake_nothing_is_caught() {
    assert_eq!(Mutant::ALL.len(), 11);
    for seed in 0..50 {
        assert!(run(seed, Options::default()).is_ok(), "seed {seed}");
    }
}
