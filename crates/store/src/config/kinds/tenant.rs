//! The kind Tenant: a company (Spec: OB-1).

use carillon_acd::ids::Name;
use carillon_acd::route::Codes;
use jiff::tz;

use super::codes;
use crate::config::center::Tenant;
use crate::config::decoder::{Decoder, Fields, Shape};
use crate::config::findings::{Problem, nearest};
use crate::config::yaml::Entry;

pub(crate) const SHAPE: Shape =
    Shape { what: "a Tenant", fields: &["display_name", "time_zone", "codes"], later: &["plan", "backup_number"] };

const UTC: &str = "UTC";

/// The tenant of a center that configures none (Spec: OB-1).
pub(crate) fn out_of_the_box(name: Name) -> Tenant {
    Tenant { display_name: name.to_string(), name, time_zone: UTC.into(), codes: Codes::default() }
}

pub(crate) fn decode(decoder: &mut Decoder<'_>, name: Name, fields: &Fields<'_>) -> Tenant {
    let display_name = fields.get("display_name").and_then(|entry| decoder.text(entry)).map(str::to_owned);
    let time_zone = fields.get("time_zone").and_then(|entry| time_zone(decoder, entry));
    let codes = fields.get("codes").map(|entry| codes::decode(decoder, entry)).unwrap_or_default();
    Tenant {
        codes,
        display_name: display_name.unwrap_or_else(|| name.to_string()),
        name,
        time_zone: time_zone.unwrap_or_else(|| UTC.into()),
    }
}

fn time_zone(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<String> {
    let text = decoder.text(entry)?;
    if let Ok(zone) = tz::db().get(text) {
        return zone.iana_name().map(str::to_owned).or_else(|| Some(text.into()));
    }
    let zones: Vec<String> = tz::db().available().map(|zone| zone.as_str().to_owned()).collect();
    let help = match nearest(text, zones.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write a name of the IANA time zone database, like `Europe/Paris`".into(),
    };
    let problem = Problem::error("`time_zone` must be a time zone").at(entry.value.place, "unknown time zone");
    decoder.report(problem.help(help));
    None
}
