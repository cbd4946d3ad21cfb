//! The approval step: a call that needs approval waits for it; an approval is bound to exactly these arguments.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{policy::amount, trace::Trace};
use crate::{
    approvals::{
        self, ApprovalNeed, RequestedAction,
        arguments::Arguments,
        requested_action::{CALL, secret_versions},
    },
    call::WriteContext,
    error::{Code, Error, Result},
    model::{ElicitationResponse, PinnedTool, Session},
};

const STEP: &str = "approval";

/// Passes a call that needs no approval, or that has one, which it uses up.
pub(super) fn given(
    cx: &mut WriteContext<'_>,
    session: &Arc<Session>,
    tool: &PinnedTool,
    arguments: &Arguments,
    because: Option<String>,
    person: Option<&ElicitationResponse>,
    trace: &mut Trace,
) -> Result<()> {
    if because.is_none() && !approvals::has_rules(cx)? {
        trace.pass(STEP, json!({"destructive": is_destructive(&tool.definition)}));
        return Ok(());
    }
    let name = tool.qualified();
    let asked = asked(cx, session, tool, &name, arguments)?;
    let Some(need) = approvals::need(cx, &asked, because)? else {
        trace.pass(STEP, json!({"destructive": asked.destructive}));
        return Ok(());
    };
    let ApprovalNeed { operator_only, .. } = need;
    match approvals::hold(cx, &asked, &need, person) {
        Ok(()) => {
            trace.pass(
                STEP,
                json!({"destructive": asked.destructive, "needed": need.why, "operator_only": operator_only}),
            );
            Ok(())
        }
        Err(error) if matches!(error.code, Code::ApprovalRequired | Code::ApprovalInvalid) => {
            let request =
                error.extra("approval_request_id").and_then(|id| serde_json::from_str::<Value>(id.get()).ok());
            // The interface adds what to do about it.
            let error = match error.code {
                Code::ApprovalRequired => Error { message: need.why, ..error },
                _ => error,
            };
            let saw = json!({"request_id": request, "reason": error.message, "operator_only": operator_only});
            trace.stop(STEP, error.code.name(), saw);
            Err(error)
        }
        Err(error) => Err(too_large(error)),
    }
}

/// The approval request for this call; `name` is the tool's full name.
pub(super) fn asked<'a>(
    cx: &WriteContext<'_>,
    session: &'a Session,
    tool: &PinnedTool,
    name: &'a str,
    arguments: &'a Arguments,
) -> Result<RequestedAction<'a>> {
    Ok(RequestedAction {
        session,
        tool: name,
        action: CALL,
        amount: amount::named_amount(arguments.canonical())?,
        details: Some(arguments.canonical()),
        secrets: secret_versions(cx.tx, &cx.caller.tenant, arguments.canonical())?,
        destructive: is_destructive(&tool.definition),
    })
}

/// Arguments that are too large for a request are refused as such.
fn too_large(error: Error) -> Error {
    if error.field.as_deref() == Some("details") {
        Error { field: Some("arguments".to_owned()), ..error }
    } else {
        error
    }
}

/// Whether a tool is destructive by its annotations. Without annotations it is, which is MCP's default.
fn is_destructive(definition: &str) -> bool {
    hints(definition).1
}

/// Whether a tool is read-only, and whether it is destructive, by its annotations.
pub(super) fn hints(definition: &str) -> (bool, bool) {
    // As values, since anything but a boolean is ignored.
    #[derive(Default, Deserialize)]
    struct Annotations {
        #[serde(default, rename = "readOnlyHint")]
        read_only: Value,
        #[serde(default, rename = "destructiveHint")]
        destructive: Value,
    }
    #[derive(Deserialize)]
    struct Definition {
        annotations: Option<Annotations>,
    }
    let definition = serde_json::from_str(definition).ok();
    let Annotations { read_only, destructive } =
        definition.and_then(|Definition { annotations }| annotations).unwrap_or_default();
    let read_only = read_only == Value::Bool(true);
    (read_only, !read_only && destructive != Value::Bool(false))
}
