//! `cargo xtask simulate`: many seeds on all cores, or one with everything that happens.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use carillon_simulation::{Options, Outcome, run};

const USAGE: &str = "usage: carillon-simulation [--seeds N] [--seed S] [--loss PERCENT] [--trace]";

#[derive(Default)]
struct Arguments {
    seeds: Option<u64>,
    seed: Option<u64>,
    options: Options,
}

fn arguments() -> Option<Arguments> {
    let mut read = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seeds" => read.seeds = Some(words.next()?.parse().ok()?),
            "--seed" => read.seed = Some(words.next()?.parse().ok()?),
            "--loss" => read.options.lost = Some(words.next()?.parse().ok()?),
            "--trace" => read.options.trace = true,
            _ => return None,
        }
    }
    Some(read)
}

fn main() -> ExitCode {
    let Some(Arguments { seeds, seed, options }) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let first = seed.unwrap_or(0);
    let seeds = seeds.unwrap_or(if seed.is_some() { 1 } else { 10_000 });
    let began = Instant::now();
    let (days, broken) = days(first, seeds, options);
    println!(
        "{seeds} days from seed {first}: {} events, {} calls answered, {} picked up, {} broken promises, {:.1} s",
        days.steps,
        days.answered,
        days.picked_up,
        broken.len(),
        began.elapsed().as_secs_f64()
    );
    for (seed, what) in broken.iter().take(20) {
        println!("  seed {seed}: {what}\n    cargo xtask simulate --seed {seed} --trace");
    }
    if broken.is_empty() && days.answered > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the days on all cores; a day that panics is a broken promise, too.
fn days(first: u64, seeds: u64, options: Options) -> (Outcome, Vec<(u64, String)>) {
    let next = AtomicU64::new(first);
    let work = || {
        let (mut sum, mut broken) = (Outcome::default(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return (sum, broken);
            }
            match std::panic::catch_unwind(|| run(seed, options)) {
                Ok(Ok(day)) => {
                    sum.steps += day.steps;
                    sum.answered += day.answered;
                    sum.picked_up += day.picked_up;
                }
                Ok(Err(what)) => broken.push((seed, what)),
                Err(_) => broken.push((seed, "a machine panicked, see above".to_owned())),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let (mut sum, mut broken) = (Outcome::default(), Vec::new());
        for worker in workers {
            let (days, found) = worker.join().expect("panics are caught above");
            sum.steps += days.steps;
            sum.answered += days.answered;
            sum.picked_up += days.picked_up;
            broken.extend(found);
        }
        broken.sort_unstable();
        (sum, broken)
    })
}
