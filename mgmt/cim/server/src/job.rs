//! [`Job`]: a response on its way out, object by object.

use alloc::boxed::Box;
use alloc::vec::Vec;
use cim_model::{CimError, CimType, Text, Value};
use cim_ops::{Batch, BatchObjects, Response, Stream};
use cim_xml::{
    Call, Item, Origin, OutParam, ResponseWriter, Returns, SinkError, write_error,
    write_export_response, write_method_response,
};

/// What a response is made of.
pub(crate) struct Job {
    items: Stream<Item>,
    params: Vec<OutParam>,
    writer: Option<ResponseWriter>,
}

/// What was called, which decides the form of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An operation.
    Intrinsic,
    /// A method of a class.
    Extrinsic,
    /// An export method.
    Export,
}

impl Kind {
    pub(crate) const fn of(call: &Call) -> Self {
        match call {
            Call::Intrinsic { .. } => Kind::Intrinsic,
            Call::Extrinsic { .. } => Kind::Extrinsic,
            Call::Export { .. } => Kind::Export,
        }
    }
}

/// How far a response is.
#[derive(Debug, PartialEq)]
pub(crate) enum Progress {
    /// There is more.
    More,
    /// It is complete.
    Done,
    /// It broke off: an object in the middle could not be made.
    Failed(CimError),
}

/// A response that has begun: either all of it is there, or the rest comes from the job.
pub(crate) struct Begun {
    pub(crate) bytes: Vec<u8>,
    pub(crate) rest: Option<Job>,
}

/// Begins a response: makes up to `limit` bytes of it, so that an early failure becomes an ERROR element.
pub(crate) fn begin(
    message_id: &Text,
    method: &str,
    origin: Origin,
    result: Result<Response, CimError>,
    kind: Kind,
    limit: usize,
) -> Begun {
    let mut bytes = Vec::new();
    let outcome = match result {
        Ok(Response::Method(result)) => {
            // NULL outputs are left out: wbemcli and pywbemcli crash on a NULL reference.
            let outputs: Vec<OutParam> = result
                .outputs
                .into_iter()
                .filter(|output| !output.value.is_null())
                .map(|output| OutParam {
                    name: output.name,
                    value: output.value,
                })
                .collect();
            let ok = Ok((Some(&result.value), outputs.as_slice()));
            write_method_response(&mut bytes, message_id, method, ok).map(|()| None)
        }
        Err(error) if kind == Kind::Export => {
            write_export_response(&mut bytes, message_id, method, Err(&error)).map(|()| None)
        }
        Err(error) if kind == Kind::Extrinsic => {
            write_method_response(&mut bytes, message_id, method, Err(&error)).map(|()| None)
        }
        Err(error) => write_error(&mut bytes, message_id, method, &error).map(|()| None),
        Ok(response) => stream(&mut bytes, message_id, method, origin, response, limit),
    };
    // A vector takes everything, so the error cannot happen; the response would then end here.
    Begun {
        rest: outcome.unwrap_or_default(),
        bytes,
    }
}

fn stream(
    bytes: &mut Vec<u8>,
    message_id: &Text,
    method: &str,
    origin: Origin,
    response: Response,
    limit: usize,
) -> Result<Option<Job>, SinkError> {
    let (returns, items, params) = contents(response);
    let writer = ResponseWriter::begin(bytes, message_id, method, returns, origin)?;
    let mut job = Job {
        items,
        params,
        writer: Some(writer),
    };
    match job.fill(bytes, limit) {
        Progress::More => Ok(Some(job)),
        Progress::Done => Ok(None),
        Progress::Failed(error) => {
            bytes.clear();
            write_error(bytes, message_id, method, &error).map(|()| None)
        }
    }
}

impl Job {
    /// Makes objects until the buffer holds `limit` bytes.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> Progress {
        while out.len() < limit {
            let Some(writer) = &self.writer else {
                return Progress::Done;
            };
            match self.items.next() {
                Some(Ok(item)) => {
                    if writer.item(out, item.as_ref()).is_err() {
                        return Progress::Done;
                    }
                }
                Some(Err(error)) => {
                    self.writer = None;
                    return Progress::Failed(error);
                }
                None => {
                    if let Some(writer) = self.writer.take()
                        && writer.finish(out, &self.params).is_err()
                    {
                        return Progress::Done;
                    }
                    return Progress::Done;
                }
            }
        }
        Progress::More
    }
}

type Contents = (Returns, Stream<Item>, Vec<OutParam>);

fn each<T: 'static>(stream: Stream<T>, item: fn(T) -> Item) -> Contents {
    (
        Returns::Objects,
        Box::new(stream.map(move |object| object.map(item))),
        Vec::new(),
    )
}

fn all<T: 'static>(objects: Vec<T>, item: fn(T) -> Item) -> Contents {
    (
        Returns::Objects,
        Box::new(objects.into_iter().map(move |object| Ok(item(object)))),
        Vec::new(),
    )
}

fn contents(response: Response) -> Contents {
    match response {
        Response::Void | Response::Method(_) => {
            (Returns::Nothing, Box::new(core::iter::empty()), Vec::new())
        }
        Response::Class(class) => all(Vec::from([*class]), Item::Class),
        Response::Classes(stream) => each(stream, Item::Class),
        Response::ClassNames(stream) => each(stream, Item::ClassName),
        Response::Instance(instance) => all(Vec::from([*instance]), Item::Instance),
        Response::InstanceName(path) => all(Vec::from([*path]), Item::InstanceName),
        Response::NamedInstances(stream) => each(stream, Item::NamedInstance),
        Response::InstanceNames(stream) => each(stream, Item::InstanceName),
        Response::Instances(stream) | Response::Rows(stream) => each(stream, Item::InstanceObject),
        Response::ClassesWithPath(classes) => all(classes, Item::ClassObject),
        Response::Paths(stream) => each(stream, Item::ObjectPath),
        Response::Value(value) => all(Vec::from([value]), Item::Value),
        Response::Qualifier(decl) => all(Vec::from([*decl]), Item::QualifierDecl),
        Response::Qualifiers(stream) => each(stream, Item::QualifierDecl),
        Response::Count(count) => all(Vec::from([Value::from(count)]), Item::Value),
        Response::Batch(batch) => batch_contents(batch),
    }
}

fn batch_contents(batch: Batch) -> Contents {
    let (returns, items, _) = match batch.objects {
        BatchObjects::InstancesWithPath(objects) => all(objects, Item::InstanceWithPath),
        BatchObjects::Paths(objects) => all(objects, Item::InstancePath),
        BatchObjects::Instances(objects) => all(objects, Item::Instance),
    };
    let mut params = Vec::new();
    let mut add = |name: &'static str, value: Value| {
        params.push(OutParam {
            name: name.into(),
            value,
        })
    };
    add("EndOfSequence", Value::from(batch.context.is_none()));
    add(
        "EnumerationContext",
        Value::or_null(batch.context, CimType::String),
    );
    if let Some(class) = batch.result_class {
        add("QueryResultClass", Value::from(*class));
    }
    (returns, items, params)
}
