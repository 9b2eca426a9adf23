//! ListTags, TagResource, UntagResource.

use bojagi_aws::lambda::types;
use bojagi_model::Result;

use crate::context::Context;

/// `ListTags`.
pub async fn list(context: &Context, request: types::ListTagsRequest) -> Result<types::ListTagsResponse> {
    let resource = request.resource.unwrap_or_default();
    let tags = context.control.list_tags(&context.caller, &resource).await?;
    Ok(types::ListTagsResponse { tags: Some(tags) })
}

/// `TagResource`.
pub async fn tag(context: &Context, request: types::TagResourceRequest) -> Result<()> {
    let resource = request.resource.unwrap_or_default();
    context.control.tag_resource(&context.caller, &resource, request.tags.unwrap_or_default()).await
}

/// `UntagResource`.
pub async fn untag(context: &Context, request: types::UntagResourceRequest) -> Result<()> {
    let resource = request.resource.unwrap_or_default();
    context.control.untag_resource(&context.caller, &resource, &request.tag_keys.unwrap_or_default()).await
}
