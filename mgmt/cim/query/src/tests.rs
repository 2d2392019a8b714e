//! Whole queries: parsing, checking against a small schema, and evaluation.

use crate::{
    ClassOracle, Feature, Filter, Language, PropertyKind, QueryError, QueryErrorKind, Row,
    SelectList, SelectQuery, Truth,
};
use cim_model::{CimStatus, CimType, ClassName, Instance, InstancePath, Scalar, Value, ValueType};

struct Schema;

const PROPERTIES: [(&str, &str, CimType, bool); 12] = [
    ("System", "Name", CimType::String, false),
    ("System", "EnabledState", CimType::Uint16, false),
    ("System", "RequestedState", CimType::Uint16, false),
    ("System", "Running", CimType::Boolean, false),
    ("System", "Since", CimType::DateTime, false),
    ("System", "Status", CimType::Uint16, true),
    ("System", "Roles", CimType::String, true),
    ("System", "Load", CimType::Real32, false),
    ("ComputerSystem", "Dedicated", CimType::Uint16, true),
    ("Hosted", "Antecedent", CimType::Reference, false),
    ("Event", "SourceInstance", CimType::String, false),
    ("Event", "PreviousInstance", CimType::String, false),
];

impl ClassOracle for Schema {
    fn class_exists(&self, class: &str) -> bool {
        PROPERTIES
            .iter()
            .any(|(known, ..)| class.eq_ignore_ascii_case(known))
    }

    fn is_a(&self, class: &str, ancestor: &str) -> bool {
        class.eq_ignore_ascii_case(ancestor)
            || class.eq_ignore_ascii_case("ComputerSystem")
                && ancestor.eq_ignore_ascii_case("System")
    }

    fn property(&self, class: &str, name: &str) -> Option<PropertyKind> {
        PROPERTIES
            .iter()
            .find(|(holder, known, ..)| {
                self.is_a(class, holder) && known.eq_ignore_ascii_case(name)
            })
            .map(|(_, known, ty, array)| PropertyKind {
                ty: if *array {
                    ValueType::array(*ty)
                } else {
                    ValueType::scalar(*ty)
                },
                embeds: known.ends_with("Instance"),
                embedded_class: None,
            })
    }

    fn mapped_value(&self, _: &str, property: &str, text: &str) -> Option<Scalar> {
        (property == "EnabledState" && text == "Enabled").then_some(Scalar::Uint16(2))
    }
}

fn system() -> Instance {
    Instance::new("ComputerSystem")
        .with("Name", "vm1")
        .with("EnabledState", 2u16)
        .with("RequestedState", Value::null(CimType::Uint16))
        .with("Running", true)
        .with(
            "Since",
            Value::from(Scalar::parse(CimType::DateTime, "20260101000000.000000+000").unwrap()),
        )
        .with("Status", vec![2u16, 5])
        .with("Roles", vec!["web", "db"])
        .with("Load", 0.5f32)
        .with_path(
            InstancePath::new("ComputerSystem")
                .with_namespace("root/cimv2")
                .with_key("Name", "vm1"),
        )
}

fn holds(instance: &Instance, language: Language, text: &str) -> Truth {
    if language == Language::Fql {
        let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        filter
            .check(instance.class.as_str(), &Schema)
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        return filter.matches(&Row::new(instance), &Schema);
    }
    let class = if instance.class == "Event" {
        "Event"
    } else {
        "System"
    };
    let text = format!("SELECT * FROM {class} WHERE {text}");
    let query =
        SelectQuery::parse(language, &text).unwrap_or_else(|error| panic!("{text}: {error}"));
    query
        .check(&Schema)
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    query.matches(&Row::new(instance), &Schema)
}

fn cql(text: &str) -> QueryError {
    match SelectQuery::parse(Language::Cql, text) {
        Err(error) => error,
        Ok(query) => query.check(&Schema).expect_err(text),
    }
}

#[test]
fn conditions_over_plain_properties() {
    let system = system();
    for text in [
        "Name = 'vm1'",
        "name <> 'vm2' AND NOT Name = \"vm3\"",
        "EnabledState = 2 OR Name = 'x'",
        "(EnabledState = 2 OR EnabledState = 3) AND Running = TRUE",
        "EnabledState >= 2 AND EnabledState < 0x10 AND EnabledState <= 10B",
        "Load > 0.25 AND Load < 1",
        "RequestedState IS NULL AND Name IS NOT NULL",
        "Since > '20250101000000.000000+000'",
        "Running",
        "NOT (Name = 'x' AND Running)",
        "2 = EnabledState",
    ] {
        for language in [Language::Cql, Language::Wql, Language::Fql] {
            assert_eq!(
                holds(&system, language, text),
                Truth::True,
                "{language:?} {text}"
            );
        }
    }
}

#[test]
fn null_makes_comparisons_unknown() {
    let system = system();
    for (text, truth) in [
        ("RequestedState = 2", Truth::Unknown),
        ("NOT RequestedState = 2", Truth::Unknown),
        ("RequestedState = 2 OR Running", Truth::True),
        ("RequestedState = 2 AND NOT Running", Truth::False),
        ("RequestedState = EnabledState", Truth::Unknown),
    ] {
        assert_eq!(holds(&system, Language::Cql, text), truth, "{text}");
    }
}

#[test]
fn arrays_by_element_and_as_a_whole() {
    let system = system();
    for (language, text, truth) in [
        (Language::Fql, "ANY Status = 5", Truth::True),
        (Language::Fql, "EVERY Status = 5", Truth::False),
        (Language::Fql, "EVERY Status > 1", Truth::True),
        (
            Language::Fql,
            "Status[0] = 2 AND Status[1] = 5",
            Truth::True,
        ),
        (Language::Fql, "Status[7] IS NULL", Truth::True),
        (Language::Fql, "ANY Roles LIKE 'd.*'", Truth::True),
        (
            Language::Cql,
            "ANY s IN Status SATISFIES (s = 5 AND s > 1)",
            Truth::True,
        ),
        (
            Language::Cql,
            "EVERY s IN System.Status SATISFIES (s = 5)",
            Truth::False,
        ),
        (Language::Cql, "Status = Status", Truth::True),
    ] {
        assert_eq!(holds(&system, language, text), truth, "{text}");
    }
}

#[test]
fn like_is_regular_in_cql_and_wildcard_in_wql() {
    let system = system();
    assert!(holds(&system, Language::Cql, "Name LIKE 'vm[0-9]+'").holds());
    assert!(!holds(&system, Language::Cql, "Name LIKE 'vm'").holds());
    assert!(holds(&system, Language::Wql, "Name LIKE 'v%'").holds());
    assert!(holds(&system, Language::Wql, "Name NOT LIKE '%x'").holds());
}

#[test]
fn functions_symbols_and_arithmetic() {
    let system = system();
    for text in [
        "EnabledState = System.EnabledState#'Enabled'",
        "OBJECTPATH() = 'root/cimv2:ComputerSystem.Name=\"vm1\"'",
        "ClassName() = 'ComputerSystem'",
        "UpperCase(Name) = 'VM1'",
        "EnabledState * 2 + 1 = 5",
        "(EnabledState + 1) * 2 = 6",
        "Name || 'x' = 'vm1x'",
        "Since < DateTime('20270101000000.000000+000')",
        "StringToUint('12') = 12",
    ] {
        assert_eq!(holds(&system, Language::Cql, text), Truth::True, "{text}");
    }
    assert!(holds(&system, Language::Wql, "__CLASS = 'ComputerSystem'").holds());
}

#[test]
fn scopes_and_isa_ask_for_the_class() {
    let computer = system();
    let plain = Instance {
        class: ClassName::from("System"),
        ..system()
    };
    assert!(holds(&computer, Language::Cql, "ISA ComputerSystem").holds());
    assert!(!holds(&plain, Language::Cql, "System ISA ComputerSystem").holds());
    assert!(holds(&computer, Language::Wql, "__THIS ISA \"ComputerSystem\"").holds());
    assert!(holds(&plain, Language::Cql, "ComputerSystem::Dedicated IS NULL").holds());
}

#[test]
fn indication_filters_look_into_embedded_instances() {
    let before = Instance {
        class: ClassName::from("System"),
        ..system()
    };
    let after = before
        .clone()
        .with("EnabledState", 3u16)
        .with("Status", vec![2u16]);
    let event = Instance::new("Event")
        .with("SourceInstance", after)
        .with("PreviousInstance", before);
    for text in [
        "SourceInstance ISA System",
        "SourceInstance.EnabledState <> PreviousInstance.EnabledState",
        "SourceInstance.System::EnabledState <> PreviousInstance.System::EnabledState",
        "SourceInstance ISA System AND SourceInstance.EnabledState = 3",
        "SourceInstance.Status <> PreviousInstance.Status",
        "ANY s IN SourceInstance.Status SATISFIES (s = 2)",
        "SourceInstance.Status[0] = 2",
        "NOT SourceInstance.Name <> PreviousInstance.Name",
    ] {
        assert_eq!(holds(&event, Language::Cql, text), Truth::True, "{text}");
    }
    assert_eq!(
        holds(&event, Language::Cql, "SourceInstance ISA ComputerSystem"),
        Truth::False
    );
    assert_eq!(
        holds(&event, Language::Wql, "SourceInstance ISA 'System'"),
        Truth::True
    );
    assert_eq!(
        holds(
            &event,
            Language::Cql,
            "SourceInstance.ComputerSystem::EnabledState = 3"
        ),
        Truth::Unknown
    );
}

#[test]
fn statements_as_clients_send_them() {
    let parse = |language, text: &str| {
        SelectQuery::parse(language, text).unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    let query = parse(Language::Cql, "SELECT * FROM CIM_ComputerSystem");
    assert_eq!((query.select, query.condition), (SelectList::All, None));
    let query = parse(
        Language::Cql,
        "select s.Name, s.Status[0] as First from System as s where s.Name = 'x';",
    );
    assert_eq!(query.alias, "s");
    assert!(matches!(query.select, SelectList::Columns(columns) if columns.len() == 2));
    let query = parse(
        Language::Wql,
        "SELECT * FROM Event WITHIN 10 WHERE SourceInstance ISA \"System\"",
    );
    assert_eq!(query.class, "Event");
    let query = parse(
        Language::Wql,
        "SELECT Name FROM System WHERE RequestedState = NULL",
    );
    assert!(query.matches(&Row::new(&system()), &Schema).holds());
    let query = parse(Language::Cql, "SELECT System.* FROM System s");
    assert_eq!(query.select, SelectList::All);
}

#[test]
fn selected_columns_become_the_row() {
    let system = system();
    let query = SelectQuery::parse(
        Language::Cql,
        "SELECT Name, System.RequestedState, Status[1] AS Second, ClassName() FROM System",
    )
    .unwrap();
    query.check(&Schema).unwrap();
    let row = query.project(&Row::new(&system), &Schema);
    let names: Vec<_> = row
        .properties
        .iter()
        .map(|property| property.name.as_str())
        .collect();
    assert_eq!(names, ["Name", "RequestedState", "Second", "ClassName"]);
    assert_eq!(
        row.get("RequestedState"),
        Some(&Value::null(CimType::Uint16))
    );
    assert_eq!(row.get("Second"), Some(&Value::from(5u16)));
    assert_eq!(row.path, system.path);
}

#[test]
fn mistakes_name_position_and_expectation() {
    for (text, message) in [
        ("", "at character 1: expected SELECT, found the end"),
        (
            "SELECT",
            "at character 7: expected a property or a value, found the end",
        ),
        (
            "SELECT * WHERE",
            "at character 10: expected \",\" or FROM, found \"WHERE\"",
        ),
        (
            "SELECT * FROM WHERE",
            "at character 15: expected a class name, found \"WHERE\"",
        ),
        (
            "SELECT * FROM System WHERE",
            "at character 27: expected a property or a value, found the end",
        ),
        (
            "SELECT * FROM System WHERE Name",
            "at character 28: a value that is not boolean needs a comparison",
        ),
        (
            "SELECT * FROM System WHERE Name = ",
            "at character 35: expected a property or a value, found the end",
        ),
        (
            "SELECT * FROM System WHERE Name = 'x' 5",
            "at character 39: expected AND, OR or the end, found the number 5",
        ),
        (
            "SELECT * FROM System WHERE (Name = 'x'",
            "at character 39: expected AND, OR or \")\", found the end",
        ),
        (
            "SELECT * FROM System s t",
            "at character 24: expected WHERE or the end, found \"t\"",
        ),
        (
            "SELECT * FROM System WHERE Name IS 5",
            "at character 36: expected NULL, found the number 5",
        ),
        (
            "SELECT * FROM System WHERE Name LIKE 5",
            "at character 38: expected a pattern in quotes, found the number 5",
        ),
        (
            "SELECT * FROM System WHERE Name LIKE 'a('",
            "at character 38: in the LIKE pattern: a group is not closed",
        ),
        (
            "SELECT * FROM System WHERE Status[x] = 1",
            "at character 35: expected the number of an array element, found \"x\"",
        ),
        (
            "SELECT * FROM System WHERE Name = NULL",
            "at character 35: NULL is tested with IS NULL, not compared",
        ),
        (
            "SELECT * FROM Nothing",
            "at character 15: there is no class Nothing",
        ),
        (
            "SELECT * FROM System WHERE Nmae = 'x'",
            "at character 28: there is no property Nmae",
        ),
        (
            "SELECT * FROM System WHERE EnabledState = 'on'",
            "at character 28: values of these two types cannot be compared",
        ),
        (
            "SELECT * FROM System WHERE Name[0] = 'x'",
            "at character 28: only an array has elements",
        ),
        (
            "SELECT * FROM System WHERE System ISA Nothing",
            "at character 28: there is no class Nothing",
        ),
    ] {
        let error = cql(text);
        assert_eq!(error.to_string(), message, "{text}");
        assert_eq!(error.status(), CimStatus::InvalidQuery);
    }
}

#[test]
fn features_left_out_are_named_as_such() {
    for (text, feature) in [
        (
            "SELECT DISTINCT Name FROM System",
            Feature::ResultSetOperations,
        ),
        (
            "SELECT * FROM System ORDER BY Name",
            Feature::ResultSetOperations,
        ),
        ("SELECT * FROM System FIRST 5", Feature::ResultSetOperations),
        ("SELECT COUNT(*) FROM System", Feature::Aggregation),
        ("SELECT * FROM System, Event", Feature::Join),
        ("SELECT * FROM (SELECT * FROM System) s", Feature::Subquery),
        (
            "SELECT * FROM System WHERE (SELECT * FROM Event) = 1",
            Feature::Subquery,
        ),
        (
            "SELECT * FROM 'root/other:System'",
            Feature::ForeignNamespace,
        ),
        (
            "SELECT * FROM System WHERE Magic(Name) = 1",
            Feature::Function,
        ),
        (
            "SELECT * FROM Hosted WHERE Antecedent.Name = 'x'",
            Feature::ReferenceTraversal,
        ),
    ] {
        let error = cql(text);
        assert_eq!(error.kind, QueryErrorKind::Unsupported(feature), "{text}");
        assert_eq!(error.status(), CimStatus::QueryFeatureNotSupported);
    }
}

#[test]
fn sizes_and_depths_are_bounded() {
    let deep = |open: &str, close: &str, count: usize| {
        format!(
            "SELECT * FROM System WHERE {}Running{}",
            open.repeat(count),
            close.repeat(count)
        )
    };
    assert!(SelectQuery::parse(Language::Cql, &deep("(", ")", 40)).is_ok());
    for text in [
        deep("(", ")", 5_000),
        deep("(", "", 16_000),
        deep("NOT ", "", 4_000),
        deep("(", ") = 1", 1_000),
        deep("1 + ", "", 4_000),
        deep("UpperCase(", "", 1_000),
        deep("Name.", "", 3_000),
        deep("Running AND ", "", 2_000),
    ] {
        let error = SelectQuery::parse(Language::Cql, &text).err();
        let allowed = matches!(
            error.as_ref().map(|error| &error.kind),
            None | Some(QueryErrorKind::Limit(_) | QueryErrorKind::Syntax { .. })
        );
        assert!(allowed, "{error:?}");
    }
}

#[test]
fn prefixes_of_queries_never_panic() {
    let query = "SELECT a.Name, b[0] AS c FROM System a WHERE NOT (x.S::y[1] >= -1.5e3 OR ANY z IN q SATISFIES \
                 (z LIKE 'a.*')) AND UpperCase('ä') <> \"b\" AND p IS NOT NULL";
    for language in [Language::Cql, Language::Wql] {
        assert!(SelectQuery::parse(language, query).is_ok());
        for (end, _) in query.char_indices() {
            let _ = SelectQuery::parse(language, &query[..end]);
            let _ = Filter::parse(&query[end..]);
        }
    }
}
