//! [`Params`]: taking the parameters of an intrinsic operation one by one.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cim_model::{
    ArrayValue, CimError, CimStatus, CimType, ClassDecl, ClassName, ClassPath, Instance,
    InstancePath, ObjectPath, ParameterName, PropertyName, QualifierDecl, Scalar, Value,
};
use cim_xml::ParamValue;

/// The parameters that have not been taken yet.
pub(crate) struct Params(Vec<(ParameterName, ParamValue)>);

type Taken<T> = Result<T, CimError>;

fn invalid(text: String) -> CimError {
    CimError::new(CimStatus::InvalidParameter, text)
}

fn wrong(name: &str, wanted: &str) -> CimError {
    invalid(format!("The parameter {name} must be {wanted}."))
}

impl Params {
    pub(crate) const fn new(given: Vec<(ParameterName, ParamValue)>) -> Self {
        Params(given)
    }

    /// What nobody took is unknown to the operation.
    pub(crate) fn end(self) -> Taken<()> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(invalid(format!("The operation has no parameter {name}."))),
        }
    }

    fn take(&mut self, name: &str) -> Option<ParamValue> {
        let index = self.0.iter().position(|(known, _)| *known == *name)?;
        match self.0.swap_remove(index).1 {
            ParamValue::Null => None,
            value => Some(value),
        }
    }

    fn required<T>(name: &str, value: Option<T>) -> Taken<T> {
        value.ok_or_else(|| invalid(format!("The parameter {name} is missing.")))
    }

    pub(crate) fn boolean(&mut self, name: &str, default: bool) -> Taken<bool> {
        match self.take(name) {
            None => Ok(default),
            Some(ParamValue::Value(text)) => match Scalar::parse(CimType::Boolean, &text) {
                Ok(Scalar::Boolean(value)) => Ok(value),
                _ => Err(wrong(name, "TRUE or FALSE")),
            },
            Some(_) => Err(wrong(name, "TRUE or FALSE")),
        }
    }

    pub(crate) fn number(&mut self, name: &str) -> Taken<Option<u32>> {
        match self.take(name) {
            None => Ok(None),
            Some(ParamValue::Value(text)) => match Scalar::parse(CimType::Uint32, &text) {
                Ok(Scalar::Uint32(value)) => Ok(Some(value)),
                _ => Err(wrong(name, "an integer of type uint32")),
            },
            Some(_) => Err(wrong(name, "an integer of type uint32")),
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> Taken<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(ParamValue::Value(text)) => Ok(Some(text.to_string())),
            Some(_) => Err(wrong(name, "a string")),
        }
    }

    pub(crate) fn required_text(&mut self, name: &str) -> Taken<String> {
        let text = self.text(name)?;
        Self::required(name, text)
    }

    pub(crate) fn class_name(&mut self, name: &str) -> Taken<Option<ClassName>> {
        match self.take(name) {
            None => Ok(None),
            Some(ParamValue::ClassName(class)) => Ok(Some(class)),
            Some(_) => Err(wrong(name, "a CLASSNAME")),
        }
    }

    pub(crate) fn required_class_name(&mut self, name: &str) -> Taken<ClassName> {
        let class = self.class_name(name)?;
        Self::required(name, class)
    }

    pub(crate) fn property_name(&mut self, name: &str) -> Taken<Option<PropertyName>> {
        Ok(self.text(name)?.map(PropertyName::from))
    }

    pub(crate) fn property_list(&mut self, name: &str) -> Taken<Option<Vec<PropertyName>>> {
        match self.take(name) {
            None => Ok(None),
            Some(ParamValue::Array(items)) => Ok(Some(
                items
                    .iter()
                    .flatten()
                    .map(|item| PropertyName::from(item.clone()))
                    .collect(),
            )),
            Some(_) => Err(wrong(name, "an array of property names")),
        }
    }

    pub(crate) fn instance_name(&mut self, name: &str) -> Taken<InstancePath> {
        match self.take(name) {
            Some(
                ParamValue::InstanceName(path) | ParamValue::Reference(ObjectPath::Instance(path)),
            ) => Ok(path),
            Some(_) => Err(wrong(name, "an INSTANCENAME")),
            None => Self::required(name, None),
        }
    }

    pub(crate) fn object_name(&mut self, name: &str) -> Taken<ObjectPath> {
        match self.take(name) {
            Some(ParamValue::InstanceName(path)) => Ok(ObjectPath::Instance(path)),
            Some(ParamValue::ClassName(class)) => Ok(ObjectPath::Class(ClassPath::new(class))),
            Some(ParamValue::Reference(path)) => Ok(path),
            Some(_) => Err(wrong(name, "an INSTANCENAME or a CLASSNAME")),
            None => Self::required(name, None),
        }
    }

    pub(crate) fn class(&mut self, name: &str) -> Taken<ClassDecl> {
        match self.take(name) {
            Some(ParamValue::Class(class)) => Ok(class),
            Some(_) => Err(wrong(name, "a CLASS")),
            None => Self::required(name, None),
        }
    }

    pub(crate) fn instance(&mut self, name: &str) -> Taken<Instance> {
        match self.take(name) {
            Some(ParamValue::Instance(instance)) => Ok(instance),
            Some(_) => Err(wrong(name, "an instance")),
            None => Self::required(name, None),
        }
    }

    pub(crate) fn qualifier(&mut self, name: &str) -> Taken<QualifierDecl> {
        match self.take(name) {
            Some(ParamValue::QualifierDecl(decl)) => Ok(decl),
            Some(_) => Err(wrong(name, "a QUALIFIER.DECLARATION")),
            None => Self::required(name, None),
        }
    }

    /// A property value, which has no type on the wire; the operation gives it that of the schema.
    pub(crate) fn value(&mut self, name: &str) -> Taken<Option<Value>> {
        Ok(match self.take(name) {
            None => None,
            Some(ParamValue::Value(text)) => Some(Value::Scalar(Scalar::String(text))),
            Some(ParamValue::Array(items)) => {
                let items = items
                    .into_iter()
                    .map(|item| item.map(Scalar::String))
                    .collect();
                Some(Value::Array(ArrayValue {
                    ty: CimType::String,
                    items,
                }))
            }
            Some(ParamValue::Reference(path)) => Some(Value::from(path)),
            Some(_) => return Err(wrong(name, "a value")),
        })
    }
}
