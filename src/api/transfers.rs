//! `/v1/calls/{id}/transfers`: handing a running call's other side on to somebody else, on behalf of its agent.

use std::borrow::Cow;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use switchboard::{CallId, Granted, Operator, TransferMode, TransferStatus, TransferTarget, TransferView};
use utoipa::ToSchema;

use super::problem::Refusals;
use super::request::{Body, Listing, PageQuery, Placed};
use super::validate::{self, Mode, TransferDraft, TransferTo};
use super::{ApiState, FieldError, Problem};

/// A transfer of a running call.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Transfer {
    #[serde(skip)]
    index: usize,
    /// `trf_…`
    id: String,
    /// How it is made.
    mode: Mode,
    /// What was dialled: an extension's number or any other.
    target: String,
    /// The leg that transfers, and is hung up on once the target has taken the call.
    leg_id: String,
    /// `trying` (the target is being called), `consulting` (it talks to the leg that transfers), `succeeded`, `failed` (the call went back
    /// to the leg that transfers, or ended when that had left) or `cancelled` (by `/cancel`, or who was to be transferred left first).
    status: &'static str,
    /// How it ended, as a SIP status.
    sip_status: Option<u16>,
}

impl Transfer {
    fn of((index, view): (usize, TransferView)) -> Self {
        Self {
            index,
            id: view.id,
            mode: match view.mode {
                TransferMode::Blind => Mode::Blind,
                TransferMode::Attended => Mode::Attended,
            },
            target: view.target,
            leg_id: view.by,
            status: match view.status {
                TransferStatus::Trying => "trying",
                TransferStatus::Consulting => "consulting",
                TransferStatus::Succeeded => "succeeded",
                TransferStatus::Failed => "failed",
                TransferStatus::Cancelled => "cancelled",
            },
            sip_status: view.sip_status,
        }
    }
}

impl Placed for Transfer {
    fn place(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{:06}", self.index))
    }
}

/// A transfer to be made.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body to the OpenAPI document only")]
pub(super) struct NewTransfer {
    /// How it is made; `blind` by default.
    mode: Option<Mode>,
    target: NewTarget,
    /// The leg that transfers whomever it talks to. By default the agent's; the caller's between agents.
    leg_id: Option<String>,
}

/// To whom: exactly one of the three; a `call_id` only for `attended`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body to the OpenAPI document only")]
pub(super) struct NewTarget {
    /// `ext_…`
    extension_id: Option<String>,
    /// What the agent would dial.
    number: Option<String>,
    /// The agent's other call, which ends in this one.
    call_id: Option<String>,
}

/// Lists a running call's transfers, oldest first.
#[utoipa::path(get, path = "/calls/{id}/transfers", tag = "calls", operation_id = "list_transfers",
    params(("id" = String, Path, description = "`call_…`"), PageQuery), security(("api_key" = ["calls:read"]), ("agent" = [])),
    responses((status = 200, description = "A page of transfers", body = inline(Listing<Transfer>)), Refusals))]
pub(super) async fn list(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    page: PageQuery,
) -> Result<Json<Listing<Transfer>>, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, "not_found", "no running call has this id");
    let call = api.gateway.call(&id).ok_or_else(missing)?;
    Ok(page.part_of(call.transfers.into_iter().enumerate().map(Transfer::of).collect()))
}

/// Reads a running call's transfer.
#[utoipa::path(get, path = "/calls/{id}/transfers/{transfer_id}", tag = "calls", operation_id = "read_transfer",
    params(("id" = String, Path, description = "`call_…`"), ("transfer_id" = String, Path, description = "`trf_…`")),
    security(("api_key" = ["calls:read"]), ("agent" = [])),
    responses((status = 200, description = "The transfer", body = Transfer), Refusals))]
pub(super) async fn read(
    State(api): State<ApiState>,
    Path((id, transfer)): Path<(String, String)>,
) -> Result<Json<Transfer>, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, "not_found", "no running call has this transfer");
    let call = api.gateway.call(&id).ok_or_else(missing)?;
    let found = call.transfers.into_iter().enumerate().find(|(_, view)| view.id == transfer);
    found.map(|found| Json(Transfer::of(found))).ok_or_else(missing)
}

/// Transfers a running call. Blind: the target is called while the one to be transferred hears it ring. Who transfers is hung up on once the
/// target answers; else the two go on talking. Attended, with a number or extension: a consultation. The target is called as if the agent
/// had dialled, and who transfers hears it ring and talks to it, while the one to be transferred hears music; then `/complete` or
/// `/cancel`. When the target does not answer or hangs up, the two talk as before. Who transfers and hangs up completes the transfer; when the
/// other one hangs up first, who transfers talks on with the target. Attended, with a `call_id`: whoever the agent has in the two calls
/// talk to each other, and the agent is hung up on in both. In a conference the target takes the place of the leg that transfers, and
/// the others go on talking meanwhile; there is no consultation.
#[utoipa::path(post, path = "/calls/{id}/transfers", tag = "calls", operation_id = "transfer_call",
    params(("id" = String, Path, description = "`call_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    request_body = NewTransfer, security(("api_key" = ["calls:control"]), ("agent" = [])),
    responses((status = 202, description = "The target is being called", body = Transfer,
        headers(("Location" = String, description = "Where the transfer is read"))), Refusals))]
pub(super) async fn create(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Response, Problem> {
    let TransferDraft { mode, leg, target } = validate::transfer(body)?;
    let target = match target {
        TransferTo::Extension(id) => TransferTarget::Extension(number_of(&api, &id)?),
        TransferTo::Number(number) => TransferTarget::Number(number),
        TransferTo::Call(id) => TransferTarget::Call(CallId(id)),
    };
    let mode = match mode {
        Mode::Blind => TransferMode::Blind,
        Mode::Attended => TransferMode::Attended,
    };
    let call = CallId(id.clone());
    accepted(&api, &id, Operator::Transfer { call, mode, leg, target }).await
}

/// Completes a consultation: who was to be transferred and the target talk, and who transfers is hung up on. While the target still rings, the
/// transfer goes on as a blind one: the one to be transferred hears it ring, who transfers is hung up on once the target answers, and when it
/// does not, the two talk again.
#[utoipa::path(post, path = "/calls/{id}/transfers/{transfer_id}/complete", tag = "calls", operation_id = "complete_transfer",
    params(("id" = String, Path, description = "`call_…`"), ("transfer_id" = String, Path, description = "`trf_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    security(("api_key" = ["calls:control"]), ("agent" = [])),
    responses((status = 202, description = "The transfer as it is now", body = Transfer), Refusals))]
pub(super) async fn complete(
    State(api): State<ApiState>,
    Path((id, transfer)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let call = CallId(id.clone());
    accepted(&api, &id, Operator::CompleteTransfer { call, transfer }).await
}

/// Cancels a consultation: the target is let go, and the two talk as before.
#[utoipa::path(post, path = "/calls/{id}/transfers/{transfer_id}/cancel", tag = "calls", operation_id = "cancel_transfer",
    params(("id" = String, Path, description = "`call_…`"), ("transfer_id" = String, Path, description = "`trf_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    security(("api_key" = ["calls:control"]), ("agent" = [])),
    responses((status = 202, description = "The transfer as it is now", body = Transfer), Refusals))]
pub(super) async fn cancel(
    State(api): State<ApiState>,
    Path((id, transfer)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let call = CallId(id.clone());
    accepted(&api, &id, Operator::CancelTransfer { call, transfer }).await
}

/// 202 with the transfer that a command began or concerned.
async fn accepted(api: &ApiState, call: &str, operator: Operator) -> Result<Response, Problem> {
    Ok(match api.gateway.operator(operator).await? {
        Granted::Transfer(view) => {
            let location = format!("/v1/calls/{call}/transfers/{}", view.id);
            (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(Transfer::of((0, view)))).into_response()
        }
        Granted::Done | Granted::Participant(_) => StatusCode::ACCEPTED.into_response(),
    })
}

/// The number of the extension with this id.
pub(super) fn number_of(api: &ApiState, id: &str) -> Result<String, Problem> {
    let directory = api.store.directory().borrow().clone();
    let found = directory.extensions.values().find(|extension| extension.id == id);
    let unknown = || {
        let (pointer, detail) = ("/target/extension_id".to_owned(), "no extension has this id".to_owned());
        Problem::invalid(vec![FieldError { pointer, detail }])
    };
    found.map(|extension| extension.number.clone()).ok_or_else(unknown)
}
