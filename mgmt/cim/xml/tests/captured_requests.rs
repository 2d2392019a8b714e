//! Requests captured from pywbem 1.9.1 and sblim-wbemcli 1.6.3, one per operation, must all be understood.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop where it is surprised"
)]

use cim_model::{CimType, ClassPath, InstancePath, ObjectPath, Scalar, Value};
use cim_xml::{Call, ParamValue, Request, parse_request};
use std::collections::BTreeMap;

fn body(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/requests/{name}.http", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a blank line");
    bytes[end + 4..].to_vec()
}

fn request(name: &str) -> Request {
    parse_request(&body(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

type Params<T> = BTreeMap<String, T>;

fn intrinsic(name: &str) -> (String, String, Params<ParamValue>) {
    let Call::Intrinsic {
        method,
        namespace,
        params,
    } = request(name).call
    else {
        panic!("{name} is an intrinsic call")
    };
    let params = params
        .into_iter()
        .map(|(name, value)| (name.to_string(), value))
        .collect();
    (method.to_string(), namespace.to_string(), params)
}

fn extrinsic(name: &str) -> (String, ObjectPath, Params<Value>) {
    let Call::Extrinsic {
        method,
        target,
        params,
    } = request(name).call
    else {
        panic!("{name} is an extrinsic call")
    };
    let params = params
        .into_iter()
        .map(|(name, value)| (name.to_string(), value))
        .collect();
    (method.to_string(), target, params)
}

fn text(value: &'static str) -> ParamValue {
    ParamValue::Value(value.into())
}

fn system() -> InstancePath {
    InstancePath::new("CIM_ComputerSystem")
        .with_key("CreationClassName", "CIM_ComputerSystem")
        .with_key("Name", "vm1")
}

#[test]
fn every_captured_request_is_understood() {
    let folder = format!("{}/tests/requests", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.strip_suffix(".http").unwrap();
        let request = request(name);
        let (client, operation) = name.split_once('-').unwrap();
        assert_eq!(
            request.message_id,
            if client == "pywbem" { "1001" } else { "4711" }
        );
        let method = request.call.method().as_str();
        let plain = operation
            .trim_end_matches("_class")
            .trim_end_matches("_subscription");
        match plain.strip_prefix("InvokeMethod") {
            Some(_) => assert!(matches!(request.call, Call::Extrinsic { .. }), "{name}"),
            None => assert_eq!(method, plain),
        }
        count += 1;
    }
    assert!(count >= 45, "only {count} fixtures");
}

#[test]
fn associators_take_path_classes_and_roles() {
    let (_, namespace, params) = intrinsic("pywbem-Associators");
    assert_eq!(namespace, "root/cimv2");
    assert_eq!(params["ObjectName"], ParamValue::InstanceName(system()));
    assert_eq!(
        params["AssocClass"],
        ParamValue::ClassName("CIM_SystemDevice".into())
    );
    assert_eq!(params["Role"], text("GroupComponent"));
    let (_, _, params) = intrinsic("pywbem-Associators_class");
    assert_eq!(
        params["ObjectName"],
        ParamValue::ClassName("CIM_ComputerSystem".into())
    );
    let (_, _, params) = intrinsic("wbemcli-AssociatorNames");
    assert_eq!(params["ObjectName"], ParamValue::InstanceName(system()));
}

#[test]
fn instances_come_with_typed_properties() {
    let (_, namespace, params) = intrinsic("pywbem-CreateInstance");
    assert_eq!(namespace, "interop");
    let ParamValue::Instance(instance) = &params["NewInstance"] else {
        panic!("an instance")
    };
    assert_eq!(instance.class, "CIM_IndicationFilter");
    assert_eq!(instance.get("N"), Some(&Value::from(3u16)));
    assert_eq!(instance.get("B"), Some(&Value::from(true)));
    assert_eq!(
        instance.get("SourceNamespaces"),
        Some(&Value::from(vec!["root/cimv2"]))
    );
    assert_eq!(
        instance.get("D").map(Value::cim_type),
        Some(CimType::DateTime)
    );

    let (_, _, params) = intrinsic("pywbem-CreateInstance_subscription");
    let ParamValue::Instance(instance) = &params["NewInstance"] else {
        panic!("an instance")
    };
    let filter = instance
        .get("Filter")
        .and_then(Value::as_instance_path)
        .unwrap();
    assert_eq!(
        filter.to_string(),
        "interop:CIM_IndicationFilter.Name=\"f1\""
    );

    let (_, _, params) = intrinsic("pywbem-ModifyInstance");
    let ParamValue::Instance(instance) = &params["ModifiedInstance"] else {
        panic!("an instance")
    };
    assert_eq!(
        instance
            .path
            .as_ref()
            .unwrap()
            .key("Name")
            .unwrap()
            .as_str(),
        Some("f1")
    );
    assert_eq!(
        params["PropertyList"],
        ParamValue::Array(vec![Some("Query".into())])
    );
}

#[test]
fn classes_and_qualifiers_are_declared() {
    let (_, _, params) = intrinsic("pywbem-CreateClass");
    let ParamValue::Class(class) = &params["NewClass"] else {
        panic!("a class")
    };
    assert_eq!(class.superclass.as_ref().unwrap(), &"CIM_ManagedElement");
    assert!(class.property("k").unwrap().is_key());

    let (_, _, params) = intrinsic("pywbem-SetQualifier");
    let ParamValue::QualifierDecl(decl) = &params["QualifierDeclaration"] else {
        panic!()
    };
    assert_eq!(decl.scopes, cim_model::Scopes::CLASS);
    assert_eq!(decl.value, Value::from(false));
}

#[test]
fn method_parameters_keep_their_types() {
    let (method, target, params) = extrinsic("pywbem-InvokeMethod_class");
    assert_eq!(method, "FindIt");
    assert_eq!(
        target,
        ClassPath::new("CIM_ComputerSystem")
            .with_namespace("root/cimv2")
            .into()
    );
    assert_eq!(params["Arr"], Value::from(vec![1u8, 2]));
    let vm1 = system().with_namespace("root/cimv2");
    assert_eq!(params["Ref"], Value::from(vm1.clone()));
    assert_eq!(params["RefArr"], Value::from(vec![vm1]));
    assert_eq!(params["S"], Value::from("a&b<c"));
}

#[test]
fn embedded_instances_are_opened() {
    let (method, target, params) = extrinsic("pywbem-InvokeMethod_DefineSystem");
    assert_eq!(method, "DefineSystem");
    let target = target.as_instance().unwrap();
    assert_eq!(target.keys().len(), 4);
    let settings = params["SystemSettings"].as_instance().unwrap();
    assert_eq!(settings.class, "CIM_VirtualSystemSettingData");
    assert_eq!(settings.get("ElementName"), Some(&Value::from("vm1")));
    let resources = params["ResourceSettings"].as_array().unwrap();
    let Some(Scalar::Instance(memory)) = &resources[0] else {
        panic!("an instance")
    };
    assert_eq!(memory.get("ResourceType"), Some(&Value::from(3u16)));
    assert!(params["ReferenceConfiguration"].is_null());
}
