//! One typed request per operation of DSP0200 5.4, defaults already applied by the protocol layer.

use alloc::string::String;
use alloc::vec::Vec;
use cim_model::{
    ClassDecl, ClassName, Instance, InstancePath, MethodName, NamespaceName, ObjectPath,
    ParameterName, PropertyName, QualifierDecl, QualifierName, Value,
};

/// An operation in a namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The target namespace.
    pub namespace: NamespaceName,
    /// The operation.
    pub operation: Operation,
}

/// An intrinsic operation or an extrinsic method call.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    missing_docs,
    reason = "the variants are the operation names of DSP0200"
)]
pub enum Operation {
    GetClass {
        class: ClassName,
        view: ClassView,
    },
    EnumerateClasses {
        class: Option<ClassName>,
        depth: Depth,
        view: ClassView,
    },
    EnumerateClassNames {
        class: Option<ClassName>,
        depth: Depth,
    },
    CreateClass {
        class: ClassDecl,
    },
    ModifyClass {
        class: ClassDecl,
    },
    DeleteClass {
        class: ClassName,
    },
    GetInstance {
        path: InstancePath,
        view: InstanceView,
    },
    EnumerateInstances {
        class: ClassName,
        depth: Depth,
        view: InstanceView,
    },
    EnumerateInstanceNames {
        class: ClassName,
    },
    CreateInstance {
        instance: Instance,
    },
    /// The path of the instance says which one is modified.
    ModifyInstance {
        instance: Instance,
        properties: Option<Vec<PropertyName>>,
    },
    DeleteInstance {
        path: InstancePath,
    },
    Associators {
        object: ObjectPath,
        filter: AssociatorFilter,
        view: InstanceView,
    },
    AssociatorNames {
        object: ObjectPath,
        filter: AssociatorFilter,
    },
    References {
        object: ObjectPath,
        filter: ReferenceFilter,
        view: InstanceView,
    },
    ReferenceNames {
        object: ObjectPath,
        filter: ReferenceFilter,
    },
    ExecQuery {
        language: String,
        query: String,
    },
    GetProperty {
        path: InstancePath,
        property: PropertyName,
    },
    SetProperty {
        path: InstancePath,
        property: PropertyName,
        value: Option<Value>,
    },
    GetQualifier {
        name: QualifierName,
    },
    SetQualifier {
        qualifier: QualifierDecl,
    },
    DeleteQualifier {
        name: QualifierName,
    },
    EnumerateQualifiers,
    OpenEnumerateInstances {
        class: ClassName,
        depth: Depth,
        view: InstanceView,
        open: OpenOptions,
    },
    OpenEnumerateInstancePaths {
        class: ClassName,
        open: OpenOptions,
    },
    OpenAssociatorInstances {
        path: InstancePath,
        filter: AssociatorFilter,
        view: InstanceView,
        open: OpenOptions,
    },
    OpenAssociatorInstancePaths {
        path: InstancePath,
        filter: AssociatorFilter,
        open: OpenOptions,
    },
    OpenReferenceInstances {
        path: InstancePath,
        filter: ReferenceFilter,
        view: InstanceView,
        open: OpenOptions,
    },
    OpenReferenceInstancePaths {
        path: InstancePath,
        filter: ReferenceFilter,
        open: OpenOptions,
    },
    /// The query is in the filter of the options.
    OpenQueryInstances {
        open: OpenOptions,
        result_class: bool,
    },
    Pull {
        kind: PullKind,
        context: String,
        max_objects: u32,
    },
    CloseEnumeration {
        context: String,
    },
    EnumerationCount {
        context: String,
    },
    /// An extrinsic method of an instance, or a static one of a class.
    Invoke {
        object: ObjectPath,
        method: MethodName,
        arguments: Vec<Argument>,
    },
}

/// A parameter value of a method call or of its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// The name of the parameter.
    pub name: ParameterName,
    /// Its value.
    pub value: Value,
}

impl Argument {
    /// A parameter with a value.
    pub fn new(name: impl Into<ParameterName>, value: impl Into<Value>) -> Self {
        Argument {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// DeepInheritance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// FALSE.
    Shallow,
    /// TRUE.
    Deep,
}

/// What a returned class contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassView {
    /// LocalOnly.
    pub local_only: bool,
    /// IncludeQualifiers.
    pub qualifiers: bool,
    /// IncludeClassOrigin.
    pub class_origin: bool,
    /// PropertyList; `None` for all.
    pub properties: Option<Vec<PropertyName>>,
}

impl ClassView {
    /// Everything there is.
    pub const FULL: ClassView = ClassView {
        local_only: false,
        qualifiers: true,
        class_origin: true,
        properties: None,
    };
}

/// What a returned instance contains. LocalOnly and IncludeQualifiers of instances are deprecated and have
/// no effect, as DSP0200 allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceView {
    /// IncludeClassOrigin.
    pub class_origin: bool,
    /// PropertyList; `None` for all.
    pub properties: Option<Vec<PropertyName>>,
}

/// The filter parameters of Associators and its kin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssociatorFilter {
    /// AssocClass.
    pub association: Option<ClassName>,
    /// ResultClass.
    pub result: Option<ClassName>,
    /// Role.
    pub role: Option<PropertyName>,
    /// ResultRole.
    pub result_role: Option<PropertyName>,
}

/// The filter parameters of References and its kin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferenceFilter {
    /// ResultClass.
    pub result: Option<ClassName>,
    /// Role.
    pub role: Option<PropertyName>,
}

/// The parameters that all Open operations share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// FilterQueryLanguage.
    pub filter_language: Option<String>,
    /// FilterQuery.
    pub filter: Option<String>,
    /// OperationTimeout in seconds; `None` for the server's default.
    pub timeout: Option<u32>,
    /// ContinueOnError.
    pub continue_on_error: bool,
    /// MaxObjectCount.
    pub max_objects: u32,
}

/// Which Pull operation; it must fit the Open operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullKind {
    /// PullInstancesWithPath.
    InstancesWithPath,
    /// PullInstancePaths.
    Paths,
    /// PullInstances, after OpenQueryInstances.
    Instances,
}
