//! What is known of an operation besides its own file.

use std::{marker::PhantomData, pin::Pin};

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
        Finished, MAX_WAIT_SECONDS, OutwardContext, OutwardOperation, ReadContext, ReadOperation, Start, StreamContext,
        StreamOperation, WaitOperation, Waited, WriteContext, WriteOperation,
    },
    error::{Error, Result},
    measure::OfOperation,
    model::{Permission, Resource, Role},
};

/// An operation's answer as JSON: wiped from memory when dropped, since it may hold a secret.
pub type Answer = Zeroizing<String>;

/// An operation, as interfaces see it.
pub struct Operation {
    /// Its name: the MCP tool's, and the `operationId` of the OpenAPI document.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What MCP clients are told of it, if it is a tool.
    pub tool: Option<Hints>,
    /// REST method.
    pub method: Method,
    /// REST path; `{field}` stands for a field of the input.
    pub path: &'static str,
    /// REST status of success.
    pub status: u16,
    /// What the caller needs.
    pub needs: Permission,
    /// Whether callers without a credential may try: the operation itself decides.
    pub open_to_anonymous: bool,
    /// Whether its answer holds a secret: then it is never kept for replay.
    pub answers_secret: bool,
    /// What REST answers with: JSON, but for streams.
    pub media_types: &'static [&'static str],
    /// The field, if any, with an address that haldir will call: it is looked up and checked before the operation runs.
    pub address_field: Option<&'static str>,
    /// What this process has measured of it.
    pub measured: OfOperation,
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
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// Whether its input stands in a body.
    pub fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put)
    }
}

/// How an operation runs: from the JSON of its input to that of its answer.
#[derive(Clone, Copy)]
pub enum Run {
    /// A look-up by key: takes microseconds, runs where the call arrived.
    Read(fn(&ReadContext<'_>, &str) -> Result<Answer>),
    /// A list or a verification: takes its time, runs on a thread for that.
    Scan(fn(&ReadContext<'_>, &str) -> Result<Answer>),
    /// A look-up whose answer may be waited for.
    Wait(Look),
    /// A list too large to hold: runs like a scan, while the client reads what it writes.
    Stream(fn(&StreamContext<'_>, &str, Start) -> Result<Finished>),
    /// A change that calls out between two transactions.
    Outward(fn(&str, OutwardContext) -> Result<Outgoing>),
    /// A change: its input is read where the call arrived, the rest runs in the writer's transaction.
    Write(fn(&str) -> Result<Prepared>),
}

impl Run {
    /// Whether it changes something.
    pub fn changes(&self) -> bool {
        matches!(self, Self::Write(_) | Self::Outward(_))
    }
}

/// One look at what may be waited for.
pub type Look = fn(&ReadContext<'_>, &str) -> Result<Looked>;

/// What one look found.
pub struct Looked {
    /// The answer as it is now.
    pub answer: Answer,
    /// How long the caller would wait for another one; 0 where this one is final.
    pub wait_seconds: u64,
}

/// A change whose input is read and found good.
pub type Prepared = Box<dyn FnOnce(&mut WriteContext<'_>) -> Result<Unrendered> + Send>;
/// Work that calls out, on its way: its answer, and whether a repetition gets the same.
pub type Outgoing = Pin<Box<dyn Future<Output = Result<(Answer, bool)>> + Send>>;
/// An answer that is yet to become JSON: the writer has better things to do.
pub type Unrendered = Box<dyn FnOnce() -> Result<Answer> + Send>;

/// MCP tool annotations. All ten tools work on haldir alone, never on an open world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Hints {
    pub read_only: bool,
    pub destructive: bool,
    pub idempotent: bool,
}

impl Hints {
    /// Changes nothing.
    pub const READS: Self = Self { read_only: true, destructive: false, idempotent: true };
    /// Adds something each time, be it a log entry.
    pub const ADDS: Self = Self { read_only: false, destructive: false, idempotent: false };
    /// Replaces what was there.
    pub const REPLACES: Self = Self { read_only: false, destructive: true, idempotent: false };
    /// Ends something for good; once more changes nothing.
    pub const ENDS: Self = Self { read_only: false, destructive: true, idempotent: true };
}

impl Operation {
    /// JSON Schema 2020-12 of the input; its description is the operation's.
    pub fn input_schema(&self) -> Schema {
        let mut schema = alone(self.input_schema, schema_settings(false).for_deserialize());
        schema_forms::input(&mut schema);
        schema
    }

    /// JSON Schema 2020-12 of the answer.
    pub fn output_schema(&self) -> Schema {
        alone(self.output_schema, schema_settings(false).for_serialize())
    }

    /// The input's schema as part of a larger document, whose generator collects the definitions.
    pub fn input_schema_in(&self, generator: &mut SchemaGenerator) -> Schema {
        transformed(self.input_schema, generator)
    }

    /// The answer's schema as part of a larger document.
    pub fn output_schema_in(&self, generator: &mut SchemaGenerator) -> Schema {
        transformed(self.output_schema, generator)
    }

    /// Whether this JSON text can be its input, without running anything.
    pub fn check(&self, json: &str) -> Result<()> {
        (self.check)(json)
    }

    /// What people and models read about it: the doc comment of its input type.
    pub fn description(&self) -> String {
        let schema = self.input_schema();
        schema.get("description").and_then(|text| text.as_str()).unwrap_or_default().to_owned()
    }

    /// Whether a repeated call with the same idempotency key gets the first answer again.
    pub fn takes_idempotency_key(&self) -> bool {
        self.method == Method::Post && self.run.changes()
    }

    /// The fields that stand in the path.
    pub fn path_fields(&self) -> impl Iterator<Item = &'static str> {
        let field = |segment: &'static str| {
            let name = segment.strip_prefix('{')?.strip_suffix('}')?;
            // The last field of a path may take all that is left of it.
            Some(name.strip_prefix('*').unwrap_or(name))
        };
        self.path.split('/').filter_map(field)
    }
}

/// How schemas are generated: JSON Schema 2020-12 in forms that every reader takes, with doc comments as running text.
/// `int64` says whether whole numbers are marked as such.
pub fn schema_settings(int64: bool) -> SchemaSettings {
    let join_lines = RecursiveTransform(|schema: &mut Schema| {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.replace('\n', " ");
        }
    });
    SchemaSettings::draft2020_12().with_transform(join_lines).with_transform(PlainForms { int64 })
}

/// The generator transforms definitions by itself, but not a schema that refers to them.
fn transformed(schema: fn(&mut SchemaGenerator) -> Schema, generator: &mut SchemaGenerator) -> Schema {
    let mut schema = schema(generator);
    for transform in generator.transforms_mut() {
        transform.transform(&mut schema);
    }
    schema
}

/// A schema that stands alone. What it refers to stands in its place: converters lose references.
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

/// A definition on its way to an [`Operation`].
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

/// For what answers with a stream of text, such as an export. REST and the terminal client have it, MCP has not.
pub(super) fn stream<O: StreamOperation>(name: &'static str, title: &'static str) -> Named<O> {
    let mut named = named::<O, O::Body>(name, title, Run::Stream(run_stream::<O>));
    named.operation.media_types = O::MEDIA_TYPES;
    named
}

pub(super) fn wait<O: WaitOperation>(name: &'static str, title: &'static str) -> Named<O> {
    named::<O, O::Output>(name, title, Run::Wait(look::<O>))
}

/// For what calls out between two transactions.
pub(super) fn outward<O: OutwardOperation>(name: &'static str, title: &'static str) -> Named<O> {
    named::<O, O::Output>(name, title, Run::Outward(set_out::<O>))
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
            // Nobody may, until `needs` says who.
            needs: Permission { resource: Resource::Admin, write: true, role: Role::Operator },
            open_to_anonymous: false,
            answers_secret: false,
            media_types: &["application/json"],
            address_field: None,
            measured: OfOperation::default(),
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

    pub(super) fn calls_out_to(mut self, field: &'static str) -> Self {
        self.operation.address_field = Some(field);
        self
    }

    pub(super) fn open_to_anonymous(mut self) -> Self {
        self.operation.open_to_anonymous = true;
        self
    }

    /// The key scope `resource:write` for what changes something, else `resource:read`; and at least this role.
    pub(super) fn needs(self, resource: Resource, role: Role) -> Operation {
        let write = self.operation.run.changes();
        Operation { needs: Permission { resource, write, role }, ..self.operation }
    }

    /// Like [`Self::needs`], for what only reads, but leaves an audit entry.
    pub(super) fn needs_read(self, resource: Resource, role: Role) -> Operation {
        Operation { needs: Permission { resource, write: false, role }, ..self.operation }
    }
}

fn run_read<O: ReadOperation>(cx: &ReadContext<'_>, json: &str) -> Result<Answer> {
    let operation: O = input::parse(json)?;
    render(&operation.run(cx)?)
}

fn run_stream<O: StreamOperation>(cx: &StreamContext<'_>, json: &str, start: Start) -> Result<Finished> {
    let operation: O = input::parse(json)?;
    operation.run(cx, start)
}

fn look<O: WaitOperation>(cx: &ReadContext<'_>, json: &str) -> Result<Looked> {
    let operation: O = input::parse(json)?;
    let wait_seconds = u64::try_from(operation.wait_seconds()?.min(MAX_WAIT_SECONDS)).unwrap_or(0);
    match operation.look(cx)? {
        Waited::Final(output) => Ok(Looked { answer: render(&output)?, wait_seconds: 0 }),
        Waited::NotYet(output) => Ok(Looked { answer: render(&output)?, wait_seconds }),
    }
}

fn set_out<O: OutwardOperation>(json: &str, cx: OutwardContext) -> Result<Outgoing> {
    let operation: O = input::parse(json)?;
    Ok(Box::pin(async move {
        let output = operation.run(cx).await?;
        Ok((render(&output)?, O::is_kept(&output)))
    }))
}

fn prepare<O: WriteOperation>(json: &str) -> Result<Prepared> {
    let operation: O = input::parse(json)?;
    Ok(Box::new(move |cx| {
        let output = operation.run(cx)?;
        Ok(Box::new(move || render(&output)))
    }))
}

fn render(output: &impl serde::Serialize) -> Result<Answer> {
    serde_json::to_string(output).map(Zeroizing::new).map_err(Error::internal)
}
