//! Compares our schema with the one that DMTF publishes.
//!
//! Opt-in, because DMTF's text is not in this repository: set `CIM_DMTF_SCHEMA` to a folder with the MOF
//! files (`CIM_*.mof` and `qualifiers*.mof` at any depth; of files with equal names the one in the last
//! folder by name counts). Without the variable the tests pass with a message.
//!
//! What is compared is what the tables serve, so this checks our MOF, the compiler and the tables at once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy.toml exempts tests, but does not see that helpers of an integration test are tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use cim_mof::schema::{self as mof, Schema, Type, Value};
use cim_mof::{ArraySize, Compiler, NoIncludes, OverrideFlavor, Propagation};
use cim_schema::{Class, Constant, Property, Qualifier};

/// Classes that we carry from an older schema whose file a copy of the current one does not contain.
const MAY_LACK: [&str; 4] = [
    "CIM_SerialPort",
    "CIM_MostCurrentSnapshotInBranch",
    "CIM_VirtualSystemMigrationService",
    "CIM_VirtualSystemMigrationCapabilities",
];

fn published() -> Option<Schema> {
    let Some(root) = std::env::var_os("CIM_DMTF_SCHEMA") else {
        println!("skipped: CIM_DMTF_SCHEMA does not name a folder with DMTF's MOF files");
        return None;
    };
    let mut files = BTreeMap::new();
    collect(Path::new(&root), &mut files);
    assert!(!files.is_empty(), "no MOF files below {}", root.display());
    let mut compiler = Compiler::new(NoIncludes);
    for path in files.values() {
        let bytes = std::fs::read(path).unwrap();
        compiler.add(
            &path.display().to_string(),
            &String::from_utf8_lossy(&bytes),
        );
    }
    match compiler.finish() {
        Ok(schema) => Some(schema),
        Err(errors) => {
            let text: Vec<_> = errors.iter().map(ToString::to_string).collect();
            panic!(
                "the published schema does not compile:\n{}",
                text.join("\n")
            );
        }
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, files);
        } else if name.ends_with(".mof")
            && (name.starts_with("CIM_") || name.starts_with("qualifiers"))
        {
            files.insert(name, path);
        }
    }
}

/// One line for every fact of a class; two classes are equal when their lines are.
#[derive(Default)]
struct Facts(Vec<String>);

impl Facts {
    fn add(&mut self, line: String) {
        self.0.push(line);
    }
}

fn flavors(overridable: bool, to_subclass: bool, translatable: bool) -> String {
    format!("overridable={overridable} tosubclass={to_subclass} translatable={translatable}")
}

fn mof_value(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Boolean(b) => b.to_string(),
        Value::Integer(i) => i.to_string(),
        Value::Real(r) => format!("{r:?}"),
        Value::Char16(unit) => format!("char {unit}"),
        Value::Text(text) => format!("{text:?}"),
        Value::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(mof_value).collect();
            format!("{{{}}}", elements.join(", "))
        }
        other => panic!("no table form: {other:?}"),
    }
}

fn table_value(value: Constant) -> String {
    use cim_model::{Scalar, Value as Model};
    let scalar = |scalar: &Scalar| match scalar {
        Scalar::Boolean(b) => b.to_string(),
        Scalar::String(text) => format!("{:?}", text.as_str()),
        Scalar::DateTime(time) => format!("{:?}", time.to_string()),
        Scalar::Char16(unit) => format!("char {unit}"),
        Scalar::Real32(r) => format!("{:?}", f64::from(*r)),
        Scalar::Real64(r) => format!("{r:?}"),
        other => other.as_integer().unwrap().to_string(),
    };
    match value.to_value() {
        Model::Null(_) => "null".into(),
        Model::Scalar(s) => scalar(&s),
        Model::Array(array) => {
            let elements: Vec<_> = array
                .items
                .iter()
                .map(|item| item.as_ref().map_or("null".into(), scalar))
                .collect();
            format!("{{{}}}", elements.join(", "))
        }
    }
}

fn mof_qualifiers(facts: &mut Facts, element: &str, list: &[mof::Qualifier]) {
    let mut lines: Vec<_> = list
        .iter()
        .filter(|q| !q.name.eq_ignore_ascii_case("Description"))
        .map(|q| {
            let flavors = flavors(
                q.flavors.overriding == OverrideFlavor::Enable,
                q.flavors.propagation == Propagation::ToSubclass,
                q.flavors.translatable,
            );
            format!(
                "{element} [{}({}) {flavors}]",
                q.name.to_lowercase(),
                mof_value(&q.value)
            )
        })
        .collect();
    lines.sort();
    lines.into_iter().for_each(|line| facts.add(line));
}

fn table_qualifiers(facts: &mut Facts, element: &str, list: impl Iterator<Item = Qualifier>) {
    let mut lines: Vec<_> = list
        .filter(|q| q.name() != "Description")
        .map(|q| {
            let of = q.flavors();
            let flavors = flavors(of.overridable, of.to_subclass, of.translatable);
            format!(
                "{element} [{}({}) {flavors}]",
                q.name().to_lowercase(),
                table_value(q.value())
            )
        })
        .collect();
    lines.sort();
    lines.into_iter().for_each(|line| facts.add(line));
}

fn mof_type(ty: &Type, array: Option<ArraySize>) -> String {
    let mut text = match ty {
        Type::Builtin(ty) => ty.keyword().to_owned(),
        Type::Reference(class) => format!("reference to {class}"),
    };
    match array {
        None => {}
        Some(ArraySize::Variable) => text.push_str("[]"),
        Some(ArraySize::Fixed(n)) => write!(text, "[{n}]").unwrap(),
    }
    text
}

fn table_type(ty: cim_model::ValueType, reference: Option<Class>, size: Option<u32>) -> String {
    let mut text = match reference {
        None => ty.ty.name().to_owned(),
        Some(class) => format!("reference to {}", class.name()),
    };
    match size {
        Some(n) => write!(text, "[{n}]").unwrap(),
        None if ty.is_array() => text.push_str("[]"),
        None => {}
    }
    text
}

fn mof_facts(schema: &Schema, class: &mof::Class) -> Vec<String> {
    let mut facts = Facts::default();
    facts.add(format!(
        "{} : {} {:?}",
        class.name,
        class.superclass.as_deref().unwrap_or("-"),
        class.kind
    ));
    mof_qualifiers(&mut facts, "class", &class.qualifiers);
    for property in &class.properties {
        let default = schema
            .lineage(&class.name)
            .filter_map(|c| {
                c.properties
                    .iter()
                    .find(|p| p.name.eq_ignore_ascii_case(&property.name))
            })
            .find_map(|p| p.default.clone())
            .unwrap_or(Value::Null);
        facts.add(format!(
            "{} {} = {}",
            mof_type(&property.ty, property.array),
            property.name,
            mof_value(&default)
        ));
        mof_qualifiers(&mut facts, &property.name, &property.qualifiers);
    }
    for method in &class.methods {
        facts.add(format!("{} {}()", method.returns, method.name));
        mof_qualifiers(&mut facts, &method.name, &method.qualifiers);
        for parameter in &method.parameters {
            facts.add(format!(
                "{}({} {})",
                method.name,
                mof_type(&parameter.ty, parameter.array),
                parameter.name
            ));
            let element = format!("{}.{}", method.name, parameter.name);
            mof_qualifiers(&mut facts, &element, &parameter.qualifiers);
        }
    }
    facts.0
}

fn table_facts(class: Class) -> Vec<String> {
    let mut facts = Facts::default();
    let kind = if class.is_association() {
        mof::ClassKind::Association
    } else if class.is_indication() {
        mof::ClassKind::Indication
    } else {
        mof::ClassKind::Class
    };
    facts.add(format!(
        "{} : {} {kind:?}",
        class.name(),
        class.superclass().map_or("-", Class::name)
    ));
    table_qualifiers(&mut facts, "class", class.local_qualifiers());
    for property in class.local_properties() {
        facts.add(format!(
            "{} {} = {}",
            table_type(
                property.value_type(),
                property.reference_class(),
                property.array_size()
            ),
            property.name(),
            table_value(property.default_value())
        ));
        table_qualifiers(&mut facts, property.name(), property.local_qualifiers());
    }
    for method in class.local_methods() {
        facts.add(format!("{} {}()", method.return_type(), method.name()));
        table_qualifiers(&mut facts, method.name(), method.local_qualifiers());
        for parameter in method.parameters() {
            facts.add(format!(
                "{}({} {})",
                method.name(),
                table_type(
                    parameter.value_type(),
                    parameter.reference_class(),
                    parameter.array_size()
                ),
                parameter.name()
            ));
            let element = format!("{}.{}", method.name(), parameter.name());
            table_qualifiers(&mut facts, &element, parameter.qualifiers());
        }
    }
    facts.0
}

#[test]
fn classes_agree_with_the_published_schema() {
    let Some(published) = published() else { return };
    let mut differences = Vec::new();
    let mut compared = 0;
    for class in cim_schema::classes().filter(|c| c.name().starts_with("CIM_")) {
        let Some(theirs) = published.class(class.name()) else {
            if !MAY_LACK.contains(&class.name()) {
                differences.push(format!("{} is not published", class.name()));
            }
            continue;
        };
        compared += 1;
        let theirs = mof_facts(&published, theirs);
        let ours = table_facts(class);
        for line in theirs.iter().filter(|line| !ours.contains(line)) {
            differences.push(format!("{} lacks: {line}", class.name()));
        }
        for line in ours.iter().filter(|line| !theirs.contains(line)) {
            differences.push(format!("{} has: {line}", class.name()));
        }
        if differences.is_empty() && ours != theirs {
            differences.push(format!("{}: other order", class.name()));
        }
    }
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
    println!("{compared} classes agree");
}

#[test]
fn inherited_keys_and_origins_agree_with_the_published_schema() {
    let Some(published) = published() else { return };
    for class in cim_schema::classes() {
        if published.class(class.name()).is_none() {
            continue;
        }
        let names: BTreeSet<_> = published
            .lineage(class.name())
            .flat_map(|c| c.properties.iter().map(|p| p.name.to_lowercase()))
            .collect();
        let ours: BTreeSet<_> = class
            .properties()
            .map(|p| p.name().to_lowercase())
            .collect();
        assert_eq!(ours, names, "properties of {}", class.name());
        for property in class.properties() {
            let origin = published
                .lineage(class.name())
                .filter(|c| {
                    c.properties
                        .iter()
                        .any(|p| p.name.eq_ignore_ascii_case(property.name()))
                })
                .last()
                .map(|c| c.name.as_str());
            assert_eq!(Some(property.class_origin().name()), origin, "{property:?}");
            let key = published.property_qualifier(class.name(), property.name(), "Key")
                == Some(&Value::Boolean(true));
            assert_eq!(Property::is_key(property), key, "{property:?}");
        }
    }
}

#[test]
fn qualifier_types_agree_with_the_published_schema() {
    let Some(published) = published() else { return };
    let theirs: BTreeSet<_> = published
        .qualifiers()
        .iter()
        .map(|q| {
            let flavors = flavors(
                q.flavors.overriding == OverrideFlavor::Enable,
                q.flavors.propagation == Propagation::ToSubclass,
                q.flavors.translatable,
            );
            let ty = mof_type(&Type::Builtin(q.ty), q.array);
            let name = q.name.to_lowercase();
            let default = mof_value(&q.default);
            format!("{ty} {name} = {default} {:#x} {flavors}", scopes(q.scopes))
        })
        .collect();
    let ours: BTreeSet<_> = cim_schema::qualifier_types()
        .map(|q| {
            let of = q.flavors();
            let flavors = flavors(of.overridable, of.to_subclass, of.translatable);
            let ty = table_type(q.value_type(), None, q.array_size());
            let name = q.name().to_lowercase();
            let default = table_value(q.default_value());
            format!("{ty} {name} = {default} {:#x} {flavors}", q.scopes().bits())
        })
        .collect();
    let differences: Vec<_> = ours.symmetric_difference(&theirs).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Scopes by the bits of the model, spelled out here so that a wrong mapping in the build shows.
fn scopes(scopes: cim_mof::Scopes) -> u8 {
    use cim_model::Scopes as Model;
    use cim_mof::Scope;
    let pairs = [
        (Scope::Class, Model::CLASS),
        (Scope::Association, Model::ASSOCIATION),
        (Scope::Reference, Model::REFERENCE),
        (Scope::Property, Model::PROPERTY),
        (Scope::Method, Model::METHOD),
        (Scope::Parameter, Model::PARAMETER),
        (Scope::Indication, Model::INDICATION),
    ];
    pairs
        .into_iter()
        .filter(|(scope, _)| scopes.contains(*scope))
        .fold(0, |bits, (_, model)| bits | model.bits())
}

/// The sentences of a description, without regard to case, blanks and punctuation.
fn sentences(text: &str) -> Vec<String> {
    text.split(['.', '\n', ';', ':', '!', '?'])
        .map(|sentence| {
            let words: Vec<_> = sentence
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .filter(|word| !word.is_empty())
                .map(str::to_lowercase)
                .collect();
            words.join(" ")
        })
        .filter(|sentence| sentence.split(' ').count() >= 3)
        .collect()
}

#[test]
fn no_sentence_of_a_description_is_published_by_dmtf() {
    let Some(published) = published() else { return };
    let mut theirs = BTreeSet::new();
    let mut take = |list: &[mof::Qualifier]| {
        if let Some(Value::Text(text)) = mof::qualifier(list, "Description") {
            theirs.extend(sentences(text));
        }
    };
    for class in published.classes() {
        take(&class.qualifiers);
        class.properties.iter().for_each(|p| take(&p.qualifiers));
        for method in &class.methods {
            take(&method.qualifiers);
            method.parameters.iter().for_each(|p| take(&p.qualifiers));
        }
    }
    assert!(theirs.len() > 1000, "only {} sentences found", theirs.len());
    let mut copied = Vec::new();
    for (element, text) in descriptions() {
        for sentence in sentences(text) {
            if theirs.contains(&sentence) {
                copied.push(format!("{element}: {sentence}"));
            }
        }
    }
    assert!(
        copied.is_empty(),
        "{} copied:\n{}",
        copied.len(),
        copied.join("\n")
    );
}

/// Every description that our classes state, with the name of the element.
fn descriptions() -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    let mut take = |element: String, mut list: Box<dyn Iterator<Item = Qualifier>>| {
        if let Some(text) = list
            .find(|q| q.name() == "Description")
            .and_then(|q| q.value().as_str())
        {
            found.push((element, text));
        }
    };
    for class in cim_schema::classes() {
        take(class.name().into(), Box::new(class.local_qualifiers()));
        for property in class.local_properties() {
            take(
                format!("{property:?}"),
                Box::new(property.local_qualifiers()),
            );
        }
        for method in class.local_methods() {
            take(format!("{method:?}"), Box::new(method.local_qualifiers()));
            for parameter in method.parameters() {
                take(
                    format!("{method:?} {}", parameter.name()),
                    Box::new(parameter.qualifiers()),
                );
            }
        }
    }
    found
}
