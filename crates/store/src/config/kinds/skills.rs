//! Skills with levels, as agents have them and as queues and numbers ask for them (Spec: QU-5).

use carillon_acd::skills::Skills;

use crate::config::decoder::Decoder;
use crate::config::findings::Problem;
use crate::config::yaml::{Entry, Value};

/// `{ french: 5, billing: 2 }`. A level is 1 to 10.
pub(super) fn skills(decoder: &mut Decoder<'_>, entry: &Entry) -> Skills {
    let Value::Map(levels) = &entry.value.value else {
        decoder.wrong_type(&format!("`{}` must be a map, like `{{ french: 5 }}`", entry.key), &entry.value);
        return Skills::default();
    };
    let mut skills = Vec::with_capacity(levels.len());
    for (n, skill) in levels.iter().enumerate() {
        if let Some(first) = levels[..n].iter().find(|earlier| earlier.key == skill.key) {
            let twice = Problem::error(format!("skill `{}` is given twice", skill.key));
            decoder.report(twice.at(skill.key_place, "again here").at(first.key_place, "first here"));
        }
        let level = decoder.whole(skill, 1..=i64::from(Skills::MOST)).and_then(|level| u8::try_from(level).ok());
        match (skill.key.parse(), level) {
            (Ok(name), Some(level)) => skills.push((name, level)),
            (Ok(_), None) => {}
            (Err(_), _) => {
                let problem = Problem::error(format!("`{}` is no name of a skill", skill.key));
                let problem = problem.at(skill.key_place, "not a name");
                decoder.report(problem.help("write 1 to 63 characters of a-z, 0-9 and `-`"));
            }
        }
    }
    Skills::new(skills)
}
