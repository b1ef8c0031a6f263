//! The five operations that every stored resource has, written once: pages, preconditions and merge patches mean the same for all. What
//! is not shown and so not sent back is kept over a change by `keeping`.

/// Defines `list`, `create`, `read`, `patch` and `delete` of a resource.
macro_rules! operations {
    (
        row: $row:ident,
        made_of: $new:ident,
        named: $one:tt, $many:tt, $the:tt,
        id: $id:tt,
        may: $may_read:tt, $may_write:tt,
        store: $list:ident, $create:ident, $read:ident, $update:ident, $delete:ident,
        from: $validate:path,
        $(keeping: $keep:path,)?
    ) => {
        #[doc = concat!("Lists ", $many, ".")]
        #[utoipa::path(get, path = concat!("/", $many), tag = $many, operation_id = concat!("list_", $many),
            summary = concat!("Lists ", $many, "."), params(PageQuery), security(("api_key" = [$may_read])),
            responses((status = 200, description = concat!("A page of ", $many), body = inline(Listing<Stored<$row>>)), Refusals))]
        pub(super) async fn list(
            State(api): State<ApiState>,
            page: PageQuery,
        ) -> Result<Json<Listing<Stored<$row>>>, Problem> {
            Ok(page.listing(api.store.$list(&page.page()).await?))
        }

        #[doc = concat!("Makes ", $one, ".")]
        #[utoipa::path(post, path = concat!("/", $many), tag = $many, operation_id = concat!("create_", $the),
            summary = concat!("Makes ", $one, "."), request_body = $new, security(("api_key" = [$may_write])),
            params(("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
            responses((status = 201, description = "Made", body = inline(Stored<$row>)), Refusals))]
        pub(super) async fn create(State(api): State<ApiState>, Body(body): Body) -> Result<Response, Problem> {
            let made = $validate(body)?;
            $(let made = $keep(&api.store, None, made)?;)?
            let row = api.store.$create(made).await?;
            Ok(created(format!(concat!("/v1/", $many, "/{}"), row.id), Some(row.version), &row))
        }

        #[doc = concat!("Reads ", $one, ".")]
        #[utoipa::path(get, path = concat!("/", $many, "/{id}"), tag = $many, operation_id = concat!("read_", $the),
            summary = concat!("Reads ", $one, "."), params(("id" = String, Path, description = $id)),
            security(("api_key" = [$may_read])),
            responses((status = 200, description = concat!("The ", $the), body = inline(Stored<$row>)), Refusals))]
        pub(super) async fn read(State(api): State<ApiState>, Path(id): Path<String>) -> Result<Response, Problem> {
            Ok(shown(&api.store.$read(&id).await?))
        }

        #[doc = concat!("Changes ", $one, " by a JSON merge patch (RFC 7396): `null` gives a field its default back.")]
        #[utoipa::path(patch, path = concat!("/", $many, "/{id}"), tag = $many, operation_id = concat!("patch_", $the),
            summary = concat!("Changes ", $one, " by a JSON merge patch (RFC 7396): `null` gives a field its default back."),
            security(("api_key" = [$may_write])),
            params(("id" = String, Path, description = $id), ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have")),
            request_body(content = Object, content_type = "application/merge-patch+json", description = "The fields to change"),
            responses((status = 200, description = "Changed", body = inline(Stored<$row>)), Refusals))]
        pub(super) async fn patch(
            State(api): State<ApiState>,
            Path(id): Path<String>,
            if_match: IfMatch,
            Body(body): Body,
        ) -> Result<Response, Problem> {
            let current = api.store.$read(&id).await?;
            if_match.check(current.version)?;
            let changed = $validate(patched(&current.value, body))?;
            $(let changed = $keep(&api.store, Some(&current.value), changed)?;)?
            Ok(shown(&api.store.$update(&id, current.version, changed).await?))
        }

        #[doc = concat!("Deletes ", $one, ".")]
        #[utoipa::path(delete, path = concat!("/", $many, "/{id}"), tag = $many, operation_id = concat!("delete_", $the),
            summary = concat!("Deletes ", $one, "."), security(("api_key" = [$may_write])),
            params(("id" = String, Path, description = $id), ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have")),
            responses((status = 204, description = "Deleted"), Refusals))]
        pub(super) async fn delete(
            State(api): State<ApiState>,
            Path(id): Path<String>,
            if_match: IfMatch,
        ) -> Result<StatusCode, Problem> {
            let current = api.store.$read(&id).await?;
            if_match.check(current.version)?;
            api.store.$delete(&id, current.version).await?;
            Ok(StatusCode::NO_CONTENT)
        }
    };
}

pub(super) use operations;
