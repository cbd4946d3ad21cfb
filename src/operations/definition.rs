//! The definition of an operation: name, tool, route, permission, schemas, and how it runs.

use std::{marker::PhantomData, pin::Pin, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, transform::RecursiveTransform};
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    input,
    schema_forms::{self, PlainForms},
};
use crate::{
    call::{
        Finished, LongPollOperation, MAX_WAIT_SECONDS, OutwardContext, OutwardOperation, PollOutcome, ReadContext,
        ReadOperation, Start, StreamContext, StreamOperation, WriteContext, WriteOperation,
    },
    error::{Error, Result},
    metrics::OperationMetrics,
    model::{Permission, Resource, Role},
};

/// An operation's response as JSON: wiped from memory when dropped, since it may hold a secret.
pub type ResponseBody = Zeroizing<String>;

/// An operation, for interfaces.
pub struct Operation {
    /// Its name: the MCP tool's, and the `operationId` of the OpenAPI document.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// The annotations of its MCP tool, if it has one.
    pub tool: Option<Hints>,
    /// REST method.
    pub method: Method,
    /// REST path; `{field}` is a field of the input.
    pub path: &'static str,
    /// REST status of success.
    pub status: u16,
    /// The permission that the caller needs.
    pub needs: Permission,
    /// Whether callers without a credential reach the operation, which decides itself.
    pub open_to_anonymous: bool,
    /// Whether its response holds a secret: it is then not kept for idempotent retries.
    pub answers_secret: bool,
    /// Whether its response may be a little out of date, and say so: a replica may answer it.
    pub may_lag: bool,
    /// Media types of the REST response: JSON, except for streams.
    pub media_types: &'static [&'static str],
    /// The field, if any, with an address that haldir will call: it is resolved and checked before the operation runs.
    pub address_field: Option<&'static str>,
    /// Its metrics in this process.
    pub measured: OperationMetrics,
    /// How it runs.
    pub run: Run,
    check: fn(&str) -> Result<()>,
    input_schema: fn(&mut SchemaGenerator) -> Schema,
    output_schema: fn(&mut SchemaGenerator) -> Schema,
}

/// HTTP methods of the REST API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    /// The method's name in HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// Whether the input is in the body.
    pub fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put)
    }
}

/// How an operation runs: from the JSON of its input to that of its response.
#[derive(Clone, Copy)]
pub enum Run {
    /// A look-up by key: takes microseconds, runs on the worker that received the call.
    Read(fn(&ReadContext<'_>, &str) -> Result<ResponseBody>),
    /// A list or a verification: runs on a reader thread.
    Scan(fn(&ReadContext<'_>, &str) -> Result<ResponseBody>),
    /// A look-up with long polling.
    LongPoll(Poll),
    /// A list too large for memory: runs like a scan, and writes while the client reads.
    Stream(fn(&StreamContext<'_>, &str, Start) -> Result<Finished>),
    /// A change with an outgoing request between two transactions.
    Outward(fn(&str, OutwardContext) -> Result<OutwardFuture>),
    /// A change: its input is parsed on the worker that received the call, the rest runs in the writer's transaction.
    Write(fn(Arc<Zeroizing<String>>) -> Result<Prepared>),
}

impl Run {
    /// Whether it changes data.
    pub fn changes(&self) -> bool {
        matches!(self, Self::Write(_) | Self::Outward(_))
    }
}

/// One poll of a long-polling operation.
pub type Poll = fn(&ReadContext<'_>, &str) -> Result<PollResult>;

/// The result of one poll.
pub struct PollResult {
    /// The present response.
    pub body: ResponseBody,
    /// How long the caller would wait for another one; 0 if this one is final.
    pub wait_seconds: u64,
}

/// A change with a valid input. It can run again, in another transaction.
pub type Prepared = Box<dyn FnMut(&mut WriteContext<'_>) -> Result<Renderer> + Send>;
/// A running outward operation. It yields the response, and whether a retry gets the same.
pub type OutwardFuture = Pin<Box<dyn Future<Output = Result<(ResponseBody, bool)>> + Send>>;
/// Renders the response as JSON, outside the writer thread.
pub type Renderer = Box<dyn FnOnce() -> Result<ResponseBody> + Send>;

/// MCP tool annotations. All ten tools work on haldir alone, never on an open world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Hints {
    pub read_only: bool,
    pub destructive: bool,
    pub idempotent: bool,
}

impl Hints {
    /// Read-only.
    pub const READS: Self = Self { read_only: true, destructive: false, idempotent: true };
    /// Adds something each time, if only a log entry.
    pub const ADDS: Self = Self { read_only: false, destructive: false, idempotent: false };
    /// Replaces what was there.
    pub const REPLACES: Self = Self { read_only: false, destructive: true, idempotent: false };
    /// Ends something for good; repeating it changes nothing.
    pub const ENDS: Self = Self { read_only: false, destructive: true, idempotent: true };
}

impl Operation {
    /// JSON Schema 2020-12 of the input; its description is the operation's.
    pub fn input_schema(&self) -> Schema {
        let mut schema = alone(self.input_schema, schema_settings(false).for_deserialize());
        schema_forms::input(&mut schema);
        schema
    }

    /// JSON Schema 2020-12 of the response.
    pub fn output_schema(&self) -> Schema {
        alone(self.output_schema, schema_settings(false).for_serialize())
    }

    /// The input's schema as part of a larger document; its generator collects the definitions.
    pub fn input_schema_in(&self, generator: &mut SchemaGenerator) -> Schema {
        transformed(self.input_schema, generator)
    }

    /// The response's schema as part of a larger document.
    pub fn output_schema_in(&self, generator: &mut SchemaGenerator) -> Schema {
        transformed(self.output_schema, generator)
    }

    /// Validates a JSON text as its input, without running it.
    pub fn check(&self, json: &str) -> Result<()> {
        (self.check)(json)
    }

    /// Its description for people and models: the doc comment of its input type.
    pub fn description(&self) -> String {
        let schema = self.input_schema();
        schema.get("description").and_then(|text| text.as_str()).unwrap_or_default().to_owned()
    }

    /// Whether a retry with the same idempotency key gets the first response.
    pub fn takes_idempotency_key(&self) -> bool {
        self.method == Method::Post && self.run.changes()
    }

    /// The fields in the path.
    pub fn path_fields(&self) -> impl Iterator<Item = &'static str> {
        let field = |segment: &'static str| {
            let name = segment.strip_prefix('{')?.strip_suffix('}')?;
            // The last field of a path may match the rest of it.
            Some(name.strip_prefix('*').unwrap_or(name))
        };
        self.path.split('/').filter_map(field)
    }
}

/// Settings for schemas: JSON Schema 2020-12 in forms that all known converters accept, with doc comments joined to one line.
/// `int64` says whether whole numbers have that format.
pub fn schema_settings(int64: bool) -> SchemaSettings {
    let join_lines = RecursiveTransform(|schema: &mut Schema| {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.replace('\n', " ");
        }
    });
    SchemaSettings::draft2020_12().with_transform(join_lines).with_transform(PlainForms { int64 })
}

/// The generator transforms definitions, but not a schema that refers to them.
fn transformed(schema: fn(&mut SchemaGenerator) -> Schema, generator: &mut SchemaGenerator) -> Schema {
    let mut schema = schema(generator);
    for transform in generator.transforms_mut() {
        transform.transform(&mut schema);
    }
    schema
}

/// A schema without references, which some converters lose: definitions are inlined.
fn alone(schema: fn(&mut SchemaGenerator) -> Schema, settings: SchemaSettings) -> Schema {
    let settings = settings.with(|settings| settings.inline_subschemas = true);
    let mut generator = settings.into_generator();
    let mut schema = transformed(schema, &mut generator);
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty() {
        schema.insert("$defs".into(), definitions.into());
    }
    schema
}

/// The builder of an [`Operation`].
pub(super) struct Named<O> {
    operation: Operation,
    input: PhantomData<O>,
}

pub(super) fn read<O: ReadOperation>(name: &'static str, title: &'static str) -> Named<O> {
    named::<O, O::Output>(name, title, Run::Read(run_read::<O>))
}

pub(super) fn scan<O: ReadOperation>(name: &'static str, title: &'static str) -> Named<O> {
    named::<O, O::Output>(name, title, Run::Scan(run_read::<O>))
}

/// An operation with a streamed response, such as an export. REST and the terminal client offer it, MCP does not.
pub(super) fn stream<O: StreamOperation>(name: &'static str, title: &'static str) -> Named<O> {
    let mut named = named::<O, O::Body>(name, title, Run::Stream(run_stream::<O>));
    named.operation.media_types = O::MEDIA_TYPES;
    named
}

pub(super) fn long_poll<O: LongPollOperation>(name: &'static str, title: &'static str) -> Named<O> {
    named::<O, O::Output>(name, title, Run::LongPoll(poll::<O>))
}

/// An operation with an outgoing request between two transactions.
pub(super) fn outward<O: OutwardOperation>(name: &'static str, title: &'static str) -> Named<O> {
    named::<O, O::Output>(name, title, Run::Outward(run_outward::<O>))
}

pub(super) fn write<O: WriteOperation>(name: &'static str, title: &'static str) -> Named<O> {
    named::<O, O::Output>(name, title, Run::Write(prepare::<O>))
}

fn named<I: JsonSchema + DeserializeOwned, O: JsonSchema>(
    name: &'static str,
    title: &'static str,
    run: Run,
) -> Named<I> {
    Named {
        operation: Operation {
            name,
            title,
            tool: None,
            method: Method::Get,
            path: "",
            status: 200,
            // The strictest permission, until `needs` sets the real one.
            needs: Permission { resource: Resource::Admin, write: true, role: Role::Operator },
            open_to_anonymous: false,
            answers_secret: false,
            may_lag: false,
            media_types: &["application/json"],
            address_field: None,
            measured: OperationMetrics::default(),
            run,
            check: |json| input::parse::<I>(json).map(drop),
            input_schema: I::json_schema,
            output_schema: O::json_schema,
        },
        input: PhantomData,
    }
}

impl<O> Named<O> {
    pub(super) fn tool(mut self, hints: Hints) -> Self {
        self.operation.tool = Some(hints);
        self
    }

    pub(super) fn route(mut self, method: Method, path: &'static str, status: u16) -> Self {
        (self.operation.method, self.operation.path, self.operation.status) = (method, path, status);
        self
    }

    pub(super) fn answers_secret(mut self) -> Self {
        self.operation.answers_secret = true;
        self
    }

    /// For lists and reports that nothing follows from by itself: a caller who acts on an old one is told of it when it acts.
    pub(super) fn may_lag(mut self) -> Self {
        self.operation.may_lag = true;
        self
    }

    pub(super) fn calls_out_to(mut self, field: &'static str) -> Self {
        self.operation.address_field = Some(field);
        self
    }

    pub(super) fn open_to_anonymous(mut self) -> Self {
        self.operation.open_to_anonymous = true;
        self
    }

    /// Requires the key scope `resource:write` for a change, else `resource:read`, and at least this role.
    pub(super) fn needs(self, resource: Resource, role: Role) -> Operation {
        let write = self.operation.run.changes();
        Operation { needs: Permission { resource, write, role }, ..self.operation }
    }

    /// Like [`Self::needs`], for an operation that reads and leaves an audit entry.
    pub(super) fn needs_read(self, resource: Resource, role: Role) -> Operation {
        Operation { needs: Permission { resource, write: false, role }, ..self.operation }
    }
}

fn run_read<O: ReadOperation>(cx: &ReadContext<'_>, json: &str) -> Result<ResponseBody> {
    let operation: O = input::parse(json)?;
    render(&operation.run(cx)?)
}

fn run_stream<O: StreamOperation>(cx: &StreamContext<'_>, json: &str, start: Start) -> Result<Finished> {
    let operation: O = input::parse(json)?;
    operation.run(cx, start)
}

fn poll<O: LongPollOperation>(cx: &ReadContext<'_>, json: &str) -> Result<PollResult> {
    let operation: O = input::parse(json)?;
    let wait_seconds = u64::try_from(operation.wait_seconds()?.min(MAX_WAIT_SECONDS)).unwrap_or(0);
    match operation.poll(cx)? {
        PollOutcome::Final(output) => Ok(PollResult { body: render(&output)?, wait_seconds: 0 }),
        PollOutcome::Pending(output) => Ok(PollResult { body: render(&output)?, wait_seconds }),
    }
}

fn run_outward<O: OutwardOperation>(json: &str, cx: OutwardContext) -> Result<OutwardFuture> {
    let operation: O = input::parse(json)?;
    Ok(Box::pin(async move {
        let output = operation.run(cx).await?;
        Ok((render(&output)?, O::is_kept(&output)))
    }))
}

fn prepare<O: WriteOperation>(json: Arc<Zeroizing<String>>) -> Result<Prepared> {
    let mut parsed = Some(input::parse::<O>(&json)?);
    Ok(Box::new(move |cx| {
        let operation = parsed.take().map_or_else(|| input::parse(&json), Ok)?;
        let output = operation.run(cx)?;
        Ok(Box::new(move || render(&output)))
    }))
}

fn render(output: &impl serde::Serialize) -> Result<ResponseBody> {
    serde_json::to_string(output).map(Zeroizing::new).map_err(Error::internal)
}
