//! [`Fields`]: the properties of an embedded instance, taken one by one.

use super::{fixed, invalid};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use cim_domain::{Patch, Problem};
use cim_model::{CimType, DateTime, Instance, Property, Value, ValueType};
use core::time::Duration;

/// The properties that have not been taken.
pub(super) struct Fields {
    class: String,
    left: Vec<Property>,
}

/// Properties that only say what the host has said; clients send them back with the rest.
const SHOWN: [&str; 5] = [
    "InstanceID",
    "Caption",
    "ChangeableType",
    "ConfigurationName",
    "Generation",
];

impl Fields {
    pub(super) fn new(instance: Instance) -> Self {
        Fields {
            class: instance.class.as_str().into(),
            left: instance.properties,
        }
    }

    /// Takes a property as a value of its type.
    fn take(&mut self, name: &'static str, ty: ValueType) -> Result<Patch<Value>, Problem> {
        let Some(index) = self.left.iter().position(|property| property.name == *name) else {
            return Ok(Patch::Keep);
        };
        let property = self.left.swap_remove(index);
        if property.value.is_null() {
            return Ok(Patch::Clear);
        }
        let value = property.value.coerce(ty);
        value.map(Patch::Set).map_err(|error| {
            let fix = format!("Give a value of type {ty}");
            invalid("BH-TYPE-OF-VALUE", format!("This is {error}"), fix).at(name)
        })
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Patch<String>, Problem> {
        let value = self.take(name, ValueType::scalar(CimType::String))?;
        value.try_map(|value| value.as_str().map(String::from).ok_or_else(|| fixed(name)))
    }

    pub(super) fn texts(&mut self, name: &'static str) -> Result<Patch<Vec<String>>, Problem> {
        let value = self.take(name, ValueType::array(CimType::String))?;
        value.try_map(|value| {
            let items = value.as_array().unwrap_or_default().iter();
            let texts = items.map(|item| Some(String::from(item.as_ref()?.as_str()?)));
            texts.collect::<Option<_>>().ok_or_else(|| {
                let what = "An element of the list is NULL";
                invalid("BH-NULL-IN-LIST", what, "Leave it out").at(name)
            })
        })
    }

    pub(super) fn number<T>(&mut self, name: &'static str, ty: CimType) -> Result<Patch<T>, Problem>
    where
        T: TryFrom<u64>,
    {
        let value = self.take(name, ValueType::scalar(ty))?;
        value.try_map(|value| {
            let number = value.as_u64().and_then(|number| T::try_from(number).ok());
            number.ok_or_else(|| fixed(name))
        })
    }

    /// A property with a value map: a value of it, or the problem which values there are.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(u16, T)],
        what: &str,
    ) -> Result<Patch<T>, Problem> {
        let number: Patch<u16> = self.number(name, CimType::Uint16)?;
        number.try_map(|number| {
            let known = choices.iter().find(|(value, _)| *value == number);
            known.map(|(_, choice)| *choice).ok_or_else(|| {
                let unknown = format!("The value {number} is not supported");
                invalid("BH-CHOICE", unknown, format!("Give {what}, or NULL")).at(name)
            })
        })
    }

    pub(super) fn interval(&mut self, name: &'static str) -> Result<Patch<Duration>, Problem> {
        let value = self.take(name, ValueType::scalar(CimType::DateTime))?;
        value.try_map(|value| match value.as_datetime() {
            Some(DateTime::Interval(interval)) => Ok(Duration::from_micros(interval.micros())),
            _ => {
                let fix = "Give an interval as in \"00000000000130.000000:000\"";
                Err(invalid("BH-INTERVAL", "This is no interval", fix).at(name))
            }
        })
    }

    /// Takes a property that may only be NULL or one of these numbers.
    pub(super) fn only(&mut self, name: &'static str, allowed: &[u64]) -> Result<(), Problem> {
        let Some(index) = self.left.iter().position(|property| property.name == *name) else {
            return Ok(());
        };
        let property = self.left.swap_remove(index);
        let value = property.value;
        let is_allowed = value.is_null()
            || value
                .as_u64()
                .is_some_and(|number| allowed.contains(&number))
            || value
                .as_bool()
                .is_some_and(|flag| allowed.contains(&u64::from(flag)));
        is_allowed.then_some(()).ok_or_else(|| fixed(name))
    }

    /// Takes a property that says what the host has said, whatever it is.
    pub(super) fn ignore(&mut self, name: &'static str) {
        self.left.retain(|property| property.name != *name);
    }

    /// Nothing else may be asked for: what is left over must be NULL, or unknown to nobody.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        for name in SHOWN {
            self.ignore(name);
        }
        let class = cim_schema::class(&self.class);
        for property in &self.left {
            let name = property.name.as_str();
            if class.and_then(|class| class.property(name)).is_none() {
                let what = format!("The class {} has no such property", self.class);
                return Err(invalid("BH-PROPERTY-UNKNOWN", what, "Leave it out").at(name));
            }
            let empty = property.value.as_array().is_some_and(<[_]>::is_empty);
            if !property.value.is_null() && !empty {
                return Err(fixed(name));
            }
        }
        Ok(())
    }
}
