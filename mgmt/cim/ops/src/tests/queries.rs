//! ExecQuery and OpenQueryInstances.

use super::world::{instances, texts, world};
use crate::{BatchObjects, OpenOptions, Operation, PullKind, Response};
use cim_model::CimStatus;

fn exec(language: &str, query: &str) -> Operation {
    Operation::ExecQuery {
        language: language.to_string(),
        query: query.to_string(),
    }
}

fn open(language: Option<&str>, query: Option<&str>) -> Operation {
    Operation::OpenQueryInstances {
        open: OpenOptions {
            filter_language: language.map(str::to_string),
            filter: query.map(str::to_string),
            max_objects: 1,
            ..OpenOptions::default()
        },
        result_class: true,
    }
}

#[test]
fn queries_select_and_project() {
    let world = world();
    let query = "SELECT Name FROM CIM_System WHERE EnabledState = CIM_ComputerSystem.EnabledState#'Enabled' AND Name LIKE 'vm.'";
    let rows = instances(world.run(exec("DMTF:CQL", query)));
    assert_eq!(texts(&rows, "Name"), ["vm0", "vm2"]);
    assert_eq!(rows[0].properties.len(), 1);
    let rows = instances(world.run(exec(
        "WQL",
        "SELECT * FROM CIM_ComputerSystem WHERE Name = \"host\"",
    )));
    assert_eq!(rows.len(), 1);
    assert!(rows[0].path.is_some());
}

#[test]
fn bad_queries_are_told_apart() {
    let world = world();
    for (language, query, status) in [
        (
            "SQL",
            "SELECT * FROM CIM_System",
            CimStatus::QueryLanguageNotSupported,
        ),
        (
            "DMTF:FQL",
            "Name = 'x'",
            CimStatus::QueryLanguageNotSupported,
        ),
        (
            "DMTF:CQL",
            "SELECT * FRM CIM_System",
            CimStatus::InvalidQuery,
        ),
        (
            "DMTF:CQL",
            "SELECT * FROM CIM_Nothing",
            CimStatus::InvalidQuery,
        ),
        (
            "DMTF:CQL",
            "SELECT DISTINCT Name FROM CIM_System",
            CimStatus::QueryFeatureNotSupported,
        ),
    ] {
        assert_eq!(world.status(exec(language, query)), status, "{query}");
        assert_eq!(
            world.status(open(Some(language), Some(query))),
            status,
            "{query}"
        );
    }
    assert_eq!(world.status(open(None, None)), CimStatus::InvalidParameter);
}

#[test]
fn queries_can_be_pulled_with_their_class() {
    let world = world();
    let Ok(Response::Batch(batch)) = world.run(open(
        Some("DMTF:CQL"),
        Some("SELECT Name FROM CIM_ComputerSystem"),
    )) else {
        panic!()
    };
    let class = batch.result_class.unwrap();
    assert_eq!(class.properties.len(), 1);
    let context = batch.context.unwrap();
    let pull = Operation::Pull {
        kind: PullKind::Instances,
        context,
        max_objects: 10,
    };
    let Ok(Response::Batch(rest)) = world.run(pull) else {
        panic!()
    };
    assert!(matches!(rest.objects, BatchObjects::Instances(rows) if rows.len() == 3));
    assert_eq!(rest.context, None);
}
