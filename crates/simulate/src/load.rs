//! Callers who come by chance: a Poisson process for each number and period, with exponential patience and talk.

use std::time::Duration;

use carillon_acd::leg::Source;
use carillon_acd::rng::Rng;

use crate::center::Arrival;

/// How one number is called during a part of the day.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Through which trunk its callers come.
    pub source: Source,
    /// What they dial.
    pub dialled: String,
    /// From then, since the beginning of the day.
    pub from: Duration,
    /// Until then.
    pub until: Duration,
    /// The average number of calls in an hour.
    pub per_hour: f64,
    /// How long callers wait on average before they give up; `None` when nobody does.
    pub patience: Option<Duration>,
    /// How long they talk on average.
    pub talk: Duration,
}

/// A time drawn from the exponential distribution with this mean.
pub fn exponential(rng: &mut Rng, mean: Duration) -> Duration {
    // In (0, 1]: 53 random bits, and never zero.
    let uniform = ((rng.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    mean.mul_f64(-uniform.ln())
}

/// The callers of all streams, in the order of their arrival. The same seed gives the same callers.
pub fn arrivals(streams: &[Stream], seed: u64) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    for (stream, n) in streams.iter().zip(1..) {
        // Each stream has chances of its own, so that a change of one leaves the others' callers as they were.
        let mut rng = Rng::new(seed.wrapping_add(u64::wrapping_mul(n, 0x9e37_79b9_7f4a_7c15)));
        let Some(gap) = gap(stream.per_hour) else { continue };
        let mut at = stream.from + exponential(&mut rng, gap);
        while at < stream.until {
            arrivals.push(Arrival {
                at,
                source: stream.source.clone(),
                dialled: stream.dialled.clone(),
                patience: stream.patience.map(|mean| exponential(&mut rng, mean)),
                talk: exponential(&mut rng, stream.talk),
            });
            at += exponential(&mut rng, gap);
        }
    }
    arrivals.sort_by_key(|arrival| arrival.at);
    arrivals
}

/// The average time between two callers; `None` when nobody calls.
fn gap(per_hour: f64) -> Option<Duration> {
    (per_hour.is_finite() && per_hour > 0.0).then(|| Duration::from_secs_f64(3600.0 / per_hour))
}

#[cfg(test)]
mod tests {
    use carillon_acd::ids::{Name, TrunkId};

    use super::*;

    fn stream(per_hour: f64) -> Stream {
        let name = |text: &str| text.parse::<Name>().unwrap();
        Stream {
            source: Source::Trunk(TrunkId::new(name("default"), name("carrier"))),
            dialled: "+33123456789".to_owned(),
            from: Duration::from_secs(3600),
            until: Duration::from_secs(11 * 3600),
            per_hour,
            patience: Some(Duration::from_secs(60)),
            talk: Duration::from_secs(180),
        }
    }

    #[test]
    fn as_many_call_as_was_said_and_for_as_long() {
        let arrivals = arrivals(&[stream(1_000.0), stream(2_000.0)], 1);
        assert!((29_000..31_000).contains(&arrivals.len()), "{}", arrivals.len());
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.at));
        assert!(arrivals.iter().all(|a| a.at >= stream(1.0).from && a.at < stream(1.0).until));
        let talk: f64 = arrivals.iter().map(|a| a.talk.as_secs_f64()).sum::<f64>() / arrivals.len() as f64;
        assert!((176.0..184.0).contains(&talk), "{talk}");
    }

    #[test]
    fn nobody_calls_a_number_without_calls() {
        assert_eq!(arrivals(&[stream(0.0)], 1), []);
    }

    #[test]
    fn one_stream_does_not_disturb_another() {
        let of_first = |streams: &[Stream]| {
            let all = arrivals(streams, 7);
            all.into_iter().filter(|arrival| arrival.dialled == "+33123456789").collect::<Vec<_>>()
        };
        let mut other = stream(500.0);
        other.dialled = "+33987654321".to_owned();
        assert_eq!(of_first(&[stream(10.0), other]), of_first(&[stream(10.0)]));
    }
}
