//! The demo's small day: 8 agents and 40 callers, everybody with a tone of their own, so that at the end it is known who
//! heard whom.

mod live;
mod plan;
mod report;
mod run;

pub use live::View;
pub use plan::{AgentPlan, Day, Side, Visit};
pub use report::{Report, report};
pub use run::{Happening, Outcome, run};
