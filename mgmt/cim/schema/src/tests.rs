//! Tests over the real schema.

use super::*;

#[test]
fn size_is_reported() {
    println!("{} classes in {TABLE_BYTES} bytes", classes().len());
}

#[test]
fn every_class_is_found_in_any_case() {
    for class in classes() {
        assert_eq!(super::class(class.name()), Some(class));
        assert_eq!(super::class(&class.name().to_uppercase()), Some(class));
    }
    assert_eq!(super::class("CIM_Nothing"), None);
    assert_eq!(super::class(""), None);
}
