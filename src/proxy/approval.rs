//! The approval step: what a person must decide first waits for them, bound to exactly these arguments.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{arguments::Arguments, policy::amount, trace::Trace};
use crate::{
    approvals::{self, Asked},
    call::WriteContext,
    error::{Code, Error, Result},
    model::{PinnedTool, Session},
};

const STEP: &str = "approval";
/// What is asked for.
const ACTION: &str = "call";

/// Passes a call that needs no approval, or has one, which is used up with it.
pub(super) fn given(
    cx: &mut WriteContext<'_>,
    session: &Arc<Session>,
    tool: &PinnedTool,
    arguments: &Arguments,
    because: Option<&str>,
    trace: &mut Trace,
) -> Result<()> {
    let name = tool.qualified();
    let asked = Asked {
        session,
        tool: &name,
        action: ACTION,
        amount: amount::named_amount(arguments.canonical())?,
        details: Some(arguments.canonical()),
        destructive: is_destructive(&tool.definition),
    };
    let outcome = match because {
        Some(why) => approvals::enforce_because(cx, &asked, why),
        None => approvals::enforce(cx, &asked, None),
    };
    match outcome {
        Ok(()) => {
            trace.pass(STEP, json!({"destructive": asked.destructive}));
            Ok(())
        }
        Err(error) if matches!(error.code, Code::ApprovalRequired | Code::ApprovalInvalid) => {
            let request =
                error.extra("approval_request_id").and_then(|id| serde_json::from_str::<Value>(id.get()).ok());
            trace.stop(STEP, error.code.name(), json!({"request_id": request, "reason": error.message}));
            Err(error)
        }
        Err(error) => Err(too_large(error)),
    }
}

/// Arguments that no request can hold are refused as what they are.
fn too_large(error: Error) -> Error {
    if error.field.as_deref() == Some("details") {
        Error { field: Some("arguments".to_owned()), ..error }
    } else {
        error
    }
}

/// Whether a tool destroys something, as its annotations say. One that says nothing does, as MCP has it.
fn is_destructive(definition: &str) -> bool {
    hints(definition).1
}

/// Whether a tool only reads, and whether it destroys something, as its annotations say.
pub(super) fn hints(definition: &str) -> (bool, bool) {
    let definition: Value = serde_json::from_str(definition).unwrap_or_default();
    let hint = |name: &str| definition["annotations"][name].as_bool();
    let read_only = hint("readOnlyHint") == Some(true);
    (read_only, !read_only && hint("destructiveHint") != Some(false))
}
