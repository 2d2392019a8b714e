//! Which role an operation needs, and what the audit trail says about it.

use crate::caller::Role;
use crate::request::Operation;
use alloc::format;
use alloc::string::String;
use cim_model::{NamespaceName, Text};

impl Operation {
    /// The least role that may do this.
    pub const fn needed_role(&self) -> Role {
        match self {
            Operation::CreateClass { .. }
            | Operation::ModifyClass { .. }
            | Operation::DeleteClass { .. }
            | Operation::SetQualifier { .. }
            | Operation::DeleteQualifier { .. } => Role::Administrator,
            Operation::CreateInstance { .. }
            | Operation::ModifyInstance { .. }
            | Operation::DeleteInstance { .. }
            | Operation::SetProperty { .. }
            | Operation::Invoke { .. } => Role::Operator,
            _ => Role::ReadOnly,
        }
    }

    /// For a change: the name of the operation and what it changes.
    pub(crate) fn audited(&self, namespace: &NamespaceName) -> Option<(Text, String)> {
        let (name, object) = match self {
            Operation::CreateClass { class } => ("CreateClass", format!("{}", class.name)),
            Operation::ModifyClass { class } => ("ModifyClass", format!("{}", class.name)),
            Operation::DeleteClass { class } => ("DeleteClass", format!("{class}")),
            Operation::SetQualifier { qualifier } => {
                ("SetQualifier", format!("{}", qualifier.name))
            }
            Operation::DeleteQualifier { name } => ("DeleteQualifier", format!("{name}")),
            Operation::CreateInstance { instance } => {
                ("CreateInstance", format!("{}", instance.class))
            }
            Operation::ModifyInstance { instance, .. } => (
                "ModifyInstance",
                match &instance.path {
                    Some(path) => format!("{}", path.to_local()),
                    None => format!("{}", instance.class),
                },
            ),
            Operation::DeleteInstance { path } => {
                ("DeleteInstance", format!("{}", path.to_local()))
            }
            Operation::SetProperty { path, .. } => ("SetProperty", format!("{}", path.to_local())),
            Operation::Invoke { object, method, .. } => {
                let mut object = object.clone();
                object.set_namespace(None);
                object.set_host(None);
                return Some((method.text().clone(), format!("{namespace}:{object}")));
            }
            _ => return None,
        };
        Some((Text::from_static(name), format!("{namespace}:{object}")))
    }
}
