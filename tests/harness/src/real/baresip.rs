//! baresip, a phone that other people wrote, without sound card or screen: its microphone is a WAV file, and it writes down
//! what it sent and heard.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::network::free_port;
use super::process;
use crate::audio::wav;

/// How long it may take to start, and each command to be answered.
const SOON: Duration = Duration::from_secs(5);

/// Its own address. It opens its audio ports on all addresses, so that on loopback its packets come from this one,
/// whatever it is told.
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A phone to be.
#[derive(Clone, Debug)]
pub struct BaresipConfig {
    /// The center's address.
    pub server: SocketAddr,
    /// User part of its address.
    pub user: String,
    /// The password, for a phone that registers.
    pub password: Option<String>,
    /// The frequency that its microphone hears.
    pub tone: f64,
    /// Whether it answers by itself.
    pub answers: bool,
    /// `pcmu` or `pcma`.
    pub codec: &'static str,
}

/// A running baresip. Dropped, it is killed.
#[derive(Debug)]
pub struct Baresip {
    child: Child,
    control: SocketAddr,
    folder: TempDir,
    /// The port it speaks SIP on.
    pub sip: SocketAddr,
}

impl Baresip {
    /// Starts it and waits until it takes commands.
    pub async fn start(config: BaresipConfig) -> Result<Baresip> {
        let folder = TempDir::with_prefix("baresip-").context("a temporary folder")?;
        let (sip, control) = (free_port(HOME)?, free_port(HOME)?);
        let at = |name: &str| folder.path().join(name).display().to_string();
        wav::write_tone(&folder.path().join("microphone.wav"), config.tone, 120)?;
        let write = |name: &str, text: String| std::fs::write(at(name), text).with_context(|| at(name));
        write("config", config_text(sip, control, &at("microphone.wav"), &at("")))?;
        write("accounts", account_text(&config))?;
        write("contacts", String::new())?;
        let output = std::fs::File::create(at("output")).context("the output file")?;
        let child = Command::new("baresip")
            .args(["-f", &at(""), "-t", "240"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("the output file")?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .context("starting baresip (Debian: baresip-core)")?;
        let phone = Baresip { child, control, folder, sip };
        phone.connect().await?;
        Ok(phone)
    }

    async fn connect(&self) -> Result<TcpStream> {
        let began = Instant::now();
        let mut poll = tokio::time::interval(Duration::from_millis(20));
        loop {
            match TcpStream::connect(self.control).await {
                Ok(stream) => return Ok(stream),
                Err(_) if began.elapsed() < SOON => poll.tick().await,
                Err(e) => return Err(e).with_context(|| format!("baresip's control port; {}", self.output())),
            };
        }
    }

    /// What it printed, without its twenty lines a second of bit rates.
    pub fn output(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("output")).unwrap_or_default();
        text.lines().filter(|line| !line.contains("(bit/s)")).map(|line| format!("{line}\n")).collect()
    }

    /// Gives it a command of its menu: `dial`, `hold`, `resume`, `hangup`.
    pub async fn command(&self, command: &str, parameters: &str) -> Result<String> {
        let mut stream = self.connect().await?;
        let json = serde_json::json!({ "command": command, "params": parameters, "token": "harness" }).to_string();
        stream.write_all(format!("{}:{json},", json.len()).as_bytes()).await.context("baresip's control port")?;
        let mut reply = Vec::new();
        let whole = async {
            while !(String::from_utf8_lossy(&reply).contains("\"response\":true") && reply.ends_with(b",")) {
                if stream.read_buf(&mut reply).await? == 0 {
                    break;
                }
            }
            std::io::Result::Ok(())
        };
        tokio::time::timeout(SOON, whole).await.with_context(|| format!("no answer to {command}"))??;
        let reply = String::from_utf8_lossy(&reply).into_owned();
        ensure!(reply.contains("\"ok\":true"), "baresip answered {command} {parameters:?}: {reply}");
        Ok(reply)
    }

    /// The recordings of what it heard, oldest first: one for each call, from its begin to the first new description of the
    /// call (a hold); version 1.0 does not go on recording after that.
    pub fn heard(&self) -> Result<Vec<PathBuf>> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.folder.path())
            .context("baresip's folder")?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().ends_with("-dec.wav")))
            .collect();
        files.sort_by_key(|p| p.metadata().and_then(|m| m.modified()).ok());
        Ok(files)
    }

    /// Ends it, so that its recordings are complete, and returns the folder with them.
    pub async fn stop(mut self) -> Result<Recordings> {
        process::signal(&self.child, "TERM").await?;
        process::wait(&mut self.child, "baresip", SOON).await?;
        Ok(Recordings { heard: self.heard()?, output: self.output(), _folder: self.folder })
    }
}

/// What a baresip leaves behind.
#[derive(Debug)]
pub struct Recordings {
    /// What it heard, one file for each stream, oldest first.
    pub heard: Vec<PathBuf>,
    /// What it printed.
    pub output: String,
    _folder: TempDir,
}

fn account_text(config: &BaresipConfig) -> String {
    let BaresipConfig { user, server, codec, answers, .. } = config;
    let register = match &config.password {
        Some(password) => format!("regint=60;auth_user={user};auth_pass={password}"),
        None => "regint=0".to_owned(),
    };
    let answer = if *answers { ";answermode=auto" } else { "" };
    format!("<sip:{user}@{server};transport=udp>;{register};audio_codecs={codec}{answer}\n")
}

fn config_text(sip: SocketAddr, control: SocketAddr, microphone: &str, recordings: &str) -> String {
    let modules = ["g711.so", "aufile.so", "aubridge.so", "sndfile.so"].map(|m| format!("module {m}\n")).concat();
    format!(
        "sip_listen {sip}\nnet_interface {HOME}\nctrl_tcp_listen {control}\n\
         audio_source aufile,{microphone}\naudio_player aubridge,speaker\naudio_alert aubridge,bell\n\
         call_local_timeout 120\ncall_max_calls 4\nrtp_timeout 0\nsnd_path {recordings}\n\
         module_path /usr/lib/baresip/modules\n{modules}\
         module_tmp uuid.so\nmodule_tmp account.so\nmodule_app contact.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n"
    )
}
