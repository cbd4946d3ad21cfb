//! Permission to replace or delete a stored secret: operators have it, and agents with a session that may read the secret.

use crate::{
    call::{WriteContext, session},
    error::{Code, Error, Result},
    model::{Role, SessionId, StoredSecret},
};

/// Refuses an agent without a session that holds the scope of `stored`: it could replace an operator's value by its own, or
/// lower the scope that the secret requires.
pub(super) fn permit(cx: &WriteContext<'_>, stored: &StoredSecret, session_id: Option<&SessionId>) -> Result<()> {
    if cx.caller.role == Role::Operator {
        return Ok(());
    }
    let scope = &stored.scope_required;
    let Some(id) = session_id else {
        let message = format!(
            "the secret {} exists: an operator can replace or delete it, or an agent whose session holds the scope \
             `{scope}`; name that session as session_id",
            stored.name
        );
        return Err(Error::new(Code::ScopeDenied, message).field("session_id").with("required", scope.as_str()));
    };
    let session = session::require_valid(cx.tx, &cx.caller.tenant, id, cx.now)?;
    session::require_scope(&session, scope)
}
