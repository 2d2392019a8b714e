//! One typed response per operation. Large ones are streams that make one object at a time.

use crate::request::Argument;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use cim_model::{
    CimError, ClassDecl, ClassName, Instance, InstancePath, ObjectPath, QualifierDecl, Value,
};

/// Objects made one by one, so that a response of any size needs the memory of one object. A stream may fail
/// after it began; then it ends.
pub type Stream<T> = Box<dyn Iterator<Item = Result<T, CimError>>>;

/// The result of an operation.
#[allow(missing_docs, reason = "the variants are named after what they hold")]
pub enum Response {
    /// Nothing but success.
    Void,
    Class(Box<ClassDecl>),
    Classes(Stream<ClassDecl>),
    ClassNames(Stream<ClassName>),
    /// GetInstance.
    Instance(Box<Instance>),
    /// CreateInstance.
    InstanceName(Box<InstancePath>),
    /// EnumerateInstances; every instance has its path.
    NamedInstances(Stream<Instance>),
    /// EnumerateInstanceNames.
    InstanceNames(Stream<InstancePath>),
    /// Associators and References of an instance; every instance has its path, with host and namespace.
    Instances(Stream<Instance>),
    /// Associators and References of a class; every class has its path.
    ClassesWithPath(Vec<ClassDecl>),
    /// AssociatorNames and ReferenceNames.
    Paths(Stream<ObjectPath>),
    /// ExecQuery.
    Rows(Stream<Instance>),
    /// GetProperty.
    Value(Value),
    Qualifier(Box<QualifierDecl>),
    Qualifiers(Stream<QualifierDecl>),
    /// Any Open or Pull operation.
    Batch(Batch),
    /// EnumerationCount.
    Count(u64),
    /// An extrinsic method.
    Method(MethodResult),
}

/// The objects that one Open or Pull operation returns.
#[derive(Debug)]
pub struct Batch {
    /// The objects.
    pub objects: BatchObjects,
    /// The context for the next Pull; `None` at the end of the sequence.
    pub context: Option<String>,
    /// The class of the rows, when OpenQueryInstances was asked for it.
    pub result_class: Option<Box<ClassDecl>>,
}

/// The objects of a batch by kind.
#[derive(Debug)]
pub enum BatchObjects {
    /// Instances with their paths.
    InstancesWithPath(Vec<Instance>),
    /// Paths.
    Paths(Vec<InstancePath>),
    /// Rows of a query.
    Instances(Vec<Instance>),
}

/// What an extrinsic method returns.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodResult {
    /// The return value.
    pub value: Value,
    /// Output parameters.
    pub outputs: Vec<Argument>,
}

impl MethodResult {
    /// A result without output parameters.
    pub fn new(value: impl Into<Value>) -> Self {
        MethodResult {
            value: value.into(),
            outputs: Vec::new(),
        }
    }

    /// Adds an output parameter.
    #[must_use]
    pub fn with(mut self, output: Argument) -> Self {
        self.outputs.push(output);
        self
    }
}
