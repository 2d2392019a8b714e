//! The parsed form of conditions, shared by the three languages.

use crate::pattern::Pattern;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use cim_model::{ClassName, PropertyName, Scalar};

/// A condition on an instance.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// All hold.
    And(Vec<Condition>),
    /// At least one holds.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// A comparison.
    Compare(Operand, Comparison, Operand),
    /// The value is NULL.
    IsNull(Operand),
    /// The instance (the row itself, or an embedded one) is of the class or a subclass.
    IsA(Option<PropertyPath>, ClassName),
    /// The string matches a pattern.
    Like(Operand, Pattern),
    /// A boolean value used as a condition.
    Holds(Operand),
    /// A condition on the elements of an array, bound to a name.
    Satisfies {
        /// Whether one element or all must satisfy the condition.
        quantifier: Quantifier,
        /// The name of the element in the condition.
        name: String,
        /// The array.
        array: PropertyPath,
        /// The condition on the element.
        condition: Box<Condition>,
    },
}

/// How many elements of an array must satisfy a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// At least one.
    Any,
    /// All.
    Every,
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the operators are well known")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// Something with a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A constant; `None` is NULL.
    Literal(Option<Scalar>),
    /// A property.
    Property(PropertyPath),
    /// ANY or EVERY element of an array (DSP0212 form).
    Elements(Quantifier, PropertyPath),
    /// A value of a value map: `Class.Property#'Text'` (DSP0202 "symbolic constants").
    Symbol {
        /// The property with the value map; its last segment names the property.
        property: PropertyPath,
        /// The text in the Values qualifier.
        value: String,
    },
    /// A function call.
    Call(Function, Vec<Operand>, usize),
    /// Arithmetic or concatenation.
    Arithmetic(Box<Operand>, Arithmetic, Box<Operand>),
}

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the operators are well known")]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Concatenate,
}

/// The supported functions of DSP0202.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The path of the row as a string.
    ObjectPath,
    /// The class name of the row or of an embedded instance.
    ClassName,
    /// The namespace of the row.
    NamespaceName,
    /// The time of the evaluation.
    CurrentDateTime,
    /// A datetime from its 25 characters.
    DateTime,
    /// The string in upper case.
    UpperCase,
    /// A number as a string.
    NumericToString,
    /// An unsigned integer from a string.
    StringToUint,
    /// A signed integer from a string.
    StringToSint,
    /// A real from a string.
    StringToReal,
}

/// A property of the row, or of an instance embedded in it.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyPath {
    /// From the row inwards; never empty.
    pub segments: Vec<Segment>,
    /// Where the path starts in the query, in characters from 1.
    pub position: usize,
}

/// One step of a property path.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// The class that must have the property: `Class::Property`.
    pub scope: Option<ClassName>,
    /// The property.
    pub name: PropertyName,
    /// The element of an array.
    pub index: Option<usize>,
}

impl PropertyPath {
    /// The last property name, which names a selected column.
    pub fn last_name(&self) -> Option<&PropertyName> {
        self.segments.last().map(|segment| &segment.name)
    }
}
