//! The configuration objects for `carillon get`: those kinds that have no state of their own, and every kind as YAML that
//! can be applied again.

use std::io::Write;

use carillon_rpc::v1;
use carillon_rpc::v1::config_service_client::ConfigServiceClient;
use comfy_table::Table;
use serde_json::Value;
use tonic::transport::Channel;

use super::api::{Api, MOST_BYTES, said};
use super::output;

/// The largest page that the server gives.
const PAGE: u32 = 1000;

/// A kind of object, as it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// In its document; empty for all kinds.
    pub(super) kind: &'static str,
    /// In its resource name; empty for tenants.
    pub(super) collection: &'static str,
    /// Columns of a table: the header, and the fields of which the first that is there is shown.
    columns: &'static [(&'static str, &'static [&'static str])],
}

/// Objects whose live state is shown otherwise.
pub(super) const AGENTS: Shown = Shown { kind: "Agent", collection: "agents", columns: &[] };
/// As [`AGENTS`].
pub(super) const QUEUES: Shown = Shown { kind: "Queue", collection: "queues", columns: &[] };
/// Everything at once.
pub(super) const ALL: Shown = Shown { kind: "", collection: "", columns: &[("KIND", &["kind"])] };
/// Phone numbers that are answered.
pub(super) const NUMBERS: Shown = Shown {
    kind: "Number",
    collection: "numbers",
    columns: &[
        ("PHONE", &["number"]),
        ("TRUNK", &["trunk"]),
        ("LEADS TO", &["queue", "agent"]),
        ("GREETING", &["greeting"]),
    ],
};
/// SIP connections.
pub(super) const TRUNKS: Shown = Shown {
    kind: "Trunk",
    collection: "trunks",
    columns: &[("CONNECTION", &["connection"]), ("PEERS", &["peers"]), ("OUTBOUND", &["outbound"])],
};
/// Sounds.
pub(super) const SOUNDS: Shown = Shown { kind: "Sound", collection: "sounds", columns: &[("FILE", &["file"])] };
/// Companies.
pub(super) const TENANTS: Shown = Shown {
    kind: "Tenant",
    collection: "",
    columns: &[("DISPLAY NAME", &["display_name"]), ("TIME ZONE", &["time_zone"])],
};

/// The objects of a kind, or the one of this name.
pub(super) async fn objects(
    channel: Channel,
    api: &Api,
    shown: Shown,
    name: Option<&str>,
) -> anyhow::Result<Vec<v1::ConfigObject>> {
    let mut client = ConfigServiceClient::new(channel).max_decoding_message_size(MOST_BYTES);
    if let Some(name) = name {
        let name = match shown.collection {
            "" if !name.contains('/') => format!("tenants/{name}"),
            collection => api.name(collection, name),
        };
        let answer = client.get_object(v1::GetObjectRequest { name }).await.map_err(said)?.into_inner();
        return Ok(answer.object.into_iter().collect());
    }
    let (mut objects, mut page_token) = (Vec::new(), String::new());
    loop {
        let (parent, kind) = (api.parent(), shown.kind.to_owned());
        let request = v1::ListObjectsRequest { parent, kind, page_size: PAGE, page_token };
        let page = client.list_objects(request).await.map_err(said)?.into_inner();
        objects.extend(page.objects);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(objects);
        }
    }
}

/// As documents that can be applied again.
pub(super) fn write_yaml(out: &mut impl Write, objects: &[v1::ConfigObject]) -> anyhow::Result<()> {
    for (n, object) in objects.iter().enumerate() {
        write!(out, "{}{}", if n > 0 { "---\n" } else { "" }, object.yaml)?;
    }
    Ok(())
}

/// As values, each with its whole name.
pub(super) fn values(objects: &[v1::ConfigObject]) -> anyhow::Result<Vec<Value>> {
    let value = |object: &v1::ConfigObject| {
        let mut value: Value = serde_saphyr::from_str(&object.yaml)?;
        value["name"] = object.name.clone().into();
        Ok(value)
    };
    objects.iter().map(value).collect()
}

/// As a table.
pub(super) fn table(api: &Api, shown: Shown, objects: &[v1::ConfigObject]) -> anyhow::Result<Table> {
    let header: Vec<&str> = std::iter::once("NAME").chain(shown.columns.iter().map(|(header, _)| *header)).collect();
    let mut table = output::table(&header);
    for (object, value) in objects.iter().zip(values(objects)?) {
        let field = |name: &str| value["spec"].get(name).or_else(|| value.get(name)).map(cell);
        let cells =
            shown.columns.iter().map(|(_, fields)| fields.iter().find_map(|name| field(name)).unwrap_or_default());
        let short = if shown.collection.is_empty() { &object.name } else { api.short(&object.name) };
        output::add(&mut table, std::iter::once(short.to_owned()).chain(cells));
    }
    Ok(table)
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::api;

    fn number() -> v1::ConfigObject {
        v1::ConfigObject {
            name: "tenants/default/numbers/main".into(),
            kind: "Number".into(),
            yaml: "kind: Number\nname: main\nspec:\n  number: \"+33123456789\"\n  trunk: carrier\n  agent: anna\n"
                .into(),
        }
    }

    #[test]
    fn objects_are_shown_as_a_table_and_as_values() {
        let table = table(&api::of_tenant("default"), NUMBERS, &[number()]).unwrap().trim_fmt();
        assert_eq!(table, "NAME  PHONE         TRUNK    LEADS TO  GREETING\nmain  +33123456789  carrier  anna");
        let values = values(&[number()]).unwrap();
        assert_eq!((&values[0]["name"], &values[0]["spec"]["agent"]), (&number().name.into(), &"anna".into()));
        let mut out = Vec::new();
        write_yaml(&mut out, &[number(), number()]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!("{0}---\n{0}", number().yaml));
    }
}
