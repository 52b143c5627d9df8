//! Reading the configuration objects of a center from YAML (Spec: OB).

mod center;
mod check;
mod decoder;
mod diagnostic;
mod document;
mod files;
mod findings;
mod kinds;
mod objects;
mod piece;
mod plan;
mod secret;
mod sip_uri;
mod source;
mod tree;
mod yaml;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

pub use center::{Access, Agent, Center, Connection, Device, Number, Queue, SipUri, Sound, Tenant, Trunk, Username};
pub use diagnostic::{Diagnostic, Severity, render};
pub use findings::Kind;
pub use objects::{Change, DIVIDER, FieldChange, Object, ObjectName, Objects, What};
pub use plan::{Plan, load_objects, plan};
pub use secret::Secret;

use decoder::{Decoder, Environment};
use findings::{Findings, Problem};
use piece::Piece;
use source::Source;
use tree::Tree;

/// A configuration that was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The objects.
    pub center: Center,
    /// As they were written.
    pub objects: Objects,
    /// What works but is probably not meant; show them with [`render`].
    pub warnings: Vec<Diagnostic>,
}

/// Every mistake of a configuration, in the order of the files; the first thousand when there are more. `Display` renders
/// them without colour; [`render`] with.
#[derive(Clone, Debug)]
pub struct ConfigErrors {
    /// At least one.
    pub diagnostics: Vec<Diagnostic>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(&self.diagnostics, false))
    }
}

impl std::error::Error for ConfigErrors {}

/// Whether this machine needs what a configuration names: environment variables with passwords, and sound files. A node
/// without phones does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// What is missing is a mistake.
    Here,
    /// Others will look. The objects are good for everything but talking to phones.
    Elsewhere,
}

/// A file of a configuration.
#[derive(Clone, Debug)]
pub struct File {
    /// As it is called in messages.
    pub name: String,
    /// Where its relative paths start.
    pub folder: PathBuf,
    /// What stands in it.
    pub text: String,
}

/// The files that [`load`] would read.
///
/// # Errors
/// Those that cannot be read.
pub fn files(path: &Path) -> Result<Vec<File>, ConfigErrors> {
    let mut findings = Findings::default();
    let mut all = Vec::new();
    match files::find(path) {
        Ok(paths) => {
            for file in paths {
                let folder = file.parent().unwrap_or(Path::new("")).to_owned();
                match files::read(&file) {
                    Ok(text) => all.push(File { name: file.display().to_string(), folder, text }),
                    Err(problem) => findings.report(problem),
                }
            }
        }
        Err(problem) => findings.report(problem),
    }
    findings.finish().map(|_| all).map_err(|diagnostics| ConfigErrors { diagnostics })
}

/// Reads a file, or all `*.yaml` and `*.yml` files of a folder and its subfolders in the order of their paths.
///
/// # Errors
/// All mistakes of all files at once: syntax, unknown fields, wrong types, values out of range, references that lead
/// nowhere, names, extensions, numbers and user names that exist twice, and files that cannot be read.
pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    let stored = HashMap::new();
    let mut reading = Reading::new(&from_environment, LookUp::Here, &stored);
    match files::find(path) {
        Ok(files) => files.iter().for_each(|file| reading.file(file)),
        Err(problem) => {
            reading.findings.incomplete = true;
            reading.findings.report(problem);
        }
    }
    reading.finish(&path.display().to_string())
}

/// Reads a configuration that is already in memory; `name` stands for the file in messages, and relative paths start at
/// the current folder.
///
/// # Errors
/// As [`load`].
pub fn load_str(name: &str, text: &str) -> Result<Loaded, ConfigErrors> {
    let stored = HashMap::new();
    let mut reading = Reading::new(&from_environment, LookUp::Here, &stored);
    reading.text(name, text, Path::new(""));
    reading.finish(name)
}

fn from_environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// A configuration while it is read.
struct Reading<'a> {
    center: Center,
    findings: Findings,
    environment: Environment<'a>,
    look_up: LookUp,
    /// Passwords that are meant by `stored: true`.
    stored: &'a HashMap<String, Tree>,
    /// Those that have a name.
    objects: Objects,
    /// Documents that are not empty.
    documents: usize,
}

impl<'a> Reading<'a> {
    fn new(environment: Environment<'a>, look_up: LookUp, stored: &'a HashMap<String, Tree>) -> Self {
        let (center, findings) = (document::empty_center(), Findings::default());
        Reading { center, findings, environment, look_up, stored, objects: Objects::default(), documents: 0 }
    }

    fn file(&mut self, file: &Path) {
        match files::read(file) {
            Ok(text) => self.text(&file.display().to_string(), &text, file.parent().unwrap_or(Path::new(""))),
            Err(problem) => {
                self.findings.incomplete = true;
                self.findings.report(problem);
            }
        }
    }

    fn text(&mut self, name: &str, text: &str, folder: &Path) {
        let file = self.findings.add_source(Source::new(name.into(), text));
        for document in yaml::documents(text, file) {
            match document {
                Ok(document) => {
                    self.documents += 1;
                    let Reading { environment, look_up, stored, .. } = *self;
                    let mut decoder = Decoder { findings: &mut self.findings, environment, folder, look_up, stored };
                    document::decode(&mut decoder, &document, &mut self.center);
                    self.objects.0.extend(objects::object(&document, folder, stored));
                }
                Err(mistake) => self.is_no_yaml(mistake),
            }
        }
    }

    fn is_no_yaml(&mut self, mistake: yaml::SyntaxError) {
        self.findings.incomplete = true;
        self.findings.report(Problem::error(mistake.message).at(mistake.place, "here"));
    }

    /// An object that is stored: as it was read the last time, if it was.
    fn stored(&mut self, name: &ObjectName, object: &Object) {
        self.objects.0.insert(name.clone(), object.clone());
        let file = self.findings.add_stored(name, object);
        if let Some(piece) = object.piece() {
            return piece.put_into(&mut self.center, &mut self.findings, file);
        }
        let mut alone = Reading::new(self.environment, self.look_up, self.stored);
        for document in yaml::documents(object.document(), 0) {
            match document {
                Ok(document) => {
                    let Reading { environment, look_up, stored, .. } = alone;
                    let (findings, folder) = (&mut alone.findings, Path::new(""));
                    let mut decoder = Decoder { findings, environment, folder, look_up, stored };
                    document::decode(&mut decoder, &document, &mut alone.center);
                }
                Err(mistake) => alone.is_no_yaml(mistake),
            }
        }
        let lasts = !alone.findings.refuse() && !alone.findings.of_machine;
        let piece = Piece::new(alone.center, name.kind == Kind::Tenant, alone.findings);
        piece.put_into(&mut self.center, &mut self.findings, file);
        if lasts {
            object.remember(piece);
        }
    }

    fn finish(mut self, name: &str) -> Result<Loaded, ConfigErrors> {
        if self.documents == 0 && !self.findings.incomplete {
            let problem = Problem::error(format!("{name} holds no objects"));
            self.findings.report(problem.help("docs/configuration.md shows how a center is written"));
        }
        self.judge()
    }

    /// What can be said when everything was read.
    fn judge(mut self) -> Result<Loaded, ConfigErrors> {
        check::check(&mut self.center, &mut self.findings);
        match self.findings.finish() {
            Ok(warnings) => Ok(Loaded { center: self.center, objects: self.objects, warnings }),
            Err(diagnostics) => Err(ConfigErrors { diagnostics }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use carillon_acd::agent::{DeviceKind, IdleReset};
    use carillon_acd::ids::ShortNumber;
    use carillon_acd::queue::{CallbackRule, Exit, Strategy, Then, Timeout, Unanswered};
    use carillon_acd::rank::Ranking;
    use carillon_acd::route::{Target, WaitingSound};
    use carillon_acd::skills::Skills;

    use super::*;

    fn read(folder: &Path, text: &str) -> Result<Loaded, ConfigErrors> {
        let environment = |variable: &str| (variable == "ANNA").then(|| "anna-secret".to_owned());
        let stored = HashMap::new();
        let mut reading = Reading::new(&environment, LookUp::Here, &stored);
        reading.text("test.yaml", text, folder);
        reading.finish("test.yaml")
    }

    fn center(text: &str) -> Center {
        read(Path::new(""), text).unwrap_or_else(|errors| panic!("{errors}")).center
    }

    // spec: OB-1, OB-3
    #[test]
    fn ob_3_a_queue_has_the_defaults_of_the_specification() {
        let center = center("{ kind: Queue, name: support, spec: {} }");
        let queue = &center.queues[0];
        assert_eq!(queue.id.to_string(), "tenants/default/queues/support");
        assert_eq!((queue.display_name.as_str(), queue.rings, queue.max_waiting), ("support", 4, 1_000));
        assert_eq!((queue.strategy, queue.waiting_sound), (Strategy::InOrder, WaitingSound::Ringing));
        assert_eq!((queue.wrap_up, queue.max_wait, queue.priority), (Duration::ZERO, None, 0));
        assert_eq!((queue.ranking.ageing, queue.ranking.weight), (Some(Duration::from_secs(60)), Duration::ZERO));
        assert_eq!((queue.idle_reset, queue.pause_after), (IdleReset::Offer, None));
        assert_eq!((queue.nobody_grace, queue.max_talk), (Duration::from_secs(10), None));
        assert_eq!((&queue.unanswered, &queue.timeout), (&Unanswered::Wait, &Timeout::default()));
        assert_eq!((center.tenant.name.as_str(), center.tenant.time_zone.as_str()), ("default", "UTC"));
    }

    // spec: TR-4, TR-5, TR-6
    #[test]
    fn tr_5_a_tenant_chooses_its_codes() {
        use carillon_acd::route::{Codes, Feature};
        assert_eq!(center("{ kind: Agent, name: anna, spec: {} }").tenant.codes, Codes::default());
        let center = center("{ kind: Tenant, name: default, spec: { codes: { pickup: \"#7\", break: 88 } } }");
        let code = |feature| center.tenant.codes.of(feature).as_str().to_owned();
        assert_eq!([Feature::PickUp, Feature::Break, Feature::QueueLogIn].map(code), ["#7", "88", "*41"]);
    }

    // spec: OB-3, UN-1, UN-4, QU-11, QU-12
    #[test]
    fn ob_3_every_field_of_a_queue_is_read() {
        let center = center(
            r#"
kind: Queue
name: support
spec:
  display_name: Customer support
  extension: "0201"
  short_number: "99900"
  pickup: true
  agents: [piotr, anna]
  strategy: longest_idle
  idle_reset: handled
  rings: 7
  pause_after: 3
  wrap_up: 1m30s
  max_wait: 10m
  nobody_grace: 30s
  max_talk: 1h
  exits: { "1": { queue: sales }, 0: { extension: 101 }, "9": { number: "+48600000000" }, "*": hang_up, '#': callback }
  callback: { attempts: 5, delay: 3m, keep: 2h, ring_for: 20s }
  unanswered: { number: "+48 600-000-000" }
  timeout: { then: { extension: 101 } }
  waiting_sound: music
  max_waiting: 5
  priority: -3
  ageing: 90s
  weight: 2m
  strict_weight: true
  skills: { french: 5 }
  relax: 20s
  relax_to: 2
---
{ kind: Queue, name: sales, spec: { max_wait: 0s, ageing: 0s, unanswered: hang_up, timeout: { then: { queue: support } } } }
---
{ kind: Trunk, name: carrier, spec: { outbound: "sip:192.0.2.1", peers: [192.0.2.9/24, "2001:db8::1"] } }
---
{ kind: Number, name: main, spec: { number: "+33 1 23 45 67 89", trunk: carrier, agent: anna, priority: 20, skills: { polish: 3 }, max_wait: 20m } }
---
{ kind: Agent, name: anna, spec: { extension: 101, skills: { french: 7, billing: 1 } } }
---
{ kind: Agent, name: piotr, spec: {} }
"#,
        );
        let [support, sales] = &center.queues[..] else { panic!("two queues") };
        let anna = center.agents[0].id.clone();
        assert_eq!(support.display_name, "Customer support");
        assert_eq!(support.extension.as_ref().map(|extension| extension.as_str()), Some("0201"));
        assert!(support.pickup && !sales.pickup, "TR-4: colleagues take each other's calls only where it is allowed");
        assert_eq!(support.short_number.as_ref().map(ShortNumber::as_str), Some("99900"));
        assert_eq!(support.agents, [center.agents[1].id.clone(), anna.clone()]);
        assert_eq!((support.strategy, support.rings, support.max_waiting), (Strategy::LongestIdle, 7, 5));
        assert_eq!((support.idle_reset, support.pause_after), (IdleReset::Handled, Some(3)));
        assert_eq!((support.wrap_up, support.priority), (Duration::from_secs(90), -3));
        let (ageing, weight) = (Some(Duration::from_secs(90)), Duration::from_secs(120));
        assert_eq!(support.ranking, Ranking { ageing, weight, strict_weight: true });
        let skills = |levels: &[(&str, u8)]| Skills::new(levels.iter().map(|(name, n)| (name.parse().unwrap(), *n)));
        assert_eq!((&support.skills, support.relax_to), (&skills(&[("french", 5)]), 2));
        assert_eq!((support.relax, sales.relax), (Some(Duration::from_secs(20)), None));
        assert_eq!(center.agents[0].skills, skills(&[("french", 7), ("billing", 1)]));
        assert_eq!(center.numbers[0].skills, skills(&[("polish", 3)]));
        assert_eq!(sales.ranking, Ranking { ageing: None, ..Ranking::default() });
        assert_eq!(support.max_wait, Some(Duration::from_secs(600)));
        assert_eq!(
            (support.nobody_grace, support.max_talk),
            (Duration::from_secs(30), Some(Duration::from_secs(3_600)))
        );
        let leave = |(digit, then)| (digit, Exit::Leave(then));
        let number = Then::Number("+48600000000".parse().unwrap());
        let (to_sales, to_anna) = (Then::Queue(sales.id.clone()), Then::Agent(anna.clone()));
        let exits = [('1', to_sales), ('0', to_anna), ('9', number), ('*', Then::HangUp)].map(leave);
        assert_eq!(support.exits, exits.into_iter().chain([('#', Exit::Callback)]).collect());
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let rule = CallbackRule { attempts: 5, delay: minutes(3), keep: minutes(120), ring_for: minutes(1) / 3 };
        assert_eq!((support.callback, sales.callback), (rule, CallbackRule::default()));
        assert_eq!(center.numbers[0].max_wait, Some(Duration::from_secs(1_200)));
        assert_eq!(support.unanswered, Unanswered::Leave(Then::Number("+48600000000".parse().unwrap())));
        assert_eq!(support.timeout.then, Then::Agent(anna.clone()));
        assert_eq!((sales.max_wait, &sales.unanswered), (None, &Unanswered::Leave(Then::HangUp)));
        assert_eq!(sales.timeout.then, Then::Queue(support.id.clone()));
        assert_eq!((&center.numbers[0].target, center.numbers[0].priority), (&Target::Agent(anna), 20));
        let peers: Vec<String> = center.trunks[0].peers.iter().map(ToString::to_string).collect();
        assert_eq!(peers, ["192.0.2.0/24", "2001:db8::1/128"]);
    }

    // spec: QU-1, QU-2, QU-3, QU-4, QU-5
    #[test]
    fn qu_5_every_strategy_has_its_word() {
        for strategy in Strategy::ALL {
            let word = strategy.as_str();
            let center = center(&format!("{{ kind: Queue, name: support, spec: {{ strategy: {word} }} }}"));
            assert_eq!(center.queues[0].strategy, strategy);
        }
    }

    // spec: OB-5
    #[test]
    fn ob_5_devices_register_or_stand_at_an_address() {
        let center = center(
            r#"
kind: Agent
name: anna
spec:
  devices:
    - { username: anna, password: { env: ANNA } }
    - { contact: "sip:anna@192.0.2.7:5080", kind: mobile }
"#,
        );
        let [registers, fixed] = &center.agents[0].devices[..] else { panic!("two devices") };
        let Access::Registers { username, password } = &registers.access else { panic!("{registers:?}") };
        assert_eq!((username.as_str(), password.expose()), ("anna", "anna-secret"));
        assert_eq!((registers.kind, fixed.kind), (DeviceKind::Hardware, DeviceKind::Mobile));
        assert!(matches!(&fixed.access, Access::Fixed { contact } if contact.as_str() == "sip:anna@192.0.2.7:5080"));
    }

    // spec: SE-5
    #[test]
    fn se_5_a_password_may_stand_in_a_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("anna"), "s3 cret\n").unwrap();
        std::fs::write(dir.path().join("empty"), "\n").unwrap();
        let agent = |password: &str| {
            let device = format!("{{ username: anna, password: {{ {password} }} }}");
            read(dir.path(), &format!("{{ kind: Agent, name: anna, spec: {{ devices: [{device}] }} }}"))
        };
        let loaded = agent("file: anna").unwrap();
        let Access::Registers { password, .. } = &loaded.center.agents[0].devices[0].access else {
            panic!("registers")
        };
        assert_eq!(password.expose(), "s3 cret");
        let shown: Vec<String> = loaded.objects.iter().map(|(_, object)| object.without_secrets()).collect();
        let path = dir.path().join("anna").display().to_string();
        assert!(shown[0].contains(&path) && !shown[0].contains("s3"), "{}", shown[0]);
        for (password, why) in [
            ("file: nobody", "nobody cannot be used: No such file"),
            ("file: empty", "it is empty"),
            ("file: anna, env: ANNA", "must be `{ plain: … }`, `{ env: … }` or `{ file: … }`"),
        ] {
            let said = agent(password).unwrap_err().to_string();
            assert!(said.contains(why) && !said.contains("s3"), "{said}");
        }
    }

    // spec: OB-7
    #[test]
    fn ob_7_a_sound_is_a_mono_wav_file_beside_its_configuration() {
        let dir = tempfile::tempdir().unwrap();
        for (name, channels, sample_rate, samples) in [
            ("mono.wav", 1, 8_000, 160),
            ("stereo.wav", 2, 8_000, 160),
            ("studio.wav", 1, 96_000, 160),
            ("empty.wav", 1, 8_000, 0),
        ] {
            let sample_format = hound::SampleFormat::Int;
            let spec = hound::WavSpec { channels, sample_rate, bits_per_sample: 16, sample_format };
            let mut file = hound::WavWriter::create(dir.path().join(name), spec).unwrap();
            (0..samples).for_each(|_| file.write_sample(0_i16).unwrap());
            file.finalize().unwrap();
        }
        std::fs::write(dir.path().join("large.wav"), vec![0; 2_097_153]).unwrap();
        std::fs::write(dir.path().join("music.mp3"), b"ID3").unwrap();
        let sound =
            |file: &str| read(dir.path(), &format!("{{ kind: Sound, name: welcome, spec: {{ file: {file} }} }}"));

        assert_eq!(sound("mono.wav").unwrap().center.sounds[0].file, dir.path().join("mono.wav"));
        for (file, why) in [
            ("stereo.wav", "2 channels"),
            ("studio.wav", "96000 samples"),
            ("empty.wav", "no sound"),
            ("large.wav", "2097153 bytes"),
            ("music.mp3", "MP3"),
        ] {
            let message = sound(file).unwrap_err().diagnostics[0].message().to_owned();
            assert!(message.contains(why), "{message}");
        }
    }

    #[test]
    fn a_thousand_mistakes_are_shown_and_the_rest_is_counted() {
        let text: String =
            (0..1_500).map(|n| format!("---\n{{ kind: Agent, name: a{n}, spec: {{ rings: 1 }} }}\n")).collect();
        let errors = read(Path::new(""), &text).unwrap_err();
        assert_eq!(errors.diagnostics.len(), 1_001);
        assert_eq!(errors.diagnostics[1_000].message(), "and 500 more");
        assert_eq!(errors.diagnostics[2].place(), Some(("test.yaml", 6, 34)));
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
        let loaded = read(Path::new(""), "\u{feff}kind: Queue\r\nname: support\r\nspec:\r\n  rings: 5\r\n").unwrap();
        assert_eq!(loaded.center.queues[0].rings, 5);
        let errors = read(Path::new(""), "kind: Queue\r\nname: support\r\nspec:\r\n  rings: 50\r\n").unwrap_err();
        assert_eq!(errors.diagnostics[0].place(), Some(("test.yaml", 4, 10)));
    }
}
