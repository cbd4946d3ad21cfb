//! What each step of the pipeline saw and decided, for the audit entry.

use serde::Serialize;
use serde_json::Value;

/// One step.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    #[serde(rename = "step")]
    name: &'static str,
    /// Whether it let the call pass.
    ok: bool,
    /// Which rule decided.
    #[serde(skip_serializing_if = "String::is_empty")]
    rule: String,
    /// What it saw.
    #[serde(skip_serializing_if = "Value::is_null")]
    saw: Value,
}

/// The steps so far, in their order.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Trace(Vec<Step>);

impl Trace {
    /// A step that let the call pass.
    pub fn pass(&mut self, step: &'static str, saw: Value) {
        self.0.push(Step { name: step, ok: true, rule: String::new(), saw });
    }

    /// A step that let the call pass by this rule.
    pub fn pass_by(&mut self, step: &'static str, rule: impl Into<String>, saw: Value) {
        self.0.push(Step { name: step, ok: true, rule: rule.into(), saw });
    }

    /// A step that stopped the call.
    pub fn stop(&mut self, step: &'static str, rule: impl Into<String>, saw: Value) {
        self.0.push(Step { name: step, ok: false, rule: rule.into(), saw });
    }

    /// The step that stopped the call, and its rule.
    pub fn stopped(&self) -> Option<(&'static str, &str)> {
        self.0.iter().find(|step| !step.ok).map(|step| (step.name, step.rule.as_str()))
    }
}
