//! Open, Pull, Close and EnumerationCount.

use super::world::{PROCESSORS, system, texts, world};
use crate::{
    AssociatorFilter, Batch, BatchObjects, Depth, InstanceView, OpenOptions, Operation, PullKind,
    ReferenceFilter, Response,
};
use cim_model::{CimError, CimStatus};

fn open(class: &'static str, options: OpenOptions) -> Operation {
    Operation::OpenEnumerateInstances {
        class: class.into(),
        depth: Depth::Deep,
        view: InstanceView::default(),
        open: options,
    }
}

fn up_to(max_objects: u32) -> OpenOptions {
    OpenOptions {
        max_objects,
        ..OpenOptions::default()
    }
}

fn pull(context: &str, max_objects: u32) -> Operation {
    Operation::Pull {
        kind: PullKind::InstancesWithPath,
        context: context.to_string(),
        max_objects,
    }
}

fn batch(response: Result<Response, CimError>) -> Batch {
    match response.unwrap() {
        Response::Batch(batch) => batch,
        _ => panic!("not a batch"),
    }
}

fn count(batch: &Batch) -> usize {
    match &batch.objects {
        BatchObjects::InstancesWithPath(found) | BatchObjects::Instances(found) => found.len(),
        BatchObjects::Paths(found) => found.len(),
    }
}

#[test]
fn an_enumeration_is_pulled_to_its_end() {
    let world = world();
    let first = batch(world.run(open("CIM_ComputerSystem", up_to(3))));
    assert_eq!(count(&first), 3);
    let context = first.context.unwrap();
    let last = batch(world.run(pull(&context, 3)));
    assert_eq!((count(&last), last.context), (1, None));
    assert_eq!(
        world.status(pull(&context, 3)),
        CimStatus::InvalidEnumerationContext
    );
    let all = batch(world.run(open("CIM_ComputerSystem", up_to(4))));
    assert_eq!((count(&all), all.context), (4, None));
}

#[test]
fn opening_for_no_objects_keeps_the_enumeration_open() {
    let world = world();
    let first = batch(world.run(open("CIM_LogicalPort", up_to(0))));
    assert_eq!(count(&first), 0);
    let context = first.context.unwrap();
    assert!(batch(world.run(pull(&context, 0))).context.is_some());
    assert_eq!(batch(world.run(pull(&context, 1))).context, None);
}

#[test]
fn large_pulls_are_cut_and_lazy() {
    let world = world();
    let first = batch(world.run(open("CIM_Processor", up_to(10))));
    assert!(world.processors.made.get() <= 12);
    let context = first.context.unwrap();
    assert_eq!(count(&batch(world.run(pull(&context, u32::MAX)))), 250);
    let mut total = 260;
    loop {
        let next = batch(world.run(pull(&context, 1_000)));
        total += count(&next);
        if next.context.is_none() {
            break;
        }
    }
    assert_eq!(total, PROCESSORS);
}

#[test]
fn contexts_time_out_and_are_bound() {
    let world = world();
    let options = OpenOptions {
        timeout: Some(10),
        ..up_to(1)
    };
    let context = batch(world.run(open("CIM_ComputerSystem", options)))
        .context
        .unwrap();
    world.now.set(9);
    assert!(world.run(pull(&context, 1)).is_ok());
    world.now.set(18);
    let elsewhere = world.run_in("interop", pull(&context, 1)).err().unwrap();
    assert_eq!(elsewhere.status, CimStatus::InvalidEnumerationContext);
    let wrong = Operation::Pull {
        kind: PullKind::Paths,
        context: context.clone(),
        max_objects: 1,
    };
    assert_eq!(world.status(wrong), CimStatus::InvalidParameter);
    world.now.set(19);
    assert_eq!(
        world.status(pull(&context, 1)),
        CimStatus::InvalidEnumerationContext
    );
    let bad = |timeout| {
        open(
            "CIM_ComputerSystem",
            OpenOptions {
                timeout: Some(timeout),
                ..up_to(1)
            },
        )
    };
    assert_eq!(world.status(bad(0)), CimStatus::InvalidOperationTimeout);
    assert_eq!(
        world.status(bad(100_000)),
        CimStatus::InvalidOperationTimeout
    );
    let going_on = OpenOptions {
        continue_on_error: true,
        ..up_to(1)
    };
    let going_on = open("CIM_ComputerSystem", going_on);
    assert_eq!(
        world.status(going_on),
        CimStatus::ContinuationOnErrorNotSupported
    );
}

#[test]
fn enumerations_can_be_closed_and_are_limited() {
    let world = world();
    let context = batch(world.run(open("CIM_ComputerSystem", up_to(0))))
        .context
        .unwrap();
    world.void(Operation::CloseEnumeration {
        context: context.clone(),
    });
    let again = Operation::CloseEnumeration {
        context: context.clone(),
    };
    assert_eq!(world.status(again), CimStatus::InvalidEnumerationContext);
    let count = Operation::EnumerationCount { context };
    assert_eq!(world.status(count), CimStatus::InvalidEnumerationContext);
    for _ in 0..128 {
        batch(world.run(open("CIM_ComputerSystem", up_to(0))));
    }
    assert_eq!(
        world.status(open("CIM_ComputerSystem", up_to(0))),
        CimStatus::ServerLimitsExceeded
    );
    // Another account still has room.
    let other = crate::Caller {
        user: "other".into(),
        ..world.caller()
    };
    let request = crate::Request {
        namespace: super::world::cimv2(),
        operation: open("CIM_ComputerSystem", up_to(0)),
    };
    assert!(world.operations.execute(&other, request).is_ok());
    world.now.set(1_000);
    assert!(world.run(open("CIM_ComputerSystem", up_to(0))).is_ok());
}

#[test]
fn few_remaining_objects_are_counted() {
    let world = world();
    let opened = batch(world.run(open("CIM_ComputerSystem", up_to(1))));
    let context = opened.context.unwrap();
    let count = |context: &str| {
        let context = context.to_string();
        world.run(Operation::EnumerationCount { context })
    };
    for _ in 0..2 {
        assert!(matches!(count(&context), Ok(Response::Count(3))));
    }
    let pull = Operation::Pull {
        kind: PullKind::InstancesWithPath,
        context: context.clone(),
        max_objects: 2,
    };
    let BatchObjects::InstancesWithPath(pulled) = batch(world.run(pull)).objects else {
        panic!()
    };
    assert_eq!(texts(&pulled, "Name"), ["vm0", "vm1"]);
    assert!(matches!(count(&context), Ok(Response::Count(1))));
    // A hundred thousand are not made for the sake of their number.
    let made = world.processors.made.get();
    let many = batch(world.run(open("CIM_Processor", up_to(1))));
    let status = count(&many.context.unwrap()).err().unwrap().status;
    assert_eq!(status, CimStatus::NotSupported);
    assert!(world.processors.made.get() - made < 110);
    assert!(matches!(count(&context), Ok(Response::Count(1))));
}

#[test]
fn empty_pulls_do_not_go_on_for_ever() {
    let world = world();
    let context = batch(world.run(open("CIM_ComputerSystem", up_to(0))))
        .context
        .unwrap();
    for _ in 0..1_000 {
        batch(world.run(pull(&context, 0)));
    }
    assert_eq!(
        world.status(pull(&context, 0)),
        CimStatus::ServerLimitsExceeded
    );
    assert_eq!(
        world.status(pull(&context, 1)),
        CimStatus::InvalidEnumerationContext
    );
}

#[test]
fn associations_can_be_pulled() {
    let world = world();
    let filter = AssociatorFilter {
        association: Some("CIM_HostedDependency".into()),
        ..AssociatorFilter::default()
    };
    let opened = batch(world.run(Operation::OpenAssociatorInstances {
        path: system("host"),
        filter: filter.clone(),
        view: InstanceView::default(),
        open: up_to(9),
    }));
    assert_eq!((count(&opened), opened.context), (3, None));
    let opened = batch(world.run(Operation::OpenAssociatorInstancePaths {
        path: system("host"),
        filter: filter.clone(),
        open: up_to(9),
    }));
    assert!(matches!(opened.objects, BatchObjects::Paths(paths) if paths.len() == 3));
    let opened = batch(world.run(Operation::OpenReferenceInstances {
        path: system("host"),
        filter: ReferenceFilter {
            result: Some("CIM_HostedDependency".into()),
            role: None,
        },
        view: InstanceView::default(),
        open: up_to(9),
    }));
    assert_eq!(count(&opened), 3);
    let opened = batch(world.run(Operation::OpenReferenceInstancePaths {
        path: system("host"),
        filter: ReferenceFilter::default(),
        open: up_to(9),
    }));
    assert_eq!(count(&opened), 3);
    let nobody = Operation::OpenAssociatorInstancePaths {
        path: system("nobody"),
        filter,
        open: up_to(9),
    };
    assert_eq!(world.status(nobody), CimStatus::NotFound);
}

#[test]
fn filters_select_before_the_property_list_cuts() {
    let world = world();
    let filtered =
        |language: Option<&str>, filter: Option<&str>| Operation::OpenEnumerateInstances {
            class: "CIM_ComputerSystem".into(),
            depth: Depth::Deep,
            view: InstanceView {
                class_origin: false,
                properties: Some(vec!["Name".into()]),
            },
            open: OpenOptions {
                filter_language: language.map(str::to_string),
                filter: filter.map(str::to_string),
                ..up_to(9)
            },
        };
    let found = batch(world.run(filtered(
        Some("DMTF:FQL"),
        Some("EnabledState = 3 AND ANY OperationalStatus = 2"),
    )));
    let BatchObjects::InstancesWithPath(found) = found.objects else {
        panic!()
    };
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].properties.len(), 1);
    for (language, filter, status) in [
        (
            Some("DMTF:FQL"),
            Some("EnabledState ="),
            CimStatus::InvalidQuery,
        ),
        (
            Some("DMTF:FQL"),
            Some("Nonsense = 1"),
            CimStatus::InvalidQuery,
        ),
        (
            Some("DMTF:CQL"),
            Some("EnabledState = 1"),
            CimStatus::QueryLanguageNotSupported,
        ),
        (Some("DMTF:FQL"), None, CimStatus::Failed),
        (None, Some("EnabledState = 1"), CimStatus::InvalidParameter),
    ] {
        assert_eq!(
            world.status(filtered(language, filter)),
            status,
            "{filter:?}"
        );
    }
    let paths = batch(world.run(Operation::OpenEnumerateInstancePaths {
        class: "CIM_ComputerSystem".into(),
        open: OpenOptions {
            filter_language: Some("DMTF:FQL".into()),
            filter: Some("Name LIKE 'vm.*'".into()),
            ..up_to(9)
        },
    }));
    assert_eq!(count(&paths), 3);
}
