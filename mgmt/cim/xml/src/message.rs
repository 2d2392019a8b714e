//! What a message says: requests and responses as values, free of XML.

use alloc::vec::Vec;
use cim_model::{
    CimError, ClassDecl, ClassName, Instance, InstancePath, MethodName, NamespaceName, ObjectPath,
    ParameterName, QualifierDecl, Text, Value,
};
use core::fmt;

/// A version as the envelope writes it, `major.minor`; a third number is read and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The major number.
    pub major: u16,
    /// The minor number.
    pub minor: u16,
}

impl Version {
    /// The CIM version that we write: 2.0.
    pub const CIM: Version = Version { major: 2, minor: 0 };
    /// The DTD version that we write: 2.4.
    pub const DTD: Version = Version { major: 2, minor: 4 };
    /// The protocol version that we write: 1.4.
    pub const PROTOCOL: Version = Version { major: 1, minor: 4 };

    /// Reads `2.0` or `2.0.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u16>().ok().filter(|_| digits)
        });
        let version = Version {
            major: numbers.next()??,
            minor: numbers.next()??,
        };
        match (numbers.next(), numbers.next()) {
            (None | Some(Some(_)), None) => Some(version),
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A request: one operation, method call or export.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// MESSAGE/@ID, to be echoed.
    pub message_id: Text,
    /// CIM/@CIMVERSION.
    pub cim_version: Version,
    /// CIM/@DTDVERSION.
    pub dtd_version: Version,
    /// MESSAGE/@PROTOCOLVERSION.
    pub protocol_version: Version,
    /// What is asked.
    pub call: Call,
}

impl Request {
    /// A request with our versions.
    pub fn new(message_id: impl Into<Text>, call: Call) -> Self {
        Request {
            message_id: message_id.into(),
            cim_version: Version::CIM,
            dtd_version: Version::DTD,
            protocol_version: Version { major: 1, minor: 0 },
            call,
        }
    }
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// An operation of DSP0200 (IMETHODCALL).
    Intrinsic {
        /// The operation.
        method: MethodName,
        /// The target namespace.
        namespace: NamespaceName,
        /// The parameters that the client gave, each name once.
        params: Vec<(ParameterName, ParamValue)>,
    },
    /// A method of a class (METHODCALL).
    Extrinsic {
        /// The method.
        method: MethodName,
        /// The instance, or the class for a static method; always with a namespace.
        target: ObjectPath,
        /// The parameters, each name once. A parameter without PARAMTYPE has the type that its value
        /// suggests (NULL: string); bring each to the type of the schema with [`Value::coerce`].
        params: Vec<(ParameterName, Value)>,
    },
    /// An export (EXPMETHODCALL); the only method defined is ExportIndication with one NewIndication.
    Export {
        /// The export method.
        method: MethodName,
        /// The parameters, each name once.
        params: Vec<(ParameterName, ParamValue)>,
    },
}

impl Call {
    /// The name of the operation or method.
    pub const fn method(&self) -> &MethodName {
        match self {
            Call::Intrinsic { method, .. }
            | Call::Extrinsic { method, .. }
            | Call::Export { method, .. } => method,
        }
    }
}

/// The value of an IPARAMVALUE or EXPPARAMVALUE. Literals have no type on the wire, so they stay text.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamValue {
    /// No child element.
    Null,
    /// VALUE.
    Value(Text),
    /// VALUE.ARRAY; `None` for VALUE.NULL.
    Array(Vec<Option<Text>>),
    /// VALUE.REFERENCE.
    Reference(ObjectPath),
    /// CLASSNAME.
    ClassName(ClassName),
    /// INSTANCENAME, or leniently one of the longer instance paths.
    InstanceName(InstancePath),
    /// CLASS.
    Class(ClassDecl),
    /// INSTANCE, or VALUE.NAMEDINSTANCE (then with its path).
    Instance(Instance),
    /// QUALIFIER.DECLARATION.
    QualifierDecl(QualifierDecl),
}

/// One object in an IRETURNVALUE; the variants are the element kinds that the operations of DSP0200 return.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// CLASS: GetClass, EnumerateClasses.
    Class(ClassDecl),
    /// CLASSNAME: EnumerateClassNames.
    ClassName(ClassName),
    /// VALUE.NAMEDINSTANCE: EnumerateInstances. The path goes without host and namespace.
    NamedInstance(Instance),
    /// INSTANCENAME: EnumerateInstanceNames, CreateInstance.
    InstanceName(InstancePath),
    /// INSTANCE: GetInstance, OpenQueryInstances, PullInstances.
    Instance(Instance),
    /// VALUE.OBJECTWITHPATH with an instance: Associators, References, ExecQuery.
    InstanceObject(Instance),
    /// VALUE.OBJECTWITHPATH with a class: Associators and References of a class.
    ClassObject(ClassDecl),
    /// OBJECTPATH: AssociatorNames, ReferenceNames.
    ObjectPath(ObjectPath),
    /// VALUE.INSTANCEWITHPATH: OpenEnumerateInstances and kin, PullInstancesWithPath.
    InstanceWithPath(Instance),
    /// INSTANCEPATH: OpenEnumerateInstancePaths and kin, PullInstancePaths.
    InstancePath(InstancePath),
    /// QUALIFIER.DECLARATION: GetQualifier, EnumerateQualifiers.
    QualifierDecl(QualifierDecl),
    /// VALUE, VALUE.ARRAY or VALUE.REFERENCE: GetProperty, EnumerationCount. Read back as strings.
    Value(Value),
}

/// An output parameter of an operation or method.
#[derive(Clone, Debug, PartialEq)]
pub struct OutParam {
    /// The name.
    pub name: ParameterName,
    /// The value.
    pub value: Value,
}

/// A response.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// MESSAGE/@ID.
    pub message_id: Text,
    /// The name of the operation or method.
    pub method: MethodName,
    /// What came back.
    pub outcome: Result<Outcome, CimError>,
}

/// What a successful call returned.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// IMETHODRESPONSE: the items of IRETURNVALUE and the output parameters.
    Intrinsic {
        /// The returned objects.
        items: Vec<Item>,
        /// EndOfSequence and EnumerationContext of the pull operations.
        params: Vec<OutParam>,
    },
    /// METHODRESPONSE.
    Extrinsic {
        /// RETURNVALUE, if there is one.
        value: Option<Value>,
        /// The output parameters.
        params: Vec<OutParam>,
    },
    /// EXPMETHODRESPONSE.
    Export,
}
