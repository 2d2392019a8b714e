//! What the Indications profile has besides filters and deliveries: the service's host, capabilities and
//! settings, static filters and their collection, and how long subscriptions last.

use super::indications::{
    CHANGES, create, destination, due, filter, report, set_state, subscribed,
};
use super::world::{World, instances, interop_world, texts};
use crate::indications::{self, IndicationSettings};
use crate::interop::{self, Identity};
use crate::{
    AssociatorFilter, Builder, Depth, InstanceView, MemoryStore, Operation, Operations, Record,
    RecordKey, Request, Response, Settings, Store, StoreError,
};
use cim_model::{CimStatus, Instance, InstancePath, Value};
use std::cell::RefCell;
use std::rc::Rc;

fn all(world: &World, class: &'static str) -> Vec<Instance> {
    instances(world.run_in(
        "interop",
        Operation::EnumerateInstances {
            class: class.into(),
            depth: Depth::Deep,
            view: InstanceView::default(),
        },
    ))
}

fn only(world: &World, class: &'static str) -> Instance {
    let mut found = all(world, class);
    assert_eq!(found.len(), 1, "{class}");
    found.remove(0)
}

fn get(world: &World, path: &InstancePath) -> Result<Instance, CimStatus> {
    let operation = Operation::GetInstance {
        path: path.clone(),
        view: InstanceView::default(),
    };
    match world.run_in("interop", operation) {
        Ok(Response::Instance(instance)) => Ok(*instance),
        Ok(_) => panic!("not an instance"),
        Err(error) => Err(error.status),
    }
}

fn modify(world: &World, path: &InstancePath, change: Instance) -> Result<(), CimStatus> {
    let operation = Operation::ModifyInstance {
        instance: change.with_path(path.clone()),
        properties: None,
    };
    let result = world.run_in("interop", operation);
    world.pump();
    result.map(drop).map_err(|error| error.status)
}

fn delete(world: &World, path: &InstancePath) -> Result<(), CimStatus> {
    let operation = Operation::DeleteInstance { path: path.clone() };
    let result = world.run_in("interop", operation);
    result.map(drop).map_err(|error| error.status)
}

fn associated(world: &World, from: &InstancePath, association: &'static str) -> Vec<Instance> {
    let operation = Operation::Associators {
        object: from.clone().into(),
        filter: AssociatorFilter {
            association: Some(association.into()),
            ..AssociatorFilter::default()
        },
        view: InstanceView::default(),
    };
    instances(world.run_in("interop", operation))
}

fn path(instance: &Instance) -> InstancePath {
    instance.path.clone().unwrap()
}

fn number(instance: &Instance, name: &str) -> Option<u64> {
    instance.get(name).and_then(Value::as_u64)
}

#[test]
fn the_service_has_a_host_capabilities_and_settings() {
    let world = interop_world();
    let service = path(&only(&world, "CIM_IndicationService"));
    let hosts = associated(&world, &service, "CIM_HostedService");
    assert_eq!(texts(&hosts, "Name"), ["test-system"]);
    let hosted = associated(&world, &path(&hosts[0]), "CIM_HostedDependency");
    assert_eq!(
        texts(&hosted, "CreationClassName"),
        [
            "CIM_ObjectManager",
            "CIM_WBEMServer",
            "CIM_CIMXMLCommunicationMechanism",
            "CIM_IndicationService"
        ]
    );
    let capabilities = associated(&world, &service, "CIM_ElementCapabilities");
    assert_eq!(capabilities.len(), 1);
    for (name, value) in [
        ("FilterCreationEnabledIsSettable", false),
        ("DeliveryRetryAttemptsIsSettable", true),
        ("SubscriptionRemovalActionIsSettable", true),
        ("SubscriptionsPersisted", true),
    ] {
        assert_eq!(
            capabilities[0].get(name).and_then(Value::as_bool),
            Some(value),
            "{name}"
        );
    }
    assert_eq!(
        number(&capabilities[0], "MaxListenerDestinations"),
        Some(256)
    );
    let settings = associated(&world, &service, "CIM_ElementSettingData");
    assert_eq!(number(&settings[0], "DeliveryRetryAttempts"), Some(3));
    let link = only(&world, "CIM_ElementSettingData");
    assert_eq!(number(&link, "IsCurrent"), Some(1));
}

#[test]
fn the_service_takes_what_its_capabilities_say() {
    let (world, subscription) = subscribed(CHANGES, 3);
    let service = path(&only(&world, "CIM_IndicationService"));
    let change = |name: &'static str, value: Value| {
        modify(
            &world,
            &service,
            Instance::new("CIM_IndicationService").with(name, value),
        )
    };
    for (name, value, status) in [
        (
            "FilterCreationEnabled",
            false.into(),
            CimStatus::NotSupported,
        ),
        (
            "DeliveryRetryInterval",
            0u32.into(),
            CimStatus::InvalidParameter,
        ),
        (
            "SubscriptionRemovalAction",
            9u16.into(),
            CimStatus::InvalidParameter,
        ),
    ] {
        assert_eq!(change(name, value), Err(status), "{name}");
    }
    assert_eq!(change("DeliveryRetryAttempts", 0u16.into()), Ok(()));
    assert_eq!(change("DeliveryRetryInterval", 5u32.into()), Ok(()));
    let shown = only(&world, "CIM_IndicationService");
    assert_eq!(number(&shown, "DeliveryRetryAttempts"), Some(0));
    assert_eq!(number(&shown, "DeliveryRetryInterval"), Some(5));
    assert_eq!(
        number(&only(&world, "CIM_ElementSettingData"), "IsCurrent"),
        Some(2)
    );
    let defaults = only(&world, "CIM_IndicationServiceSettingData");
    assert_eq!(number(&defaults, "DeliveryRetryAttempts"), Some(3));
    // The first failure is the last attempt now.
    set_state(&world, "vm0", 3);
    report(&world, &due(&world).unwrap(), false);
    assert_eq!(
        number(&get(&world, &subscription).unwrap(), "SubscriptionState"),
        Some(4)
    );
}

#[test]
fn the_removal_action_is_obeyed() {
    let (world, subscription) = subscribed(CHANGES, 2);
    let service = path(&only(&world, "CIM_IndicationService"));
    let change = Instance::new("CIM_IndicationService")
        .with("SubscriptionRemovalAction", 3u16)
        .with("SubscriptionRemovalTimeInterval", 0u32)
        .with("DeliveryRetryAttempts", 0u16);
    assert_eq!(modify(&world, &service, change), Ok(()));
    set_state(&world, "vm0", 3);
    report(&world, &due(&world).unwrap(), false);
    assert_eq!(
        number(&get(&world, &subscription).unwrap(), "SubscriptionState"),
        Some(4)
    );
}

#[test]
fn static_filters_can_be_subscribed_to_and_nothing_else() {
    let world = interop_world();
    let filters = all(&world, "CIM_IndicationFilter");
    assert_eq!(filters.len(), 5);
    let service = path(&only(&world, "CIM_IndicationService"));
    assert_eq!(
        associated(&world, &service, "CIM_ServiceAffectsElement").len(),
        6
    );
    for filter in &filters {
        // Made again under another name, its query passes the checks for those of clients.
        let copy = filter.clone().with(
            "Name",
            format!("copy of {}", texts(std::slice::from_ref(filter), "Name")[0]),
        );
        let made = create(&world, Instance { path: None, ..copy }).unwrap();
        assert_eq!(delete(&world, &made), Ok(()));
        let own = path(filter);
        assert_eq!(delete(&world, &own), Err(CimStatus::NotSupported));
        let change = Instance::new("CIM_IndicationFilter").with("ElementName", "mine");
        assert_eq!(modify(&world, &own, change), Err(CimStatus::NotSupported));
        let again = Instance {
            path: None,
            ..filter.clone()
        };
        assert_eq!(create(&world, again), Err(CimStatus::AlreadyExists));
    }
    let wanted = filters.iter().find(|filter| {
        filter
            .get("Name")
            .and_then(Value::as_str)
            .unwrap()
            .ends_with(":VirtualSystemStateChange")
    });
    let handler = create(&world, destination("http://127.0.0.1:5990/x")).unwrap();
    let subscription = Instance::new("CIM_IndicationSubscription")
        .with("Filter", path(wanted.unwrap()))
        .with("Handler", handler);
    create(&world, subscription).unwrap();
    world.pump();
    set_state(&world, "vm0", 3);
    let delivery = due(&world).unwrap();
    assert_eq!(
        delivery.indication.get("IndicationFilterName"),
        wanted.unwrap().get("Name")
    );
}

#[test]
fn a_collection_subscription_takes_all_its_filters() {
    let world = interop_world();
    let collection = only(&world, "CIM_FilterCollection");
    let members = associated(&world, &path(&collection), "CIM_MemberOfCollection");
    assert_eq!(members.len(), 5);
    let collections = associated(&world, &path(&members[0]), "CIM_MemberOfCollection");
    assert_eq!(collections.len(), 1);
    let owners = associated(&world, &path(&collection), "CIM_OwningCollectionElement");
    assert_eq!(
        texts(&owners, "CreationClassName"),
        ["CIM_IndicationService"]
    );
    let handler = create(&world, destination("http://127.0.0.1:5990/x")).unwrap();
    let subscription = Instance::new("CIM_FilterCollectionSubscription")
        .with("Filter", path(&collection))
        .with("Handler", handler.clone());
    let made = create(&world, subscription.clone()).unwrap();
    assert_eq!(create(&world, subscription), Err(CimStatus::AlreadyExists));
    assert_eq!(
        delete(&world, &handler),
        Err(CimStatus::Failed),
        "it is in use"
    );
    world.pump();
    set_state(&world, "vm0", 3);
    let delivery = due(&world).unwrap();
    assert_eq!(delivery.indication.class.as_str(), "CIM_InstModification");
    report(&world, &delivery, true);
    let instance = Instance::new("CIM_ComputerSystem").with("Name", "new");
    assert!(world.run(Operation::CreateInstance { instance }).is_ok());
    world.pump();
    let delivery = due(&world).unwrap();
    assert_eq!(delivery.indication.class.as_str(), "CIM_InstCreation");
    report(&world, &delivery, true);
    assert_eq!(delete(&world, &made), Ok(()));
    let other = Instance::new("CIM_FilterCollectionSubscription")
        .with("Filter", path(&members[0]))
        .with("Handler", handler);
    assert_eq!(create(&world, other), Err(CimStatus::InvalidParameter));
}

#[test]
fn filters_for_collections_only_refuse_individual_subscriptions() {
    let world = interop_world();
    let made = create(
        &world,
        filter(CHANGES).with("IndividualSubscriptionSupported", false),
    );
    let handler = create(&world, destination("http://127.0.0.1:5990/x")).unwrap();
    let subscription = Instance::new("CIM_IndicationSubscription")
        .with("Filter", made.unwrap())
        .with("Handler", handler);
    assert_eq!(
        create(&world, subscription),
        Err(CimStatus::InvalidParameter)
    );
}

#[test]
fn subscriptions_end_when_their_time_is_over() {
    let (world, subscription) = subscribed(CHANGES, 2);
    let seconds = |seconds: u64| {
        Instance::new("CIM_IndicationSubscription").with("SubscriptionDuration", seconds)
    };
    let remaining = || {
        let found = get(&world, &subscription)?;
        Ok(number(&found, "SubscriptionTimeRemaining"))
    };
    assert_eq!(remaining(), Ok(None));
    assert_eq!(
        modify(&world, &subscription, seconds(0)),
        Err(CimStatus::InvalidParameter)
    );
    assert_eq!(modify(&world, &subscription, seconds(100)), Ok(()));
    assert_eq!(remaining(), Ok(Some(100)));
    world.now.set(40);
    world.pump();
    assert_eq!(remaining(), Ok(Some(60)));
    // A client sends back what it has read, with a time that is not right any more.
    let stale =
        Instance::new("CIM_IndicationSubscription").with("SubscriptionTimeRemaining", 99u64);
    assert_eq!(modify(&world, &subscription, stale), Ok(()));
    assert_eq!(
        modify(&world, &subscription, seconds(30)),
        Err(CimStatus::InvalidParameter)
    );
    assert_eq!(modify(&world, &subscription, seconds(50)), Ok(()));
    set_state(&world, "vm0", 3);
    report(&world, &due(&world).unwrap(), true);
    world.now.set(50);
    set_state(&world, "vm0", 2);
    assert_eq!(due(&world), None, "nothing is sent any more");
    assert_eq!(remaining(), Err(CimStatus::NotFound));
}

#[test]
fn the_times_of_a_subscription_are_the_servers() {
    let (world, subscription) = subscribed(CHANGES, 2);
    let before = get(&world, &subscription).unwrap();
    let early = cim_model::DateTime::from_unix_micros(0).unwrap();
    let change = Instance::new("CIM_IndicationSubscription")
        .with("SubscriptionStartTime", cim_model::Scalar::DateTime(early));
    assert_eq!(
        modify(&world, &subscription, change),
        Err(CimStatus::NotSupported)
    );
    assert_eq!(get(&world, &subscription).unwrap(), before);
    let alert = Instance::new("CIM_IndicationSubscription").with("AlertOnStateChange", true);
    assert_eq!(
        modify(&world, &subscription, alert),
        Err(CimStatus::InvalidParameter)
    );
}

#[test]
fn a_failing_destination_degrades_the_subscription_until_it_answers() {
    let (world, subscription) = subscribed(CHANGES, 2);
    let state = || number(&get(&world, &subscription).unwrap(), "SubscriptionState");
    set_state(&world, "vm0", 3);
    report(&world, &due(&world).unwrap(), false);
    assert_eq!(state(), Some(3));
    world.now.set(30);
    report(&world, &due(&world).unwrap(), true);
    assert_eq!(state(), Some(2));
}

#[test]
fn the_fatal_error_policy_waits_for_its_trigger() {
    let (world, subscription) = subscribed(CHANGES, 4);
    let change =
        Instance::new("CIM_IndicationSubscription").with("FailureTriggerTimeInterval", 200u64);
    assert_eq!(modify(&world, &subscription, change), Ok(()));
    let give_up = |state: u16| {
        set_state(&world, "vm0", state);
        for _ in 0..4 {
            world.now.set(world.now.get() + 30);
            report(&world, &due(&world).unwrap(), false);
        }
    };
    give_up(3);
    assert!(
        get(&world, &subscription).is_ok(),
        "90 seconds are not enough"
    );
    give_up(2);
    assert!(get(&world, &subscription).is_err(), "210 seconds are");
}

#[test]
fn destinations_that_cannot_be_reached_are_refused_with_the_reason() {
    let world = interop_world();
    let refusal = |instance: Instance| {
        let error = world
            .run_in("interop", Operation::CreateInstance { instance })
            .err()
            .unwrap();
        assert_eq!(error.status, CimStatus::InvalidParameter);
        error.description.to_string()
    };
    assert!(refusal(destination("https://127.0.0.1/")).contains("over http only"));
    assert!(refusal(destination("HTTPS://127.0.0.1/")).contains("over http only"));
    assert!(refusal(destination("http://listener.example:5990/")).contains("no name service"));
    assert!(refusal(destination("http://[::g]/")).contains("not a valid"));
    assert!(refusal(destination("http://127.0.0.1:+80/")).contains("not a valid"));
    let secret = destination("http://127.0.0.1/")
        .with("username", "u")
        .with("password", "p");
    assert!(refusal(secret).contains("not supported"));
}

/// A store that outlives the server.
struct Disk(Rc<RefCell<MemoryStore>>);

impl Store for Disk {
    fn save(&mut self, record: &Record) -> Result<(), StoreError> {
        self.0.borrow_mut().save(record)
    }

    fn remove(&mut self, key: &RecordKey) -> Result<(), StoreError> {
        self.0.borrow_mut().remove(key)
    }

    fn load(&self) -> Result<Vec<Record>, StoreError> {
        self.0.borrow().load()
    }
}

#[test]
fn what_clients_set_of_the_service_survives_a_restart() {
    let disk = Rc::new(RefCell::new(MemoryStore::default()));
    let caller = interop_world().caller();
    let start = || {
        let identity = Identity {
            system: "test-system".into(),
            manager: "test-manager".into(),
            product: "Test".into(),
            version: "1.2.3".into(),
        };
        let store = Box::new(Disk(Rc::clone(&disk)));
        let builder = Builder::new(Settings::new("server.example"), store).unwrap();
        let builder = interop::install(builder, &identity, Vec::new());
        let settings = IndicationSettings::default();
        let (builder, _) = indications::install(builder, &identity, settings);
        builder.build()
    };
    let run = |operations: &Operations, operation| {
        let namespace = "interop".into();
        operations.execute(
            &caller,
            Request {
                namespace,
                operation,
            },
        )
    };
    let show = || Operation::EnumerateInstances {
        class: "CIM_IndicationService".into(),
        depth: Depth::Deep,
        view: InstanceView::default(),
    };
    let first = start();
    let service = path(&instances(run(&first, show()))[0]);
    for (name, value) in [
        ("DeliveryRetryAttempts", Value::from(7u16)),
        ("DeliveryRetryInterval", Value::from(8u32)),
    ] {
        let instance = Instance::new("CIM_IndicationService")
            .with(name, value)
            .with_path(service.clone());
        let properties = None;
        assert!(
            run(
                &first,
                Operation::ModifyInstance {
                    instance,
                    properties
                }
            )
            .is_ok()
        );
    }
    drop(first);
    let shown = instances(run(&start(), show())).remove(0);
    assert_eq!(number(&shown, "DeliveryRetryAttempts"), Some(7));
    assert_eq!(number(&shown, "DeliveryRetryInterval"), Some(8));
    assert_eq!(number(&shown, "SubscriptionRemovalAction"), Some(2));
}
