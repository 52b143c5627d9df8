//! `carillon apply`: changes the configuration of a running center.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use carillon_rpc::v1;
use carillon_rpc::v1::apply_progress::Stage;
use carillon_rpc::v1::config_service_client::ConfigServiceClient;
use carillon_rpc::v1::object_change::Kind;
use carillon_store::config;
use clap::Args;

use super::api::{Api, MOST_BYTES, said};
use super::output::printable;

/// A change that is quicker needs no word on how far it is.
const QUIET: Duration = Duration::from_millis(500);

/// A file of this name is what comes in by standard input.
const INPUT: &str = "-";

/// What is applied, and how.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  carillon apply -f center/ --dry-run
  carillon apply -f center.yaml
  carillon get config -o yaml > center.yaml
  carillon apply -f center.yaml --prune

Objects that are in none of the files stay as they are, unless --prune removes them. All of it is applied or nothing;
calls go on. Paths of sounds start at the folder of their file, and the nodes must find the sounds there.")]
pub(crate) struct ApplyArgs {
    /// A YAML file, a folder of them, or `-` for standard input. May be given several times.
    #[arg(short, long = "file", value_name = "DIR|FILE", required = true)]
    files: Vec<PathBuf>,

    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,

    /// Remove the objects that are in none of the files.
    #[arg(long)]
    prune: bool,

    #[command(flatten)]
    api: Api,
}

pub(super) async fn run(args: ApplyArgs) -> anyhow::Result<()> {
    let mut files = Vec::new();
    for path in &args.files {
        files.extend(read(path)?);
    }
    let mut client = ConfigServiceClient::new(args.api.connect().await?).max_decoding_message_size(MOST_BYTES);
    let request = v1::ApplyRequest { files, dry_run: args.dry_run, prune: args.prune };
    let answer = applied(client.apply(request).await.map_err(said)?.into_inner()).await?;
    for problem in &answer.problems {
        eprint!("{}", problem.text);
    }
    if answer.refused {
        let mistakes = answer.problems.len();
        bail!("nothing was applied: {mistakes} mistake{}", if mistakes == 1 { "" } else { "s" });
    }
    let mut out = io::stdout().lock();
    write_changes(&mut out, &answer.changes)?;
    writeln!(out, "{}", summary(&answer, args.dry_run))?;
    if !args.dry_run && !answer.in_force {
        bail!(
            "the node that was asked has not put revision {} in force: `carillon nodes` and its log say why",
            answer.revision
        );
    }
    Ok(())
}

/// What becomes of it. A change that takes its time says how far it is.
async fn applied(mut answers: tonic::Streaming<v1::ApplyResponse>) -> anyhow::Result<v1::ApplyResponse> {
    let began = Instant::now();
    while let Some(answer) = answers.message().await.map_err(said)? {
        match &answer.progress {
            None => return Ok(answer),
            Some(progress) if began.elapsed() >= QUIET => eprintln!("{}", shown(progress)),
            Some(_) => {}
        }
    }
    bail!("the connection to the server was lost: `carillon apply --dry-run` shows whether the change was made")
}

fn shown(progress: &v1::ApplyProgress) -> String {
    match progress.stage() {
        Stage::Checking => "checking all objects".to_owned(),
        Stage::Writing => format!("{} of {} parts are written", progress.parts, progress.of),
        Stage::PuttingInForce => "all is written, and is being put in force".to_owned(),
        Stage::Unspecified => "it goes on".to_owned(),
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<v1::ConfigFile>> {
    if path == Path::new(INPUT) {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        let folder = whole(Path::new(""))?;
        return Ok(vec![v1::ConfigFile { name: "standard input".to_owned(), folder, text }]);
    }
    let files = config::files(path).map_err(|errors| anyhow::anyhow!("{}", errors.to_string().trim_end()))?;
    let file =
        |file: config::File| Ok(v1::ConfigFile { name: file.name, folder: whole(&file.folder)?, text: file.text });
    files.into_iter().map(file).collect()
}

/// The folder as another process on this machine finds it.
fn whole(folder: &Path) -> anyhow::Result<String> {
    let here = std::env::current_dir().context("cannot tell the current folder")?;
    Ok(here.join(folder).display().to_string())
}

/// `+` is new, `~` changes, `-` goes.
fn write_changes(out: &mut impl Write, changes: &[v1::ObjectChange]) -> io::Result<()> {
    for change in changes {
        let sign = match change.kind() {
            Kind::Added => '+',
            Kind::Changed => '~',
            Kind::Removed => '-',
            Kind::Unspecified => '?',
        };
        writeln!(out, "{sign} {}", short(&change.name))?;
        for field in &change.fields {
            let value =
                |value: &Option<String>| value.as_deref().map_or("(not set)".to_owned(), |it| printable(it.into()));
            writeln!(out, "    {}: {} → {}", field.path, value(&field.before), value(&field.after))?;
        }
    }
    Ok(())
}

/// `queues/support`: there is one tenant.
fn short(name: &str) -> &str {
    name.strip_prefix("tenants/default/").unwrap_or(name)
}

fn summary(answer: &v1::ApplyResponse, dry_run: bool) -> String {
    let count = |kind| answer.changes.iter().filter(|change| change.kind() == kind).count();
    let counts =
        format!("{} added, {} changed, {} removed", count(Kind::Added), count(Kind::Changed), count(Kind::Removed));
    match (answer.changes.is_empty(), dry_run) {
        (true, _) => format!("nothing to change; revision {} holds", answer.revision),
        (false, true) => format!("would be: {counts}; revision {} holds", answer.revision),
        (false, false) => format!("{counts}; revision {} holds", answer.revision),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_shown_with_what_was_and_what_will_be() {
        let field = v1::FieldChange { path: "rings".into(), before: None, after: Some("5".into()) };
        let change = |name: &str, kind: Kind, fields: &[v1::FieldChange]| v1::ObjectChange {
            name: format!("tenants/default/{name}"),
            kind: kind.into(),
            fields: fields.to_vec(),
        };
        let changes = vec![
            change("queues/sales", Kind::Added, &[]),
            change("queues/support", Kind::Changed, &[field]),
            change("agents/bob", Kind::Removed, &[]),
        ];
        let mut out = Vec::new();
        write_changes(&mut out, &changes).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown, "+ queues/sales\n~ queues/support\n    rings: (not set) → 5\n- agents/bob\n");
        let answer = v1::ApplyResponse { changes, revision: 7, ..Default::default() };
        assert_eq!(summary(&answer, true), "would be: 1 added, 1 changed, 1 removed; revision 7 holds");
    }
}
