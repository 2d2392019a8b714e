//! Methods of the resource pool configuration service (DSP1041).

use super::Call;
use super::service::{missing, unexpected};
use crate::element::Element;
use crate::faults;
use crate::given::{self, invalid};
use crate::values::return_code;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cim_domain::{HostDevice, PoolId, PoolKind, PoolShare, Problem, ProblemKind};
use cim_model::{CimError, Instance, MethodName, Scalar, Value};
use cim_ops::{Argument, MethodResult};

impl Call<'_> {
    pub(super) fn pools(&self, method: &MethodName) -> Result<MethodResult, CimError> {
        let outcome = if *method == "CreateChildResourcePool" {
            self.create_pool()
        } else if *method == "DeleteResourcePool" {
            self.delete_pool()
        } else if *method == "AddResourcesToResourcePool" {
            self.move_devices(cim_domain::Domain::add_to_pool)
        } else if *method == "RemoveResourcesFromResourcePool" {
            self.move_devices(cim_domain::Domain::remove_from_pool)
        } else if *method == "ChangeParentResourcePool" {
            self.change_pool()
        } else if *method == "CreateResourcePool" {
            // The host has no resource that is in no pool.
            Err(Problem::new(
                ProblemKind::Unsupported,
                "BH-POOL-PRIMORDIAL",
                "Everything that the host has is in a primordial pool already",
                "Use CreateChildResourcePool",
            ))
        } else {
            return Err(self.unavailable(method));
        };
        outcome.or_else(|problem| {
            let code = match problem.kind {
                ProblemKind::State | ProblemKind::Busy => return_code::IN_USE,
                ProblemKind::Resources => return_code::INSUFFICIENT_RESOURCES,
                ProblemKind::Unsupported => return_code::NOT_SUPPORTED,
                ProblemKind::Store | ProblemKind::Machine => return_code::POOL_FAILED,
                _ if problem.id == "BH-POOL-KIND" => return_code::WRONG_RESOURCE_TYPE,
                _ => return Err(faults::error(&problem)),
            };
            let few = *method == "CreateChildResourcePool" || *method == "ChangeParentResourcePool";
            let code = match code {
                // The other methods have no such return code.
                return_code::INSUFFICIENT_RESOURCES if !few => return_code::IN_USE,
                code => code,
            };
            Ok(self.refusal(code, None, problem))
        })
    }

    fn create_pool(&self) -> Result<MethodResult, Problem> {
        let name = self.argument("ElementName").and_then(Value::as_str);
        let name = name.filter(|name| !name.is_empty()).map(String::from);
        let parent = self.parent_pool()?;
        let share = self.share(parent.kind())?;
        let share = share.ok_or_else(|| missing("Settings"))?;
        let make = |domain: &mut cim_domain::Domain| domain.create_pool(name, parent, share);
        let id = self.model.change(make)?;
        let pool = Argument::new("Pool", self.reference(&Element::Pool(id)));
        Ok(Self::plain(return_code::COMPLETED).with(pool))
    }

    fn delete_pool(&self) -> Result<MethodResult, Problem> {
        let id = self.pool("Pool")?;
        self.model.change(|domain| domain.delete_pool(id))?;
        Ok(Self::plain(return_code::COMPLETED))
    }

    fn change_pool(&self) -> Result<MethodResult, Problem> {
        let id = self.pool("ChildPool")?;
        let parent = match self.argument("ParentPool") {
            Some(_) => self.parent_pool()?,
            // Only the size changes.
            None => {
                let parent = self.model.read(|domain| domain.ledger().pool(id)?.parent);
                parent.ok_or_else(|| missing("ParentPool"))?
            }
        };
        let share = self.share(id.kind())?;
        self.model
            .change(|domain| domain.change_pool(id, parent, share))?;
        Ok(Self::plain(return_code::COMPLETED))
    }

    fn move_devices(
        &self,
        carry_out: fn(&mut cim_domain::Domain, PoolId, &[u32]) -> Result<(), Problem>,
    ) -> Result<MethodResult, Problem> {
        let id = self.pool("Pool")?;
        let devices = self.devices("HostResources")?;
        let numbers = numbers(id.kind(), &devices)?;
        self.model
            .change(|domain| carry_out(domain, id, &numbers))?;
        Ok(Self::plain(return_code::COMPLETED))
    }

    fn pool(&self, parameter: &str) -> Result<PoolId, Problem> {
        match self.required(parameter)? {
            Element::Pool(id) => Ok(id),
            _ => Err(unexpected(parameter, "a resource pool")),
        }
    }

    /// The one pool that ParentPool names.
    fn parent_pool(&self) -> Result<PoolId, Problem> {
        const PARAMETER: &str = "ParentPool";
        match self.devices(PARAMETER)?.as_slice() {
            [Element::Pool(id)] => Ok(*id),
            [_] => Err(unexpected(PARAMETER, "a resource pool")),
            several => Err(invalid(
                "BH-POOL-PARENT",
                format!(
                    "A child pool has one parent, and this names {}",
                    several.len()
                ),
                "Name one pool",
            )
            .at(PARAMETER)),
        }
    }

    /// The elements that an array of references names.
    fn devices(&self, parameter: &str) -> Result<Vec<Element>, Problem> {
        let value = self.argument(parameter).ok_or_else(|| missing(parameter))?;
        let items = value.as_array().unwrap_or_default().iter().enumerate();
        items
            .map(|(index, item)| {
                let path = item.as_ref().and_then(Scalar::as_instance_path);
                let element = path.and_then(|path| self.element(path));
                element.ok_or_else(|| {
                    let what = "There is no such instance";
                    Problem::new(ProblemKind::NotFound, "BH-REFERENCE", what, "")
                        .at(format!("{parameter}[{index}]"))
                })
            })
            .collect()
    }

    /// What the parameter Settings says of the size of a pool; `None` where it says nothing.
    fn share(&self, kind: PoolKind) -> Result<Option<PoolShare>, Problem> {
        let mut settings = self.embedded("Settings")?;
        let Some(setting) = settings.pop() else {
            return Ok(None);
        };
        if !settings.is_empty() {
            let what = "A pool has one parent, and one allocation from it";
            return Err(invalid("BH-POOL-SIZE", what, "Give one").at("Settings"));
        }
        let share = self.share_of(setting, kind);
        share.map(Some).map_err(|problem| problem.at("Settings[0]"))
    }

    fn share_of(&self, mut setting: Instance, kind: PoolKind) -> Result<PoolShare, Problem> {
        const NAMED: &str = "HostResource";
        let named = setting.get(NAMED).cloned();
        // The share of another pool as a client has read it; pools are dedicated by nature.
        setting.properties.retain(|property| {
            property.name != "MappingBehavior"
                && (kind == PoolKind::Memory || property.name != *NAMED)
        });
        let change = given::allocation(setting, |uri| self.host_device(uri))?;
        let fits = |given| PoolKind::of(given) == Some(kind);
        if let Some(given) = change.kind
            && !fits(given)
        {
            let what = "This kind of resource does not come from that pool";
            let fix = "Give the ResourceType of the pool";
            return Err(invalid("BH-POOL-KIND", what, fix).at("ResourceType"));
        }
        let texts = named.as_ref().and_then(Value::as_array).unwrap_or_default();
        if texts.is_empty() || kind == PoolKind::Memory {
            return self.model.read(|domain| domain.pool_share(change, kind));
        }
        let numbers: Result<Vec<u32>, Problem> = texts
            .iter()
            .map(|text| {
                let text = text.as_ref().and_then(Scalar::as_str).unwrap_or_default();
                match self.host_device(text) {
                    Some(HostDevice::Processor(number)) => Ok(number),
                    _ => {
                        let what = format!("\"{text}\" names no processor of the host");
                        Err(Problem::new(ProblemKind::NotFound, "BH-REFERENCE", what, "").at(NAMED))
                    }
                }
            })
            .collect();
        let numbers = numbers?;
        let count = u64::try_from(numbers.len()).unwrap_or(u64::MAX);
        if change.quantity.given().is_some_and(|given| *given != count) {
            let what = format!("It names {count} processors and asks for another number");
            let problem = invalid("BH-POOL-SIZE", what, "Leave the quantity out");
            return Err(problem.at("VirtualQuantity"));
        }
        Ok(PoolShare::Processors(numbers))
    }
}

/// The numbers of physical CPUs.
fn numbers(kind: PoolKind, devices: &[Element]) -> Result<Vec<u32>, Problem> {
    let number = |device: &Element| match (kind, device) {
        (PoolKind::Processor, Element::HostProcessor(number)) => Ok(*number),
        // The domain says why not.
        (PoolKind::Memory, Element::HostMemory(_)) => Ok(0),
        (PoolKind::Processor, _) => Err("The pool takes processors of the host and nothing else"),
        (PoolKind::Memory, _) => Err("The pool takes memory of the host and nothing else"),
    };
    let numbers = devices.iter().map(number);
    numbers.collect::<Result<_, _>>().map_err(|what| {
        invalid(
            "BH-POOL-KIND",
            what.to_string(),
            "Name devices of that kind",
        )
        .at("HostResources")
    })
}
