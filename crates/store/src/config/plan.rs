//! What a running center becomes when files are applied to it, judged as a whole before anything is written.

use std::collections::HashMap;

use super::objects::{Change, Objects};
use super::{ConfigErrors, File, Loaded, LookUp, Reading, from_environment};

/// A change that was found good.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All objects afterwards, with what they make.
    pub loaded: Loaded,
    /// What changes, by kind and name.
    pub changes: Vec<Change>,
}

/// Puts the objects of `files` in the place of those of `now` that have their names, and with `prune` takes out all others.
/// Every reference may lead to an object of either.
///
/// # Errors
/// As [`super::load`]. What is wrong with an object that is not in the files, because what it refers to changes or goes,
/// is shown in the object as it is stored.
pub fn plan(now: &Objects, files: &[File], prune: bool, look_up: LookUp) -> Result<Plan, ConfigErrors> {
    let asks = files.iter().any(|file| file.text.contains("stored"));
    let stored = if asks { now.passwords() } else { HashMap::new() };
    let mut reading = Reading::new(&from_environment, look_up, &stored);
    for file in files {
        reading.text(&file.name, &file.text, &file.folder);
    }
    if !prune {
        let kept: Vec<_> = now.iter().filter(|(name, _)| reading.objects.get(name).is_none()).collect();
        kept.into_iter().for_each(|(name, object)| reading.stored(name, object));
    }
    let mut loaded = reading.finish("what is applied")?;
    let changes = now.changes_to(&loaded.objects);
    // What only looks different stays as it is.
    for (name, object) in &mut loaded.objects.0 {
        if let Some(before) = now.get(name).filter(|before| before.means(object)) {
            *object = before.clone();
        }
    }
    Ok(Plan { loaded, changes })
}

/// The center of objects that were applied.
///
/// # Errors
/// As [`super::load`]; mistakes are shown in the objects as they are stored. No objects make an empty center.
pub fn load_objects(objects: &Objects, look_up: LookUp) -> Result<Loaded, ConfigErrors> {
    let stored = HashMap::new();
    let mut reading = Reading::new(&from_environment, look_up, &stored);
    objects.iter().for_each(|(name, object)| reading.stored(name, object));
    reading.judge()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DIVIDER, FieldChange, What};

    fn file(text: &str) -> File {
        File { name: "change.yaml".to_owned(), folder: "/etc/center".into(), text: text.to_owned() }
    }

    fn applied(now: &Objects, text: &str, prune: bool) -> Result<Plan, ConfigErrors> {
        plan(now, &[file(text)], prune, LookUp::Elsewhere)
    }

    fn shown(changes: &[Change]) -> Vec<String> {
        let field = |field: &FieldChange| {
            let value = |value: &Option<String>| value.clone().unwrap_or_default();
            format!(" {} {}>{}", field.path, value(&field.before), value(&field.after))
        };
        let line = |change: &Change| match &change.what {
            What::Added => format!("+{}", change.name),
            What::Changed(fields) => format!("~{}{}", change.name, fields.iter().map(field).collect::<String>()),
            What::Removed => format!("-{}", change.name),
        };
        changes.iter().map(line).collect()
    }

    const CENTER: &str = r#"
kind: Queue
name: support
spec: { agents: [anna], rings: 4, extension: "0201" }
---
kind: Agent   # she is new
name: anna
spec:
  devices: [{ username: anna, password: { plain: s3cret } }, { username: anna-2, password: { env: ANNA } }]
---
kind: Sound
name: welcome
spec: { file: sounds/welcome.wav }
"#;

    fn center() -> Objects {
        applied(&Objects::default(), CENTER, false).unwrap_or_else(|errors| panic!("{errors}")).loaded.objects
    }

    #[test]
    fn only_what_differs_changes_and_what_is_not_given_stays() {
        let now = center();
        assert!(applied(&now, CENTER, true).unwrap().changes.is_empty(), "the same again");
        let change = "{ kind: Queue, name: support, spec: { rings: 5, agents: [], extension: \"0201\" } }\n---\n{ kind: Queue, name: sales, spec: {} }";
        let plan = applied(&now, change, false).unwrap();
        let expected = ["+tenants/default/queues/sales", "~tenants/default/queues/support rings 4>5 agents [anna]>[]"];
        assert_eq!(shown(&plan.changes), expected);
        assert_eq!((plan.loaded.objects.len(), plan.loaded.center.queues.len()), (4, 2));
        let pruned = applied(&now, change, true).unwrap();
        let gone = ["-tenants/default/agents/anna", "-tenants/default/sounds/welcome"];
        assert_eq!(shown(&pruned.changes)[2..], gone);
    }

    // spec: SE-5
    #[test]
    fn se_5_what_is_shown_can_be_applied_again_and_holds_no_password() {
        let now = center();
        let all: Vec<String> = now.iter().map(|(_, object)| object.without_secrets()).collect();
        let all = all.join("---\n");
        assert!(!all.contains("s3cret") && all.contains("{ stored: true }") && all.contains("{ env: ANNA }"), "{all}");
        let again = applied(&now, &all, true).unwrap();
        assert_eq!(again.changes, [], "{all}");
        let agent = &again.loaded.center.agents[0];
        let crate::config::Access::Registers { password, .. } = &agent.devices[0].access else { panic!("{agent:?}") };
        assert_eq!(password.expose(), "s3cret");
        let change = all.replace("stored: true", "plain: other");
        let changes = shown(&applied(&now, &change, true).unwrap().changes);
        assert_eq!(changes, ["~tenants/default/agents/anna devices[0].password.plain ***>***"]);
        assert!(!format!("{now:?}").contains("s3cret"));
    }

    /// What was read once is judged with what changes as if all of it were read again.
    #[test]
    fn what_was_read_before_is_judged_as_if_it_were_read_again() {
        let center = "{ kind: Trunk, name: carrier, spec: { peers: [192.0.2.0/24] } }\n---\n\
            { kind: Agent, name: anna, spec: { extension: \"7\", devices: [{ username: anna, password: { plain: x } }] } }\n---\n\
            { kind: Queue, name: a, spec: { agents: [anna], extension: \"1\", unanswered: { queue: b } } }\n---\n\
            { kind: Queue, name: b, spec: { agents: [anna], unanswered: last_agent_phone, timeout: { then: { extension: \"1\" } } } }\n---\n\
            { kind: Number, name: n, spec: { number: \"+33123456789\", trunk: carrier, queue: a } }";
        let changes = [
            "{ kind: Queue, name: c, spec: { agents: [anna], extension: \"7\" } }",
            "{ kind: Queue, name: c, spec: { agents: [bob], short_number: \"3\", pickup: true } }",
            "{ kind: Queue, name: b, spec: { agents: [anna], unanswered: { queue: a } } }",
            "{ kind: Queue, name: a, spec: { agents: [anna] } }",
            "{ kind: Trunk, name: carrier, spec: { peers: [192.0.2.0/24], outbound: \"sip:192.0.2.1\" } }",
            "{ kind: Number, name: m, spec: { number: \"+33 1 23 45 67 89\", trunk: carrier, queue: a } }",
            "{ kind: Agent, name: bob, spec: { devices: [{ username: anna, password: { plain: y } }] } }",
            "{ kind: Agent, name: anna, spec: { mobile: \"+48600000000\", devices: [] } }",
            "{ kind: Tenant, name: default, spec: { codes: { pickup: \"7\" } } }",
        ];
        let trunk = center.replace("24] }", "24], outbound: \"sip:192.0.2.1:5060\" }");
        let stored = applied(&Objects::default(), &trunk, false).unwrap_or_else(|e| panic!("{e}")).loaded.objects;
        let text: Vec<&str> = stored.iter().map(|(_, object)| object.document()).collect();
        let fresh = || Objects::read(&text.join(DIVIDER)).unwrap();
        let known = fresh();
        load_objects(&known, LookUp::Elsewhere).unwrap();
        assert!(known.iter().all(|(_, object)| object.piece().is_some()));
        let (mut good, mut bad) = (0, 0);
        for change in changes {
            let mut said = |now: &Objects| match applied(now, change, false) {
                Ok(Plan { loaded, changes }) => {
                    good += 1;
                    Ok((loaded.center, crate::config::render(&loaded.warnings, false), shown(&changes)))
                }
                Err(errors) => {
                    bad += 1;
                    Err(errors.to_string())
                }
            };
            assert_eq!(said(&known), said(&fresh()), "{change}");
        }
        assert!(good > 4 && bad > 4, "{good} good, {bad} bad");
    }

    #[test]
    fn a_stored_password_must_be_there() {
        let text = "{ kind: Agent, name: bob, spec: { devices: [{ username: bob, password: { stored: true } }] } }";
        let error = applied(&center(), text, false).unwrap_err().to_string();
        assert!(error.contains("no password is stored for `bob`") && error.contains("change.yaml:1:"), "{error}");
    }

    #[test]
    fn what_is_left_without_its_reference_is_shown_as_it_is_stored() {
        let text = "{ kind: Queue, name: support, spec: { agents: [anna] } }";
        let error = applied(&center(), text, true).unwrap_err().to_string();
        assert!(error.contains("there is no Agent `anna`"), "{error}");
        let taken = "{ kind: Queue, name: sales, spec: { extension: \"0201\" } }";
        let error = applied(&center(), taken, false).unwrap_err().to_string();
        assert!(error.contains("tenants/default/queues/support:") && error.contains("change.yaml"), "{error}");
    }

    #[test]
    fn a_sound_is_kept_with_its_whole_path() {
        let now = center();
        let sound = now.iter().find_map(|(_, object)| object.document().contains("Sound").then(|| object.document()));
        assert!(sound.unwrap().contains("/etc/center/sounds/welcome.wav"));
    }

    #[test]
    fn what_is_kept_reads_as_the_same_objects() {
        let now = center();
        let text: Vec<&str> = now.iter().map(|(_, object)| object.document()).collect();
        let again = Objects::read(&text.join(DIVIDER)).unwrap();
        assert_eq!((now.changes_to(&again), again.len()), (Vec::new(), 3));
        assert!(Objects::read("{ kind: Menu, name: x, spec: {} }").is_err());
        assert_eq!(load_objects(&again, LookUp::Elsewhere).unwrap().center.queues.len(), 1);
        assert!(load_objects(&Objects::default(), LookUp::Here).unwrap().objects.is_empty());
    }
}
