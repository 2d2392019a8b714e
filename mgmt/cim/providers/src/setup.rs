//! Putting the model into a server.

use crate::elements;
use crate::model::Model;
use crate::provider::Elements;
use crate::{links, profiles};
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::NamespaceName;
use cim_ops::interop::Profile;
use cim_ops::{Builder, Provider};

/// The namespace of everything here.
#[must_use]
pub fn namespace() -> NamespaceName {
    NamespaceName::from_static("root/cimv2")
}

/// Adds the providers and associations of a model to a server. Also tells the profiles that they implement, for
/// [`cim_ops::interop::install`].
#[must_use]
pub fn install(model: &Model, builder: Builder) -> (Builder, Vec<Profile>) {
    model.send_events_to(builder.events(), namespace());
    let provider: Rc<dyn Provider> = Rc::new(Elements(model.clone()));
    let with_classes = elements::CLASSES
        .into_iter()
        .fold(builder, |builder, class| {
            builder.provider(namespace(), class, Rc::clone(&provider))
        });
    let all = links::all(model).into_iter();
    let builder = all.fold(with_classes, Builder::association);
    (builder, profiles::all(model))
}
