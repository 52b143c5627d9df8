//! Days of several nodes in trouble (Spec: CL-3 to CL-5): the product's own actors, links and cluster code, with its real
//! timings, on turmoil's network and clock and a simulated coordinator. Only the phones are scripted. A seed names a day, and
//! each day is a process of its own, in which nothing is random but by the seed: the same seed gives the same day.

mod center;
mod day;
mod faults;
mod network;
mod node;
mod randomness;
mod world;

use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

#[cfg(feature = "mutants")]
use carillon_cluster::mutant::Mutant;
use clap::Parser;
use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Several nodes in trouble, in simulated days.
#[derive(Parser)]
struct Options {
    /// How many days, on all cores.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// Only this day.
    #[arg(long)]
    seed: Option<u64>,
    /// The first day.
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    first: u64,
    /// Print everything that happens in the day.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Go on when a promise is broken, to see what follows.
    #[arg(long, requires = "seed")]
    go_on: bool,
    /// Nothing breaks.
    #[arg(long)]
    calm: bool,
    /// Make each deliberate mistake, and run days until one finds it.
    #[cfg(feature = "mutants")]
    #[arg(long)]
    mutants: bool,
    /// Make this mistake: its place in the list.
    #[cfg(feature = "mutants")]
    #[arg(long, hide = true)]
    mutant: Option<usize>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    #[cfg(feature = "mutants")]
    if let Some(mutant) = options.mutant {
        Mutant::ALL[mutant].make();
    }
    #[cfg(feature = "mutants")]
    if options.mutants {
        return mutants(options.seeds);
    }
    match options.seed {
        Some(seed) => one(seed, &options),
        None => many(&options),
    }
}

/// One day, in this process.
fn one(seed: u64, options: &Options) -> ExitCode {
    if options.trace {
        let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
        // Not an `EnvFilter`: it has hash maps of its own, and with them the day would be another one.
        let filter: Targets = wanted.parse().unwrap_or_else(|_| Targets::new().with_default(Level::INFO));
        let shown = tracing_subscriber::fmt::layer().with_timer(Simulated).with_ansi(false);
        tracing_subscriber::registry().with(shown.with_filter(filter)).init();
    }
    // What a task panics with would be lost with the task.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        hook(panic);
        println!("seed {seed}: something panicked, see above");
        std::process::exit(1);
    }));
    // On a thread of its own, whose hash maps begin with the seed.
    let (calm, go_on) = (options.calm, options.go_on);
    let day = std::thread::spawn(move || day::run(seed, calm, go_on));
    match day.join().expect("who panics ends the process, see above") {
        Ok(day) => {
            let world::Outcomes { callers, answered, abandoned, resumed, lost, excused, digest } = day;
            println!(
                "seed {seed}: {callers} callers, {answered} answered, {abandoned} gave up, {resumed} resumed at another edge, \
                 {lost} lost with theirs, {excused} excused, {digest:016x}"
            );
            ExitCode::SUCCESS
        }
        Err(broken) => {
            println!("seed {seed}: {broken}");
            ExitCode::FAILURE
        }
    }
}

struct Simulated;

impl tracing_subscriber::fmt::time::FormatTime for Simulated {
    fn format_time(&self, to: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        match turmoil::sim_elapsed() {
            Some(now) => write!(to, "{:9.3}", now.as_secs_f64()),
            None => write!(to, "         "),
        }
    }
}

/// Many days, each in a process.
fn many(options: &Options) -> ExitCode {
    let began = Instant::now();
    let next = AtomicU64::new(options.first);
    let broken = Mutex::new(Vec::new());
    let answered = AtomicU64::new(0);
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= options.first + options.seeds {
            return;
        }
        match day(seed, options.calm.then_some("--calm")) {
            Ok(more) => drop(answered.fetch_add(more, Ordering::Relaxed)),
            Err(what) => broken.lock().expect("nobody panics while he holds it").push((seed, what)),
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let (answered, mut broken) = (answered.into_inner(), broken.into_inner().expect("as above"));
    broken.sort_unstable();
    println!(
        "{} days from seed {}: {answered} calls answered, {} broken promises, {:.1} s",
        options.seeds,
        options.first,
        broken.len(),
        began.elapsed().as_secs_f64()
    );
    for (seed, what) in broken.iter().take(20) {
        println!("  {what}\n    cargo xtask simulate --cluster --seed {seed} --trace");
    }
    if broken.is_empty() && answered > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether each mistake is found within so many days.
#[cfg(feature = "mutants")]
fn mutants(seeds: u64) -> ExitCode {
    let mut missed = false;
    for (place, mutant) in Mutant::ALL.into_iter().enumerate() {
        let option = format!("--mutant={place}");
        match (0..seeds).find_map(|seed| day(seed, Some(&option)).err()) {
            Some(found) => println!("{mutant:?} is caught: {found}"),
            None => {
                println!("{mutant:?} is not caught by {seeds} days");
                missed = true;
            }
        }
    }
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// How many calls were answered, or what went wrong.
fn day(seed: u64, option: Option<&str>) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["--seed", &seed.to_string()]).args(option);
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let said = said.lines().last().unwrap_or("it says nothing").to_owned();
    let answered = || said.split(", ").find_map(|part| part.strip_suffix(" answered")?.parse().ok());
    if output.status.success() { answered().ok_or(said) } else { Err(said) }
}
