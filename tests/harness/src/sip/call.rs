//! One call of a soft phone, as a test sees it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::audio::Audio;

/// How far a call has come. Facts are only added, so whoever looks late misses nothing.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The far phone rings (outgoing) or ours does (incoming).
    pub ringing: bool,
    /// The far side described its audio before it answered.
    pub early_media: bool,
    /// When both sides had agreed on the call.
    pub answered: Option<Instant>,
    /// The far side has put us on hold, now.
    pub held: bool,
    /// New descriptions that the far side sent during the call.
    pub redescribed: u32,
    /// How it ended.
    pub end: Option<End>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// We hung up, cancelled or refused.
    pub by_us: bool,
    /// The final status, when the call was not answered.
    pub status: Option<u16>,
    /// The Reason header of the BYE or CANCEL (RFC 3326).
    pub reason: Option<String>,
}

/// What a test asks of a call.
#[derive(Debug)]
pub(super) enum Command {
    Answer,
    Reject(u16),
    HangUp,
    Hold(oneshot::Sender<Result<()>>),
    Resume(oneshot::Sender<Result<()>>),
}

/// A call. Dropping it does not end it; the phone's end does.
#[derive(Clone, Debug)]
pub struct Call {
    /// The Call-ID.
    pub id: String,
    /// The user part of the From header: who calls.
    pub from: String,
    /// The user part of the To header: what was dialled.
    pub to: String,
    /// When the INVITE went out or came in.
    pub began: Instant,
    pub(super) audio: Arc<Audio>,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) commands: mpsc::Sender<Command>,
}

/// How long a hold, a resume or a hang-up may take.
const SHORT: Duration = Duration::from_secs(5);

impl Call {
    /// What it hears and says.
    pub fn audio(&self) -> &Audio {
        &self.audio
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Waits until `reached` holds. The error says what was waited for and how far the call is.
    pub async fn until(
        &self,
        what: &str,
        within: Duration,
        reached: impl FnMut(&Progress) -> bool,
    ) -> Result<Progress> {
        let mut progress = self.progress.clone();
        let outcome = tokio::time::timeout(within, progress.wait_for(reached)).await;
        match outcome {
            Ok(Ok(progress)) => Ok(progress.clone()),
            Ok(Err(_)) | Err(_) => {
                bail!("call {} -> {}: no {what} within {within:?}; {:?}", self.from, self.to, self.progress())
            }
        }
    }

    /// Waits for the answer; an end before it is an error at once.
    pub async fn answered(&self, within: Duration) -> Result<Instant> {
        let progress = self.until("answer", within, |p| p.answered.is_some() || p.end.is_some()).await?;
        progress
            .answered
            .ok_or_else(|| anyhow!("call {} -> {} was not answered: {:?}", self.from, self.to, progress.end))
    }

    /// Waits for the end.
    pub async fn ended(&self, within: Duration) -> Result<End> {
        let progress = self.until("end", within, |p| p.end.is_some()).await?;
        progress.end.context("an ended call has an end")
    }

    /// Answers a ringing call.
    pub async fn answer(&self) -> Result<()> {
        self.command(Command::Answer).await
    }

    /// Refuses a ringing call with this status.
    pub async fn reject(&self, status: u16) -> Result<()> {
        self.command(Command::Reject(status)).await
    }

    /// Ends the call, whatever its state, and waits until it has ended.
    pub async fn hang_up(&self) -> Result<End> {
        if let Some(end) = self.progress().end {
            return Ok(end);
        }
        // The call may end by itself at the same moment; then nobody takes the command any more.
        let _ended_meanwhile = self.commands.send(Command::HangUp).await;
        self.ended(SHORT).await
    }

    /// Puts the other side on hold by a re-INVITE and waits for its answer.
    pub async fn hold(&self) -> Result<()> {
        self.redescribe(Command::Hold).await.context("hold")
    }

    /// Takes it back.
    pub async fn resume(&self) -> Result<()> {
        self.redescribe(Command::Resume).await.context("resume")
    }

    async fn redescribe(&self, command: impl FnOnce(oneshot::Sender<Result<()>>) -> Command) -> Result<()> {
        let (tell, done) = oneshot::channel();
        self.command(command(tell)).await?;
        tokio::time::timeout(SHORT, done).await.context("no answer to the re-INVITE")?.context("the call ended")?
    }

    async fn command(&self, command: Command) -> Result<()> {
        let ended = || anyhow!("call {} -> {} is over: {:?}", self.from, self.to, self.progress().end);
        self.commands.send(command).await.map_err(|_| ended())
    }
}
