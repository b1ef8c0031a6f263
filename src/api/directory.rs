//! `/v1/directory`: whom agents can call inside the company, and who of them is free.

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::problem::Refusals;
use super::request::{Listing, PageQuery, Placed};
use crate::gateway::Engagement;

/// An extension, as other agents see it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Entry {
    /// What one dials.
    number: String,
    /// The display name of its agent.
    name: Option<String>,
    presence: Presence,
}

/// Whether somebody can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Presence {
    /// A phone is registered, and nobody talks on it.
    Available,
    /// It is being called.
    Ringing,
    /// It talks or calls, or its agent has no further call free.
    Busy,
    /// No phone is registered.
    Offline,
}

impl Placed for Entry {
    fn place(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.number)
    }
}

/// Lists the extensions that can be called, by number. Those of disabled agents are left out.
#[utoipa::path(get, path = "/directory", tag = "directory", operation_id = "list_directory", params(PageQuery),
    security(("api_key" = ["extensions:read"]), ("agent" = [])),
    responses((status = 200, description = "A page of extensions", body = inline(Listing<Entry>)), Refusals))]
pub(super) async fn list(State(api): State<ApiState>, page: PageQuery) -> Json<Listing<Entry>> {
    let directory = api.store.directory().borrow().clone();
    let (engagements, registered) = (api.gateway.engagements(), api.gateway.registered());
    let usable = directory.extensions.values().filter(|extension| directory.may_use(&extension.number));
    let all = usable.map(|extension| {
        let agent = extension.agent_id.as_ref().and_then(|id| directory.agents.get(id));
        let presence = match engagements.of_extension(&extension.number) {
            Some(Engagement::Talks) => Presence::Busy,
            Some(Engagement::Rings) => Presence::Ringing,
            None if !registered.contains(&extension.number) => Presence::Offline,
            None if agent.is_some_and(|agent| {
                agent.max_concurrent_calls > 0 && engagements.calls_of_agent(&agent.id) >= agent.max_concurrent_calls
            }) =>
            {
                Presence::Busy
            }
            None => Presence::Available,
        };
        let name = agent.map(|agent| agent.display_name.clone()).filter(|name| !name.is_empty());
        Entry { number: extension.number.clone(), name, presence }
    });
    page.part_of(all.collect())
}
