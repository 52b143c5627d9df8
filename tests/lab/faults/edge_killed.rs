//! kill -9 of an edge: other edges take its calls over. Spec: CL-4.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::figures::Figure;
use crate::measure::{Seen, Window};
use crate::scene::{Run, View};
use crate::servers::Role;

/// Until talking calls are resumed, and agents of lost calls are free.
const LIMIT: Duration = Duration::from_secs(5);
/// How long it is looked at.
const LOOK: Duration = Duration::from_secs(12);

pub(super) async fn inject(run: &mut Run<'_>) -> Result<()> {
    // Another one each time.
    let victim = 1 + (run.turn % 3) as u8;
    run.interrupted = Some(victim);
    look_at_agents(run, victim).await?;
    run.strikes();
    run.cluster.node_mut(victim).kill().await?;
    while run.struck().elapsed() < LOOK {
        look_at_agents(run, victim).await?;
        run.pass(Duration::from_millis(250)).await;
    }
    Ok(())
}

/// Notes which agent is shown in which call.
pub(super) async fn look_at_agents(run: &mut Run<'_>, victim: u8) -> Result<()> {
    let asked = run.another(Role::Edge, &[victim])?;
    // Owners that change do not answer for a moment.
    let views = run.cluster.ask(asked, &["get", "agents"]).await.unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let shown = views.iter().map(|view| (text(&view["name"]), text(&view["call"]))).collect();
    run.views.push((Instant::now(), shown));
    Ok(())
}

/// What became of the calls of `edge`.
pub(super) fn judge(seen: &Seen, window: Window, edge: u8, views: &[View]) -> Vec<Figure> {
    let (talking, talking_lost) = seen.resumed(edge, window.from);
    let (waiting, waiting_lost) = seen.music_back(edge, window.from);
    let freed: Vec<Duration> =
        talking_lost.iter().map(|talk| freed(&talk.agent, views).saturating_duration_since(window.from)).collect();
    let lost: Vec<String> = talking_lost
        .iter()
        .map(|talk| format!("{} with {}, whose phone was at edge {}", talk.number, talk.agent, talk.edge))
        .collect();
    let silent: Vec<String> = waiting_lost
        .iter()
        .map(|caller| format!("{}, who hears no music again: {:?}", caller.number, caller.end))
        .collect();
    let times = [
        ("until both hear each other", talking.iter().max()),
        ("until agents of lost conversations are free", freed.iter().max()),
        ("until waiting callers hear music", waiting.iter().max()),
    ];
    let mut figures = vec![
        Figure::count("conversations that went on", talking.len(), None),
        Figure::none_of("conversations lost", &lost),
        Figure::count("waiting callers who came back", waiting.len(), None),
        Figure::none_of("waiting callers lost", &silent),
    ];
    // Without anybody whom it concerns there is no time.
    figures.extend(times.into_iter().filter_map(|(what, time)| Some(Figure::seconds(what, *time?, Some(LIMIT)))));
    figures
}

/// When an agent was first shown without the call that he had before the fault.
fn freed(agent: &str, views: &[View]) -> Instant {
    let call = |view: &View| {
        let own = view.1.iter().find(|(name, _)| name.rsplit('/').next() == Some(agent));
        own.map(|(_, call)| call.clone())
    };
    let Some((first, after)) = views.split_first() else { return Instant::now() };
    let had = call(first);
    let free = after.iter().find(|view| call(view).is_some_and(|now| Some(now) != had));
    free.or(after.last()).map_or(first.0, |view| view.0)
}
