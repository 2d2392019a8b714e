//! States of everything, saved, damaged and restored.

mod devices;
mod partitions;

use super::bytes::{Coded, sealed};
use super::*;
use std::fmt::Debug;

/// The value as it comes back from its bytes.
fn through_bytes<T: Coded + PartialEq + Debug>(value: &T) -> T {
    let mut writer = Writer::new();
    writer.section(Kind::Pic, 1, |to| value.save(to));
    let bytes = writer.finish().unwrap();
    let mut sections = Sections::of(&bytes).unwrap();
    let loaded = sections.section(Kind::Pic, 1, T::load).unwrap();
    sections.end().unwrap();
    assert_eq!(loaded, *value);
    loaded
}
