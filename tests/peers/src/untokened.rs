//! Takes off the token that the SDK gives every transaction. This engine keeps tokens for ten minutes and looks through all of
//! them at each transaction, so whoever writes with transactions would wait for the histories that were filled before, which
//! DynamoDB does not do. For times only: what is counted is counted with the token.

use aws_sdk_dynamodb::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextMut},
    error::BoxError,
};

/// The interceptor.
#[derive(Debug)]
pub struct Untokened;

impl Intercept for Untokened {
    fn name(&self) -> &'static str {
        "Untokened"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        const MEMBER: &str = ",\"ClientRequestToken\":";
        let request = context.request_mut();
        let body = std::str::from_utf8(request.body().bytes().unwrap_or_default())?;
        // It is the last member that the SDK writes.
        let Some((before, token)) = body.rsplit_once(MEMBER) else { return Ok(()) };
        assert_eq!(token.len(), "\"00000000-0000-0000-0000-000000000000\"}".len(), "the token is not the last member");
        let untokened = format!("{before}}}");
        request.headers_mut().insert("content-length", untokened.len().to_string());
        *request.body_mut() = untokened.into();
        Ok(())
    }
}
