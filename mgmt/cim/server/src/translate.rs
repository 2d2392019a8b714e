//! From decoded CIM-XML calls to typed requests, with the defaults of DSP0200 5.4.

use crate::params::Params;
use alloc::format;
use cim_model::{CimError, CimStatus, MethodName, NamespaceName, QualifierName};
use cim_ops::{
    Argument, AssociatorFilter, ClassView, Depth, InstanceView, OpenOptions, Operation, PullKind,
    ReferenceFilter, Request,
};
use cim_xml::Call;

/// The request that a call means.
///
/// # Errors
/// NOT_SUPPORTED for an unknown operation, INVALID_PARAMETER for wrong parameters.
pub(crate) fn request(call: Call) -> Result<Request, CimError> {
    match call {
        Call::Intrinsic {
            method,
            namespace,
            params,
        } => intrinsic(&method, namespace, Params::new(params)),
        Call::Extrinsic {
            method,
            target,
            params,
        } => {
            let namespace = target.namespace().cloned().unwrap_or_default();
            let arguments = params
                .into_iter()
                .map(|(name, value)| Argument { name, value })
                .collect();
            Ok(Request {
                namespace,
                operation: Operation::Invoke {
                    object: target,
                    method,
                    arguments,
                },
            })
        }
        Call::Export { method, .. } => Err(CimError::new(
            CimStatus::NotSupported,
            format!("This server is no listener; the export method {method} is not supported."),
        )),
    }
}

fn intrinsic(
    method: &MethodName,
    namespace: NamespaceName,
    mut params: Params,
) -> Result<Request, CimError> {
    // The names are compared exactly: DSP0200 spells them so, and header and body must agree anyway.
    let operation = match declarations(method.as_str(), &mut params)? {
        Some(operation) => operation,
        None => match instances(method.as_str(), &mut params)? {
            Some(operation) => operation,
            None => match associations(method.as_str(), &mut params)? {
                Some(operation) => operation,
                None => pulls(method.as_str(), &mut params)?.ok_or_else(|| {
                    CimError::new(
                        CimStatus::NotSupported,
                        format!("The operation {method} is not supported."),
                    )
                })?,
            },
        },
    };
    params.end()?;
    Ok(Request {
        namespace,
        operation,
    })
}

type Parsed = Result<Option<Operation>, CimError>;

fn declarations(method: &str, params: &mut Params) -> Parsed {
    Ok(Some(match method {
        "GetClass" => Operation::GetClass {
            class: params.required_class_name("ClassName")?,
            view: class_view(params)?,
        },
        "EnumerateClasses" => Operation::EnumerateClasses {
            class: params.class_name("ClassName")?,
            depth: depth(params, Depth::Shallow)?,
            view: class_view(params)?,
        },
        "EnumerateClassNames" => Operation::EnumerateClassNames {
            class: params.class_name("ClassName")?,
            depth: depth(params, Depth::Shallow)?,
        },
        "CreateClass" => Operation::CreateClass {
            class: params.class("NewClass")?,
        },
        "ModifyClass" => Operation::ModifyClass {
            class: params.class("ModifiedClass")?,
        },
        "DeleteClass" => Operation::DeleteClass {
            class: params.required_class_name("ClassName")?,
        },
        "GetQualifier" => Operation::GetQualifier {
            name: qualifier_name(params)?,
        },
        "SetQualifier" => Operation::SetQualifier {
            qualifier: params.qualifier("QualifierDeclaration")?,
        },
        "DeleteQualifier" => Operation::DeleteQualifier {
            name: qualifier_name(params)?,
        },
        "EnumerateQualifiers" => Operation::EnumerateQualifiers,
        _ => return Ok(None),
    }))
}

fn instances(method: &str, params: &mut Params) -> Parsed {
    Ok(Some(match method {
        "GetInstance" => Operation::GetInstance {
            path: params.instance_name("InstanceName")?,
            view: instance_view(params)?,
        },
        "EnumerateInstances" => Operation::EnumerateInstances {
            class: params.required_class_name("ClassName")?,
            depth: depth(params, Depth::Deep)?,
            view: instance_view(params)?,
        },
        "EnumerateInstanceNames" => Operation::EnumerateInstanceNames {
            class: params.required_class_name("ClassName")?,
        },
        "CreateInstance" => Operation::CreateInstance {
            instance: params.instance("NewInstance")?,
        },
        "ModifyInstance" => {
            params.boolean("IncludeQualifiers", true)?;
            Operation::ModifyInstance {
                instance: params.instance("ModifiedInstance")?,
                properties: params.property_list("PropertyList")?,
            }
        }
        "DeleteInstance" => Operation::DeleteInstance {
            path: params.instance_name("InstanceName")?,
        },
        "GetProperty" => Operation::GetProperty {
            path: params.instance_name("InstanceName")?,
            property: params.required_text("PropertyName")?.into(),
        },
        "SetProperty" => Operation::SetProperty {
            path: params.instance_name("InstanceName")?,
            property: params.required_text("PropertyName")?.into(),
            value: params.value("NewValue")?,
        },
        "ExecQuery" => Operation::ExecQuery {
            language: params.required_text("QueryLanguage")?,
            query: params.required_text("Query")?,
        },
        _ => return Ok(None),
    }))
}

fn associations(method: &str, params: &mut Params) -> Parsed {
    Ok(Some(match method {
        "Associators" => Operation::Associators {
            object: params.object_name("ObjectName")?,
            filter: associator_filter(params)?,
            view: instance_view(params)?,
        },
        "AssociatorNames" => Operation::AssociatorNames {
            object: params.object_name("ObjectName")?,
            filter: associator_filter(params)?,
        },
        "References" => Operation::References {
            object: params.object_name("ObjectName")?,
            filter: reference_filter(params)?,
            view: instance_view(params)?,
        },
        "ReferenceNames" => Operation::ReferenceNames {
            object: params.object_name("ObjectName")?,
            filter: reference_filter(params)?,
        },
        _ => return Ok(None),
    }))
}

fn pulls(method: &str, params: &mut Params) -> Parsed {
    Ok(Some(match method {
        "OpenEnumerateInstances" => Operation::OpenEnumerateInstances {
            class: params.required_class_name("ClassName")?,
            depth: depth(params, Depth::Deep)?,
            view: instance_view(params)?,
            open: open_options(params)?,
        },
        "OpenEnumerateInstancePaths" => Operation::OpenEnumerateInstancePaths {
            class: params.required_class_name("ClassName")?,
            open: open_options(params)?,
        },
        "OpenAssociatorInstances" => Operation::OpenAssociatorInstances {
            path: params.instance_name("InstanceName")?,
            filter: associator_filter(params)?,
            view: instance_view(params)?,
            open: open_options(params)?,
        },
        "OpenAssociatorInstancePaths" => Operation::OpenAssociatorInstancePaths {
            path: params.instance_name("InstanceName")?,
            filter: associator_filter(params)?,
            open: open_options(params)?,
        },
        "OpenReferenceInstances" => Operation::OpenReferenceInstances {
            path: params.instance_name("InstanceName")?,
            filter: reference_filter(params)?,
            view: instance_view(params)?,
            open: open_options(params)?,
        },
        "OpenReferenceInstancePaths" => Operation::OpenReferenceInstancePaths {
            path: params.instance_name("InstanceName")?,
            filter: reference_filter(params)?,
            open: open_options(params)?,
        },
        "OpenQueryInstances" => Operation::OpenQueryInstances {
            result_class: params.boolean("ReturnQueryResultClass", false)?,
            open: open_options(params)?,
        },
        "PullInstancesWithPath" => pull(params, PullKind::InstancesWithPath)?,
        "PullInstancePaths" => pull(params, PullKind::Paths)?,
        "PullInstances" => pull(params, PullKind::Instances)?,
        "CloseEnumeration" => Operation::CloseEnumeration {
            context: params.required_text("EnumerationContext")?,
        },
        "EnumerationCount" => Operation::EnumerationCount {
            context: params.required_text("EnumerationContext")?,
        },
        _ => return Ok(None),
    }))
}

fn pull(params: &mut Params, kind: PullKind) -> Result<Operation, CimError> {
    let context = params.required_text("EnumerationContext")?;
    let max_objects = params.number("MaxObjectCount")?.ok_or_else(|| {
        CimError::new(
            CimStatus::InvalidParameter,
            "The parameter MaxObjectCount is missing.",
        )
    })?;
    Ok(Operation::Pull {
        kind,
        context,
        max_objects,
    })
}

fn qualifier_name(params: &mut Params) -> Result<QualifierName, CimError> {
    params
        .required_text("QualifierName")
        .map(QualifierName::from)
}

fn depth(params: &mut Params, default: Depth) -> Result<Depth, CimError> {
    let deep = params.boolean("DeepInheritance", default == Depth::Deep)?;
    Ok(if deep { Depth::Deep } else { Depth::Shallow })
}

fn class_view(params: &mut Params) -> Result<ClassView, CimError> {
    Ok(ClassView {
        local_only: params.boolean("LocalOnly", true)?,
        qualifiers: params.boolean("IncludeQualifiers", true)?,
        class_origin: params.boolean("IncludeClassOrigin", false)?,
        properties: params.property_list("PropertyList")?,
    })
}

fn instance_view(params: &mut Params) -> Result<InstanceView, CimError> {
    // Deprecated for instances since DSP0200 1.1: read for their type, otherwise without effect.
    params.boolean("LocalOnly", true)?;
    params.boolean("IncludeQualifiers", false)?;
    Ok(InstanceView {
        class_origin: params.boolean("IncludeClassOrigin", false)?,
        properties: params.property_list("PropertyList")?,
    })
}

fn associator_filter(params: &mut Params) -> Result<AssociatorFilter, CimError> {
    Ok(AssociatorFilter {
        association: params.class_name("AssocClass")?,
        result: params.class_name("ResultClass")?,
        role: params.property_name("Role")?,
        result_role: params.property_name("ResultRole")?,
    })
}

fn reference_filter(params: &mut Params) -> Result<ReferenceFilter, CimError> {
    Ok(ReferenceFilter {
        result: params.class_name("ResultClass")?,
        role: params.property_name("Role")?,
    })
}

fn open_options(params: &mut Params) -> Result<OpenOptions, CimError> {
    Ok(OpenOptions {
        filter_language: params.text("FilterQueryLanguage")?,
        filter: params.text("FilterQuery")?,
        timeout: params.number("OperationTimeout")?,
        continue_on_error: params.boolean("ContinueOnError", false)?,
        max_objects: params.number("MaxObjectCount")?.unwrap_or(0),
    })
}
