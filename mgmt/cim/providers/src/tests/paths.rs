//! Elements and their paths.

use super::fixture::{all, world};
use crate::element::Element;
use crate::shown;
use cim_model::InstancePath;

#[test]
fn every_element_is_found_by_its_path() {
    let domain = world();
    let elements = all(&domain);
    for element in &elements {
        let path = element.path(&domain).unwrap();
        assert_eq!(
            Element::of(&path, &domain).as_ref(),
            Some(element),
            "{path}"
        );
    }
    let mut paths: Vec<_> = elements
        .iter()
        .map(|element| element.path(&domain))
        .collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), elements.len(), "paths are unique");
}

#[test]
fn paths_of_nothing_find_nothing() {
    let domain = world();
    let id =
        |class: &'static str, id: &'static str| InstancePath::new(class).with_key("InstanceID", id);
    for path in [
        id("BH_VirtualSystemSettingData", "BH:system/99/defined"),
        id("BH_VirtualSystemSettingData", "BH:system/01/defined"),
        id("BH_VirtualSystemSettingData", "BH:system/1/other"),
        id("CIM_ConcreteJob", "BH:system/1/defined"),
        id(
            "CIM_ResourceAllocationSettingData",
            "BH:system/1/state/allocation/1",
        ),
        id("CIM_ResourcePool", "BH:pool/x"),
        id("CIM_ConcreteJob", ""),
        InstancePath::new("CIM_ComputerSystem").with_key("Name", "host"),
        InstancePath::new("CIM_ComputerSystem")
            .with_key("CreationClassName", "CIM_ComputerSystem")
            .with_key("Name", "01010101-0101-4101-8101-010101010102"),
        InstancePath::new("CIM_ComputerSystem"),
    ] {
        let element = Element::of(&path, &domain);
        let instance = element.and_then(|element| shown::instance(&domain, &element));
        assert_eq!(instance, None, "{path}");
    }
}
