//! Filters, destinations, subscriptions, matching and delivery.

use super::world::{World, interop_world, system};
use crate::indications::{Delivery, IndicationSettings};
use crate::{Depth, InstanceView, Operation, Response};
use cim_model::{CimStatus, Instance, InstancePath, Value};
use std::time::Duration;

pub(super) fn create(world: &World, instance: Instance) -> Result<InstancePath, CimStatus> {
    match world.run_in("interop", Operation::CreateInstance { instance }) {
        Ok(Response::InstanceName(path)) => Ok(*path),
        Ok(_) => panic!("not a path"),
        Err(error) => Err(error.status),
    }
}

pub(super) fn filter(query: &'static str) -> Instance {
    Instance::new("CIM_IndicationFilter")
        .with("Name", "f")
        .with("Query", query)
        .with("QueryLanguage", "DMTF:CQL")
        .with("SourceNamespaces", vec!["root/cimv2"])
}

pub(super) fn destination(url: &'static str) -> Instance {
    Instance::new("CIM_ListenerDestinationCIMXML")
        .with("Name", "d")
        .with("Destination", url)
}

/// A world with one subscription.
pub(super) fn subscribed(query: &'static str, policy: u16) -> (World, InstancePath) {
    let world = interop_world();
    let filter = create(&world, filter(query)).unwrap();
    let handler = create(&world, destination("http://127.0.0.1:5990/x")).unwrap();
    let subscription = Instance::new("CIM_IndicationSubscription")
        .with("Filter", filter)
        .with("Handler", handler)
        .with("OnFatalErrorPolicy", policy);
    let path = create(&world, subscription).unwrap();
    world.pump();
    (world, path)
}

pub(super) fn set_state(world: &World, name: &str, state: u16) {
    world.void(Operation::ModifyInstance {
        instance: Instance::new("CIM_ComputerSystem")
            .with("EnabledState", state)
            .with_path(system(name)),
        properties: None,
    });
    world.pump();
}

pub(super) fn due(world: &World) -> Option<Delivery> {
    world
        .indications
        .as_ref()
        .unwrap()
        .next_delivery(Duration::from_secs(world.now.get()))
}

pub(super) fn report(world: &World, delivery: &Delivery, confirmed: bool) {
    let now = Duration::from_secs(world.now.get());
    world
        .indications
        .as_ref()
        .unwrap()
        .delivered(delivery.id, confirmed, now)
        .unwrap();
    world.pump();
}

pub(super) const CHANGES: &str = "SELECT * FROM CIM_InstModification WHERE SourceInstance ISA CIM_ComputerSystem AND \
                       SourceInstance.CIM_ComputerSystem::EnabledState <> \
                       PreviousInstance.CIM_ComputerSystem::EnabledState";

#[test]
fn changes_become_numbered_deliveries() {
    let (world, _) = subscribed(CHANGES, 2);
    set_state(&world, "vm0", 2);
    assert_eq!(due(&world), None, "nothing has changed");
    set_state(&world, "vm0", 3);
    set_state(&world, "vm1", 2);
    let first = due(&world).unwrap();
    assert_eq!(first.url.as_str(), "http://127.0.0.1:5990/x");
    assert_eq!(due(&world), None, "one at a time keeps the order");
    assert_eq!(first.indication.class.as_str(), "CIM_InstModification");
    let source = first
        .indication
        .get("SourceInstance")
        .and_then(Value::as_instance)
        .unwrap();
    assert_eq!(source.get("EnabledState").and_then(Value::as_u64), Some(3));
    assert_eq!(
        first
            .indication
            .get("SequenceNumber")
            .and_then(Value::as_i64),
        Some(0)
    );
    assert_eq!(
        first
            .indication
            .get("IndicationFilterName")
            .and_then(Value::as_str),
        Some("f")
    );
    assert_eq!(
        first
            .indication
            .get("ChangedPropertyNames")
            .and_then(Value::as_array)
            .map(<[_]>::len),
        Some(1)
    );
    report(&world, &first, true);
    let second = due(&world).unwrap();
    assert_eq!(
        second
            .indication
            .get("SequenceNumber")
            .and_then(Value::as_i64),
        Some(1)
    );
    assert_eq!(
        first.indication.get("SequenceContext"),
        second.indication.get("SequenceContext"),
    );
}

#[test]
fn creations_and_deletions_are_told_apart() {
    let (world, _) = subscribed(
        "SELECT * FROM CIM_InstIndication WHERE SourceInstance.Name = 'new'",
        2,
    );
    let instance = Instance::new("CIM_ComputerSystem").with("Name", "new");
    assert!(world.run(Operation::CreateInstance { instance }).is_ok());
    world.void(Operation::DeleteInstance {
        path: system("new"),
    });
    world.void(Operation::DeleteInstance {
        path: system("vm2"),
    });
    world.pump();
    let created = due(&world).unwrap();
    assert_eq!(created.indication.class.as_str(), "CIM_InstCreation");
    report(&world, &created, true);
    let deleted = due(&world).unwrap();
    assert_eq!(deleted.indication.class.as_str(), "CIM_InstDeletion");
    report(&world, &deleted, true);
    assert_eq!(due(&world), None);
}

#[test]
fn failed_deliveries_are_retried_and_then_given_up() {
    let (world, path) = subscribed(CHANGES, 3);
    set_state(&world, "vm0", 3);
    let settings = IndicationSettings::default();
    for attempt in 0..=settings.retry_attempts {
        let delivery = due(&world).unwrap_or_else(|| panic!("attempt {attempt}"));
        assert_eq!(
            delivery
                .indication
                .get("SequenceNumber")
                .and_then(Value::as_i64),
            Some(0)
        );
        report(&world, &delivery, false);
        assert_eq!(due(&world), None, "the retry interval must pass");
        world.now.set(world.now.get() + 30);
    }
    assert_eq!(due(&world), None);
    let get = Operation::GetInstance {
        path,
        view: InstanceView::default(),
    };
    let Ok(Response::Instance(subscription)) = world.run_in("interop", get) else {
        panic!()
    };
    assert_eq!(
        subscription
            .get("SubscriptionState")
            .and_then(Value::as_u64),
        Some(4),
        "disabled"
    );
    set_state(&world, "vm0", 2);
    assert_eq!(due(&world), None);
}

#[test]
fn the_remove_policy_removes_the_subscription() {
    let (world, path) = subscribed(CHANGES, 4);
    set_state(&world, "vm0", 3);
    while let Some(delivery) = due(&world) {
        report(&world, &delivery, false);
        world.now.set(world.now.get() + 30);
    }
    let get = Operation::GetInstance {
        path,
        view: InstanceView::default(),
    };
    assert_eq!(
        world.run_in("interop", get).err().unwrap().status,
        CimStatus::NotFound
    );
}

#[test]
fn bad_filters_and_destinations_are_refused() {
    let world = interop_world();
    for query in [
        "SELECT * FROM",
        "SELECT * FROM CIM_Nothing",
        "SELECT * FROM CIM_ComputerSystem",
        "SELECT * FROM CIM_InstCreation WHERE Nonsense = 1",
    ] {
        assert_eq!(
            create(&world, filter(query)),
            Err(CimStatus::InvalidParameter),
            "{query}"
        );
    }
    let odd = filter("SELECT * FROM CIM_InstCreation").with("QueryLanguage", "SQL");
    assert_eq!(create(&world, odd), Err(CimStatus::InvalidParameter));
    let odd = filter("SELECT * FROM CIM_InstCreation").with("SourceNamespaces", vec!["root/none"]);
    assert_eq!(create(&world, odd), Err(CimStatus::InvalidParameter));
    for url in [
        "",
        "https://h/",
        "http://",
        "http://:80",
        "http://h:99999/",
        "http://u@h/",
        "http://h/\u{e4}",
    ] {
        assert_eq!(
            create(&world, destination(url)),
            Err(CimStatus::InvalidParameter),
            "{url}"
        );
    }
    assert!(create(&world, destination("http://[::1]:5990/")).is_ok());
    assert_eq!(
        create(&world, destination("http://127.0.0.1/")),
        Err(CimStatus::AlreadyExists)
    );
}

#[test]
fn subscriptions_protect_what_they_refer_to() {
    let (world, path) = subscribed(CHANGES, 2);
    let Some(filter) = path
        .key("Filter")
        .and_then(|key| key.as_instance_path())
        .cloned()
    else {
        panic!()
    };
    let delete = |path: InstancePath| world.run_in("interop", Operation::DeleteInstance { path });
    assert_eq!(
        delete(filter.clone()).err().unwrap().status,
        CimStatus::Failed
    );
    let dangling = Instance::new("CIM_IndicationSubscription")
        .with("Filter", filter.clone().with_key("Name", "none"))
        .with("Handler", filter.clone());
    assert_eq!(create(&world, dangling), Err(CimStatus::InvalidParameter));
    assert!(delete(path).is_ok());
    assert!(delete(filter).is_ok());
    let rest = Operation::EnumerateInstances {
        class: "CIM_AbstractIndicationSubscription".into(),
        depth: Depth::Deep,
        view: InstanceView::default(),
    };
    assert!(super::world::instances(world.run_in("interop", rest)).is_empty());
}

#[test]
fn a_destination_shows_its_subscriptions() {
    let (world, path) = subscribed(CHANGES, 2);
    let Some(handler) = path
        .key("Handler")
        .and_then(|key| key.as_instance_path())
        .cloned()
    else {
        panic!()
    };
    let operation = Operation::References {
        object: handler.into(),
        filter: crate::ReferenceFilter {
            result: Some("CIM_IndicationSubscription".into()),
            role: None,
        },
        view: InstanceView::default(),
    };
    assert_eq!(
        super::world::instances(world.run_in("interop", operation)).len(),
        1
    );
}
