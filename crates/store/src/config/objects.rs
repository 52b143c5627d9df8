//! The objects of a center as they were written, and what changes from one set of them to another. References stay
//! references: a password that comes from the environment is looked up where it is needed, and nowhere else.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use carillon_acd::ids::Name;

use super::findings::Kind;
use super::piece::Piece;
use super::tree::Tree;
use super::yaml::{self, Node};

/// What a field shows that holds a password (Spec: SE-5).
const HIDDEN: &str = "***";

/// Between two documents.
pub const DIVIDER: &str = "---\n";
/// The same with the end of the line before.
const BETWEEN: &str = "\n---\n";

/// The tenant of all objects of this version (Spec: OB-1).
pub(super) const TENANT: &str = "default";

/// An object as it was written, without comments: its document, written in one way only. A text, because it is small. Clones
/// share it, and what reading it has brought.
#[derive(Clone)]
pub struct Object(Arc<Written>);

struct Written {
    document: Box<str>,
    /// What it says, once it was read; not when that depends on the machine.
    piece: OnceLock<Piece>,
}

/// The name of an object: `tenants/default/queues/support`; ordered by kind, then name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// What it is.
    pub kind: Kind,
    /// Its own name.
    pub name: Name,
}

/// All objects of a center.
#[derive(Clone, Debug, Default)]
pub struct Objects(pub(super) BTreeMap<ObjectName, Object>);

/// What becomes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub name: ObjectName,
    /// What.
    pub what: What,
}

/// See [`Change`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added,
    /// These fields change.
    Changed(Vec<FieldChange>),
    /// It goes.
    Removed,
}

/// A field that changes, as it is written; a password is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// `rings`, `devices[0].kind`.
    pub path: String,
    /// `None`: it was not written.
    pub before: Option<String>,
    /// `None`: it is not written any more.
    pub after: Option<String>,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.document() == other.document()
    }
}

impl Eq for Object {}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tree().flow_hidden())
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.collection() {
            None => write!(f, "tenants/{}", self.name),
            Some(collection) => write!(f, "tenants/{TENANT}/{collection}/{}", self.name),
        }
    }
}

impl Object {
    /// `kind`, `name` and `spec` in this order, so that what it is stands in the first two lines.
    fn new(document: &Tree) -> Option<(ObjectName, Self)> {
        let name = name(document.get("kind")?.as_str()?, document.get("name")?.as_str()?)?;
        let head = ["kind", "name"].map(|field| (field.to_owned(), document.get(field).and_then(Tree::as_str)));
        let head = head.into_iter().filter_map(|(field, text)| Some((field, Tree::text(text?))));
        let spec = document.get("spec").map(|spec| ("spec".to_owned(), spec.clone()));
        Some((name, Object::written(&Tree::Map(head.chain(spec).collect()).document())))
    }

    fn written(document: &str) -> Self {
        Object(Arc::new(Written { document: document.into(), piece: OnceLock::new() }))
    }

    /// What it says, if it was read before.
    pub(super) fn piece(&self) -> Option<&Piece> {
        self.0.piece.get()
    }

    /// Keeps what it says, for the next time.
    pub(super) fn remember(&self, piece: Piece) {
        // Somebody else may have read it at the same moment: the same.
        let _ = self.0.piece.set(piece);
    }

    /// As a YAML document, with everything that it holds: for where it is kept.
    pub fn document(&self) -> &str {
        &self.0.document
    }

    fn tree(&self) -> Tree {
        let document = yaml::documents(self.document(), 0).next();
        document.and_then(Result::ok).and_then(|it| Tree::of(&it)).unwrap_or(Tree::Map(Vec::new()))
    }

    /// Whether it is a clone of the other.
    pub fn is(&self, other: &Object) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether both mean the same.
    pub(super) fn means(&self, other: &Object) -> bool {
        self == other || self.tree().means(&other.tree())
    }

    /// As a YAML document that can be applied again: instead of a password it says that the stored one is meant
    /// (Spec: SE-5).
    pub fn without_secrets(&self) -> String {
        let mut document = self.tree();
        for password in passwords(&mut document).filter(|password| password.get("plain").is_some()) {
            *password = Tree::Map(vec![("stored".to_owned(), Tree::text("true"))]);
        }
        document.document()
    }
}

impl Objects {
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, by kind and name.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectName, &Object)> {
        self.0.iter()
    }

    /// Reads what [`Object::document`] gave, one document or several with [`DIVIDER`] between them.
    ///
    /// # Errors
    /// In words, when it is something else.
    pub fn read(text: &str) -> Result<Objects, String> {
        let object = |document: &str| {
            let mut lines = document.lines();
            let mut field = |name: &str| {
                let text = lines.next()?.strip_prefix(name)?.strip_prefix(": ")?;
                Some(text.trim_matches('"').to_owned())
            };
            let name = name(&field("kind")?, &field("name")?)?;
            Some((name, Object::written(document)))
        };
        let read = |document: &str| {
            let begin = || document.lines().next().unwrap_or_default().to_owned();
            object(document).ok_or_else(|| format!("{:?} begins no object", begin()))
        };
        divided(text).map(read).collect::<Result<_, _>>().map(Objects)
    }

    /// Puts others in, each in the place of the one that has its name.
    pub fn extend(&mut self, others: Objects) {
        self.0.extend(others.0);
    }

    /// Keeps those that are `wanted`.
    pub fn retain(&mut self, wanted: impl Fn(&ObjectName) -> bool) {
        self.0.retain(|name, _| wanted(name));
    }

    /// With the objects of `known` in the place of those that are written alike: what was read of them is not read again.
    #[must_use]
    pub fn sharing(mut self, known: &Objects) -> Objects {
        for (name, object) in &mut self.0 {
            if let Some(same) = known.get(name).filter(|known| *known == object) {
                *object = same.clone();
            }
        }
        self
    }

    /// One of them.
    pub fn get(&self, name: &ObjectName) -> Option<&Object> {
        self.0.get(name)
    }

    /// What has to change for these to become `after`, by kind and name.
    pub fn changes_to(&self, after: &Objects) -> Vec<Change> {
        let changed = after.0.iter().filter_map(|(name, object)| {
            let what = match self.0.get(name) {
                None => What::Added,
                Some(before) if before.means(object) => return None,
                Some(before) => What::Changed(fields(before, object)),
            };
            Some(Change { name: name.clone(), what })
        });
        let removed = self.0.keys().filter(|name| !after.0.contains_key(name));
        let removed = removed.map(|name| Change { name: name.clone(), what: What::Removed });
        let mut changes: Vec<Change> = changed.chain(removed).collect();
        changes.sort_by(|a, b| a.name.cmp(&b.name));
        changes
    }

    /// The passwords of devices, as they are written, by user name.
    pub(super) fn passwords(&self) -> HashMap<String, Tree> {
        let agents = self.0.iter().filter(|(name, _)| name.kind == Kind::Agent);
        let devices = agents.filter_map(|(_, agent)| match agent.tree().get("spec")?.get("devices")? {
            Tree::List(devices) => Some(devices.clone()),
            Tree::Text { .. } | Tree::Map(_) => None,
        });
        let password =
            |device: Tree| Some((device.get("username")?.as_str()?.to_owned(), device.get("password")?.clone()));
        devices.flatten().filter_map(password).collect()
    }
}

/// Every `password` of an object's devices.
fn passwords(document: &mut Tree) -> impl Iterator<Item = &mut Tree> {
    let devices = document.get_mut("spec").and_then(|spec| spec.get_mut("devices")).map(Tree::items_mut);
    devices.into_iter().flatten().filter_map(|device| device.get_mut("password"))
}

/// The object of a document: with the passwords that it says are stored, and with complete paths. `None` for an empty one.
pub(super) fn object(document: &Node, folder: &Path, stored: &HashMap<String, Tree>) -> Option<(ObjectName, Object)> {
    let mut document = Tree::of(document)?;
    fill_in(&mut document, stored);
    if document.get("kind").and_then(Tree::as_str) == Some("Sound")
        && let Some(file) = document.get_mut("spec").and_then(|spec| spec.get_mut("file"))
    {
        complete(file, folder);
    }
    passwords(&mut document).filter_map(|it| it.get_mut("file")).for_each(|file| complete(file, folder));
    Object::new(&document)
}

/// Makes a path complete that starts at `folder`.
fn complete(file: &mut Tree, folder: &Path) {
    if let Some(path) = file.as_str().map(|path| folder.join(path)) {
        *file = Tree::text(std::path::absolute(&path).unwrap_or(path).display().to_string());
    }
}

fn name(kind: &str, name: &str) -> Option<ObjectName> {
    let (_, kind) = Kind::ALL.into_iter().find(|(word, _)| *word == kind)?;
    Some(ObjectName { kind, name: name.parse().ok()? })
}

/// Divides documents. A divider is a line of its own, which no value is: values with several lines are written on one.
fn divided(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text).filter(|text| !text.is_empty());
    std::iter::from_fn(move || {
        let text = rest.take()?;
        match text.find(BETWEEN) {
            Some(at) => {
                rest = Some(&text[at + BETWEEN.len()..]);
                Some(&text[..=at])
            }
            None => Some(text),
        }
    })
}

/// Puts the passwords in that are meant by `stored: true`.
fn fill_in(document: &mut Tree, stored: &HashMap<String, Tree>) {
    let devices = document.get_mut("spec").and_then(|spec| spec.get_mut("devices")).map(Tree::items_mut);
    for device in devices.into_iter().flatten() {
        let username = device.get("username").and_then(Tree::as_str).map(str::to_owned);
        let known = username.and_then(|username| stored.get(&username));
        if let (Some(known), Some(password)) = (known, device.get_mut("password"))
            && password.get("stored").is_some()
        {
            *password = known.clone();
        }
    }
}

fn fields(before: &Object, after: &Object) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let spec = |object: &Object| object.tree().get("spec").cloned();
    differ("", spec(before).as_ref(), spec(after).as_ref(), &mut changes);
    changes
}

fn differ(path: &str, before: Option<&Tree>, after: Option<&Tree>, changes: &mut Vec<FieldChange>) {
    match (before, after) {
        (Some(before), Some(after)) if before.means(after) => {}
        (Some(Tree::Map(old)), Some(Tree::Map(new))) => {
            let dot = if path.is_empty() { "" } else { "." };
            let gone = old.iter().filter(|(name, _)| new.iter().all(|(kept, _)| kept != name));
            for (name, value) in new {
                let was = old.iter().find(|(known, _)| known == name).map(|(_, value)| value);
                differ(&format!("{path}{dot}{name}"), was, Some(value), changes);
            }
            for (name, value) in gone {
                differ(&format!("{path}{dot}{name}"), Some(value), None, changes);
            }
        }
        (Some(Tree::List(old)), Some(Tree::List(new)))
            if old.len() == new.len() && old.iter().chain(new).all(|item| matches!(item, Tree::Map(_))) =>
        {
            for (n, (old, new)) in old.iter().zip(new).enumerate() {
                differ(&format!("{path}[{n}]"), Some(old), Some(new), changes);
            }
        }
        (before, after) => {
            let secret = path.ends_with("password.plain");
            let shown = |tree: &Tree| if secret { HIDDEN.to_owned() } else { tree.flow_hidden() };
            let (before, after) = (before.map(shown), after.map(shown));
            changes.push(FieldChange { path: path.to_owned(), before, after });
        }
    }
}

impl Tree {
    /// On one line, without passwords.
    fn flow_hidden(&self) -> String {
        self.hidden(false).flow()
    }

    fn hidden(&self, secret: bool) -> Tree {
        match self {
            Tree::Text { .. } if secret => Tree::text(HIDDEN),
            Tree::Text { .. } => self.clone(),
            Tree::List(items) => Tree::List(items.iter().map(|item| item.hidden(secret)).collect()),
            Tree::Map(fields) => {
                let field = |(name, value): &(String, Tree)| (name.clone(), value.hidden(name == "plain"));
                Tree::Map(fields.iter().map(field).collect())
            }
        }
    }
}
