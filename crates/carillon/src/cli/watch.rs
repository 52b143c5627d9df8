//! `carillon watch`: the live view in a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use carillon_rpc::v1;
use carillon_rpc::v1::watch_service_client::WatchServiceClient;
use clap::Args;
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::Print;
use crossterm::terminal::{
    self, BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate,
    EnterAlternateScreen, LeaveAlternateScreen,
};
use crossterm::{execute, queue};
use tonic::{Status, Streaming};

use super::api::{Api, MOST_BYTES, said};
use super::board::Board;

/// How often the picture is drawn anew, so that durations run.
const REDRAW: Duration = Duration::from_secs(1);
/// How long to wait before a lost server is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How to watch.
#[derive(Args, Debug)]
#[command(
    after_help = "In a terminal the view is redrawn in place until Ctrl-C, and waits for a server that went away.
Otherwise it is printed again whenever something changes.

Examples:
  carillon watch
  carillon watch --once"
)]
pub(crate) struct WatchArgs {
    /// Print the view once and end.
    #[arg(long)]
    once: bool,

    #[command(flatten)]
    api: Api,
}

type Updates = Streaming<v1::WatchResponse>;

pub(super) async fn run(args: WatchArgs) -> anyhow::Result<()> {
    let updates = open(&args.api).await?;
    if io::stdout().is_terminal() && !args.once {
        tokio::select! {
            shown = show(&args.api, updates, Screen::open()?) => shown,
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }
    } else {
        print(&args, updates).await
    }
}

async fn open(api: &Api) -> anyhow::Result<Updates> {
    let mut client = WatchServiceClient::new(api.connect().await?).max_decoding_message_size(MOST_BYTES);
    let request = v1::WatchRequest { parent: api.parent() };
    Ok(client.watch(request).await.map_err(said)?.into_inner())
}

/// Prints the view after each update, or only after the first.
async fn print(args: &WatchArgs, mut updates: Updates) -> anyhow::Result<()> {
    let mut board = Board::default();
    while let Some(message) = updates.message().await.map_err(said)? {
        if board.apply(message, Instant::now()) {
            let picture = board.draw(&args.api, Instant::now(), false);
            let now = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S");
            writeln!(io::stdout(), "{now}  {picture}")?;
            if args.once {
                return Ok(());
            }
        }
    }
    Err(said(Status::unavailable("")))
}

/// Redraws the view in place. When the server goes away the last picture stays, with a remark, until it is back.
async fn show(api: &Api, updates: Updates, mut screen: Screen) -> anyhow::Result<()> {
    let mut updates = Some(updates);
    loop {
        let lost = match updates.take() {
            Some(updates) => follow(api, updates, &mut screen).await?,
            None => match open(api).await {
                Ok(again) => {
                    updates = Some(again);
                    continue;
                }
                Err(error) => format!("{error:#}"),
            },
        };
        screen.remark(&format!("{lost}\n\nTrying again…"))?;
        tokio::time::sleep(RETRY).await;
    }
}

/// Shows one stream until it breaks, and says why it did. Only the terminal's own failure is an error.
async fn follow(api: &Api, mut updates: Updates, screen: &mut Screen) -> io::Result<String> {
    let (mut board, mut complete) = (Board::default(), false);
    let mut redraw = tokio::time::interval(REDRAW);
    loop {
        tokio::select! {
            message = updates.message() => match message {
                Ok(Some(message)) => complete = board.apply(message, Instant::now()),
                Ok(None) => return Ok(said(Status::unavailable("")).to_string()),
                Err(status) => return Ok(said(status).to_string()),
            },
            _ = redraw.tick() => {}
        }
        if complete {
            screen.draw(&board.draw(api, Instant::now(), screen.colour))?;
        }
    }
}

/// The terminal while the view is shown; as it was before when dropped.
struct Screen {
    out: io::Stdout,
    colour: bool,
    picture: String,
}

impl Screen {
    fn open() -> io::Result<Self> {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let mut screen = Screen { out: io::stdout(), colour, picture: String::new() };
        execute!(screen.out, EnterAlternateScreen, Hide, DisableLineWrap)?;
        Ok(screen)
    }

    fn draw(&mut self, picture: &str) -> io::Result<()> {
        self.picture = picture.into();
        let (_, rows) = terminal::size()?;
        queue!(self.out, BeginSynchronizedUpdate, MoveTo(0, 0))?;
        for line in fit(picture, usize::from(rows)).lines() {
            queue!(self.out, Print(line), Clear(ClearType::UntilNewLine), Print("\r\n"))?;
        }
        queue!(self.out, Clear(ClearType::FromCursorDown), EndSynchronizedUpdate)?;
        self.out.flush()
    }

    /// Shows a remark above the last picture.
    fn remark(&mut self, text: &str) -> io::Result<()> {
        let picture = std::mem::take(&mut self.picture);
        self.draw(&format!("{text}\n\n{picture}"))?;
        self.picture = picture;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nothing can be done for a terminal that is gone.
        let _ = execute!(self.out, EnableLineWrap, Show, LeaveAlternateScreen);
    }
}

/// The lines that `rows` rows have place for, one of them for the cursor; the last says how many are hidden.
fn fit(picture: &str, rows: usize) -> String {
    let (lines, place) = (picture.lines().count(), rows.saturating_sub(1));
    if lines <= place {
        return picture.into();
    }
    let shown = place.saturating_sub(1);
    let mut fitting: String = picture.lines().take(shown).flat_map(|line| [line, "\n"]).collect();
    fitting.push_str(&format!("… {} more lines: make the window higher, or use `carillon get`", lines - shown));
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_high_picture_is_cut_and_says_so() {
        assert_eq!(fit("a\nb\nc\n", 4), "a\nb\nc\n");
        let cut = fit("a\nb\nc\nd\n", 4);
        assert_eq!(cut.lines().collect::<Vec<_>>()[..2], ["a", "b"]);
        assert!(cut.ends_with("… 2 more lines: make the window higher, or use `carillon get`"), "{cut}");
        assert_eq!(fit("a\nb\n", 0).lines().count(), 1);
    }
}
