//! Open enumerations and their contexts (DSP0200 5.4.2.24).
//!
//! A context belongs to one account and one namespace, dies when its client is silent for too long, and holds
//! a lazy stream, so an open enumeration of a million instances costs no more than one of ten.

use crate::ahead::Ahead;
use crate::caller::{Caller, Clock};
use crate::fault::{error, invalid};
use crate::request::{OpenOptions, PullKind};
use crate::response::{Batch, BatchObjects, Stream};
use crate::settings::Settings;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use cim_model::{CimError, CimStatus, Instance, InstancePath, NamespaceName, Text};
use core::time::Duration;

/// Objects that may be made ahead in order to count them, of one enumeration and of all open ones.
const MAX_AHEAD: usize = 100;
const MAX_AHEAD_OF_ALL: usize = 2_000;

/// What an open enumeration still has to return.
pub(crate) enum Objects {
    InstancesWithPath(Ahead<Instance>),
    Paths(Ahead<InstancePath>),
    Instances(Ahead<Instance>),
}

struct Open {
    objects: Objects,
    namespace: NamespaceName,
    user: Text,
    timeout: Duration,
    deadline: Duration,
    empty_pulls: u32,
}

/// The open enumerations of all clients.
#[derive(Default)]
pub(crate) struct Enumerations {
    open: BTreeMap<String, Open>,
    opened: u64,
}

impl Objects {
    pub(crate) fn instances(stream: Stream<Instance>) -> Self {
        Objects::InstancesWithPath(Ahead::new(stream))
    }

    pub(crate) fn paths(stream: Stream<InstancePath>) -> Self {
        Objects::Paths(Ahead::new(stream))
    }

    pub(crate) fn rows(stream: Stream<Instance>) -> Self {
        Objects::Instances(Ahead::new(stream))
    }

    const fn kind(&self) -> PullKind {
        match self {
            Objects::InstancesWithPath(_) => PullKind::InstancesWithPath,
            Objects::Paths(_) => PullKind::Paths,
            Objects::Instances(_) => PullKind::Instances,
        }
    }

    fn take(&mut self, count: usize) -> Result<BatchObjects, CimError> {
        Ok(match self {
            Objects::InstancesWithPath(stream) => {
                BatchObjects::InstancesWithPath(some(stream, count)?)
            }
            Objects::Paths(stream) => BatchObjects::Paths(some(stream, count)?),
            Objects::Instances(stream) => BatchObjects::Instances(some(stream, count)?),
        })
    }

    fn is_exhausted(&mut self) -> bool {
        match self {
            Objects::InstancesWithPath(stream) | Objects::Instances(stream) => {
                stream.is_exhausted()
            }
            Objects::Paths(stream) => stream.is_exhausted(),
        }
    }

    /// Objects that were made to be counted and have not been returned.
    fn made(&self) -> usize {
        match self {
            Objects::InstancesWithPath(stream) | Objects::Instances(stream) => stream.made(),
            Objects::Paths(stream) => stream.made(),
        }
    }

    /// How many objects remain, if not more than `limit`.
    fn remaining(&mut self, limit: usize) -> Option<usize> {
        match self {
            Objects::InstancesWithPath(stream) | Objects::Instances(stream) => {
                stream.count_up_to(limit)
            }
            Objects::Paths(stream) => stream.count_up_to(limit),
        }
    }
}

fn some<T>(stream: &mut Ahead<T>, count: usize) -> Result<Vec<T>, CimError> {
    stream.by_ref().take(count).collect()
}

impl Enumerations {
    /// Answers an Open operation.
    ///
    /// # Errors
    /// INVALID_OPERATION_TIMEOUT, CONTINUATION_ON_ERROR_NOT_SUPPORTED, SERVER_LIMITS_EXCEEDED, or one from the
    /// first objects.
    pub(crate) fn open(
        &mut self,
        caller: &Caller,
        namespace: &NamespaceName,
        settings: &Settings,
        options: &OpenOptions,
        mut objects: Objects,
    ) -> Result<Batch, CimError> {
        let timeout = timeout_of(settings, options)?;
        self.expire(caller.clock);
        let first = objects.take(batch_size(settings, options.max_objects))?;
        if options.max_objects > 0 && objects.is_exhausted() {
            return Ok(Batch {
                objects: first,
                context: None,
                result_class: None,
            });
        }
        let own = self.open.values().filter(|open| open.user == caller.user);
        if self.open.len() >= settings.max_enumerations
            || own.count() >= settings.max_enumerations_of_one
        {
            return Err(error(
                CimStatus::ServerLimitsExceeded,
                "The server has too many open enumerations; close some or try again later.",
            ));
        }
        self.opened = self.opened.wrapping_add(1);
        let context = format!("{:x}-{:x}", self.opened, caller.clock.unix_micros);
        self.open.insert(
            context.clone(),
            Open {
                objects,
                namespace: namespace.clone(),
                user: caller.user.clone(),
                timeout,
                deadline: caller.clock.monotonic.saturating_add(timeout),
                empty_pulls: 0,
            },
        );
        Ok(Batch {
            objects: first,
            context: Some(context),
            result_class: None,
        })
    }

    /// Answers a Pull operation.
    ///
    /// # Errors
    /// INVALID_ENUMERATION_CONTEXT, INVALID_PARAMETER for the wrong kind of Pull, SERVER_LIMITS_EXCEEDED, or
    /// one from the objects, which closes the enumeration.
    pub(crate) fn pull(
        &mut self,
        caller: &Caller,
        namespace: &NamespaceName,
        settings: &Settings,
        kind: PullKind,
        context: &str,
        max_objects: u32,
    ) -> Result<Batch, CimError> {
        let open = self.find(caller, namespace, context)?;
        if open.objects.kind() != kind {
            return Err(invalid(
                "The enumeration was opened for another kind of objects.",
            ));
        }
        open.empty_pulls = if max_objects == 0 {
            open.empty_pulls.saturating_add(1)
        } else {
            0
        };
        let exceeded = open.empty_pulls > settings.max_empty_pulls;
        open.deadline = caller.clock.monotonic.saturating_add(open.timeout);
        let taken = match open.objects.take(batch_size(settings, max_objects)) {
            Ok(_) if exceeded => Err(error(
                CimStatus::ServerLimitsExceeded,
                "Too many pulls for zero objects; the enumeration is closed.",
            )),
            taken => taken,
        };
        let ended = taken.is_err() || max_objects > 0 && open.objects.is_exhausted();
        if ended {
            self.open.remove(context);
        }
        Ok(Batch {
            objects: taken?,
            context: (!ended).then(|| String::from(context)),
            result_class: None,
        })
    }

    /// Answers CloseEnumeration.
    ///
    /// # Errors
    /// INVALID_ENUMERATION_CONTEXT.
    pub(crate) fn close(
        &mut self,
        caller: &Caller,
        namespace: &NamespaceName,
        context: &str,
    ) -> Result<(), CimError> {
        self.find(caller, namespace, context)?;
        self.open.remove(context);
        Ok(())
    }

    /// Answers EnumerationCount. Counting means making the objects, so it is done only for few.
    ///
    /// # Errors
    /// INVALID_ENUMERATION_CONTEXT, or NOT_SUPPORTED when there are more objects than are made ahead.
    pub(crate) fn count(
        &mut self,
        caller: &Caller,
        namespace: &NamespaceName,
        context: &str,
    ) -> Result<u64, CimError> {
        self.find(caller, namespace, context)?;
        let made: usize = self.open.values().map(|open| open.objects.made()).sum();
        let open = self.find(caller, namespace, context)?;
        let others = made.saturating_sub(open.objects.made());
        let limit = MAX_AHEAD_OF_ALL.saturating_sub(others).min(MAX_AHEAD);
        let remaining = open.objects.remaining(limit);
        remaining
            .and_then(|count| u64::try_from(count).ok())
            .ok_or_else(|| {
                crate::fault::unsupported(
                    "The number of remaining objects is too large to be counted.",
                )
            })
    }

    /// Drops the enumerations whose clients have been silent for too long.
    pub(crate) fn expire(&mut self, clock: Clock) {
        self.open.retain(|_, open| open.deadline > clock.monotonic);
    }

    fn find(
        &mut self,
        caller: &Caller,
        namespace: &NamespaceName,
        context: &str,
    ) -> Result<&mut Open, CimError> {
        self.expire(caller.clock);
        let found = self.open.get_mut(context);
        found
            .filter(|open| open.user == caller.user && open.namespace == *namespace)
            .ok_or_else(|| {
                error(
                    CimStatus::InvalidEnumerationContext,
                    "The enumeration context is unknown, closed or expired.",
                )
            })
    }
}

fn timeout_of(settings: &Settings, options: &OpenOptions) -> Result<Duration, CimError> {
    if options.continue_on_error {
        return Err(error(
            CimStatus::ContinuationOnErrorNotSupported,
            "This server ends an enumeration at its first error.",
        ));
    }
    let Some(seconds) = options.timeout else {
        return Ok(settings.default_timeout);
    };
    let timeout = Duration::from_secs(u64::from(seconds));
    if timeout.is_zero() || timeout > settings.max_timeout {
        return Err(error(
            CimStatus::InvalidOperationTimeout,
            format_args!(
                "The operation timeout must be between 1 and {} seconds.",
                settings.max_timeout.as_secs()
            ),
        ));
    }
    Ok(timeout)
}

fn batch_size(settings: &Settings, max_objects: u32) -> usize {
    usize::try_from(max_objects)
        .unwrap_or(usize::MAX)
        .min(settings.max_batch)
}
