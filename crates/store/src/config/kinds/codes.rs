//! The codes that agents dial (Spec: TR-4, TR-5, TR-6).

use carillon_acd::route::{Code, Codes, Feature};

use crate::config::decoder::{Decoder, Shape};
use crate::config::findings::{CodePlace, Problem};
use crate::config::yaml::Entry;

const SHAPE: Shape = Shape {
    what: "`codes`",
    fields: &["pickup", "queue_login", "queue_logout", "break", "ready", "logout", "wrap_up_end"],
    later: &[],
};

/// A code that is not given stays as it is out of the box. Whether they fit together is judged when all objects are known.
pub(super) fn decode(decoder: &mut Decoder<'_>, entry: &Entry) -> Codes {
    let mut codes = Codes::default();
    let Some(fields) = decoder.fields(&entry.value, entry.key_place, &SHAPE) else { return codes };
    for feature in Feature::ALL {
        let Some(entry) = fields.get(feature.as_str()) else { continue };
        let Some(text) = decoder.text(entry) else { continue };
        match text.parse::<Code>() {
            Ok(code) => {
                codes.set(feature, code);
                decoder.findings.codes.push(CodePlace { feature, place: entry.value.place });
            }
            Err(_) => {
                let message = format!("`{}` must be 1 to 8 of the keys 0-9, `*` and `#`", feature.as_str());
                let problem = Problem::error(message).at(entry.value.place, "not a code");
                decoder.report(problem.help("write it in quotes: \"*11\""));
            }
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_its_field() {
        assert_eq!(SHAPE.fields, Feature::ALL.map(Feature::as_str));
    }
}
