//! Reading instances: GetInstance, EnumerateInstances and EnumerateInstanceNames.

use crate::caller::Caller;
use crate::engine::{Engine, Sources, fused};
use crate::fault::no_instance;
use crate::layout::Layout;
use crate::request::{Depth, InstanceView};
use crate::response::Stream;
use crate::shape::Shaper;
use alloc::boxed::Box;
use alloc::rc::Rc;
use cim_model::{CimError, ClassName, Instance, InstancePath, NamespaceName};

impl Engine {
    /// GetInstance.
    ///
    /// # Errors
    /// INVALID_CLASS, INVALID_PARAMETER, NOT_FOUND, or the provider's.
    pub(crate) fn get_instance(
        self: &Rc<Self>,
        caller: &Caller,
        namespace: &NamespaceName,
        mut path: InstancePath,
        view: InstanceView,
    ) -> Result<Instance, CimError> {
        let layout = self.normalize(namespace, &mut path)?;
        let shaper = Shaper::new(namespace.clone(), view);
        self.get_shaped(caller, &layout, &path, &shaper)?
            .ok_or_else(|| no_instance(&path))
    }

    /// An instance by its normalized path.
    pub(crate) fn get_shaped(
        self: &Rc<Self>,
        caller: &Caller,
        layout: &Layout,
        path: &InstancePath,
        shaper: &Shaper,
    ) -> Result<Option<Instance>, CimError> {
        let wanted = shaper.wanted(layout);
        let raw = self.fetch(caller, &shaper.namespace, path, wanted.as_deref())?;
        raw.map(|mut raw| {
            raw.path = Some(path.clone());
            shaper.shape(self, layout, raw)
        })
        .transpose()
    }

    /// EnumerateInstances: the instances of a class and of its subclasses.
    ///
    /// # Errors
    /// INVALID_NAMESPACE, INVALID_CLASS; providers' errors come in the stream.
    pub(crate) fn enumerate(
        self: &Rc<Self>,
        caller: &Caller,
        namespace: &NamespaceName,
        class: &ClassName,
        depth: Depth,
        view: InstanceView,
    ) -> Result<Stream<Instance>, CimError> {
        let layout = self.require(namespace, class)?;
        let shaper = Shaper {
            trim: (depth == Depth::Shallow).then_some(layout),
            ..Shaper::new(namespace.clone(), view)
        };
        let sources = self.sources(namespace, class);
        Ok(fused(self.shaped_stream(caller.clone(), sources, shaper)))
    }

    /// EnumerateInstanceNames; the paths carry host and namespace.
    ///
    /// # Errors
    /// As for [`Engine::enumerate`].
    pub(crate) fn enumerate_paths(
        self: &Rc<Self>,
        caller: &Caller,
        namespace: &NamespaceName,
        class: &ClassName,
    ) -> Result<Stream<InstancePath>, CimError> {
        let view = InstanceView {
            class_origin: false,
            properties: Some(alloc::vec::Vec::new()),
        };
        Ok(paths_of(self.enumerate(
            caller,
            namespace,
            class,
            Depth::Deep,
            view,
        )?))
    }

    fn shaped_stream(
        self: &Rc<Self>,
        caller: Caller,
        sources: Sources,
        shaper: Shaper,
    ) -> Stream<Instance> {
        let core = Rc::clone(self);
        let mut waiting = sources.into_iter();
        let mut current: Option<(Rc<Layout>, Stream<Instance>)> = None;
        Box::new(core::iter::from_fn(move || {
            loop {
                if let Some((layout, stream)) = &mut current
                    && let Some(raw) = stream.next()
                {
                    return Some(raw.and_then(|raw| shaper.shape(&core, layout, raw)));
                }
                let (layout, source) = waiting.next()?;
                let wanted = shaper.wanted(&layout);
                match core.open_source(
                    &caller,
                    &shaper.namespace,
                    &layout,
                    &source,
                    wanted.as_deref(),
                ) {
                    Ok(stream) => current = Some((layout, stream)),
                    Err(error) => return Some(Err(error)),
                }
            }
        }))
    }
}

/// The paths of instances that have them.
pub(crate) fn paths_of(instances: Stream<Instance>) -> Stream<InstancePath> {
    Box::new(instances.filter_map(|instance| instance.map(|instance| instance.path).transpose()))
}
