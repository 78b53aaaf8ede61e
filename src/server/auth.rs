//! The layer that every call passes before its handler: who is it, and may it call this method?
//!
//! It puts the [`Caller`] into the request's extensions or answers by itself. It decides about whole methods
//! only; which program or team a caller may see is decided by the use case.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use crate::domain::caller::Caller;
use crate::error::Error;
use crate::rpc::access::AccessRules;
use crate::rpc::status::status;
use crate::server::token::Verifier;

/// Open to everyone: probes have no token.
const HEALTH: &str = "/grpc.health.v1.";
/// Open to every caller, of any role.
const REFLECTION: &str = "/grpc.reflection.";
/// The scheme of the `authorization` header, compared without regard to case.
const SCHEME: &str = "bearer";

/// Who is let in, and to what.
#[derive(Debug)]
struct Door {
    rules: AccessRules,
    verifier: Option<Arc<Verifier>>,
}

/// Puts an [`Auth`] around a service.
#[derive(Debug, Clone)]
pub struct AuthLayer {
    door: Arc<Door>,
}

impl AuthLayer {
    /// Without a verifier every caller is the local admin.
    #[must_use]
    pub fn new(rules: AccessRules, verifier: Option<Arc<Verifier>>) -> Self {
        Self { door: Arc::new(Door { rules, verifier }) }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { inner, door: Arc::clone(&self.door) }
    }
}

/// A service behind the door.
#[derive(Debug, Clone)]
pub struct Auth<S> {
    inner: S,
    door: Arc<Door>,
}

type Answer<B, E> = std::pin::Pin<Box<dyn Future<Output = Result<Response<B>, E>> + Send>>;

impl<S, In, Out> Service<Request<In>> for Auth<S>
where
    S: Service<Request<In>, Response = Response<Out>> + Clone + Send + 'static,
    S::Future: Send,
    In: Send + 'static,
    Out: Default,
{
    type Response = Response<Out>;
    type Error = S::Error;
    type Future = Answer<Out, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<In>) -> Self::Future {
        // The instance that was polled ready must take the call, so the fresh clone stays behind.
        let fresh = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, fresh);
        let door = Arc::clone(&self.door);
        // Checking a signature takes long for a CPU. In the future it costs this call's task; out here it
        // would hold up every other call of the connection.
        Box::pin(async move {
            match door.admit(request.uri().path(), request.headers()) {
                Ok(caller) => {
                    enter(&mut request, caller);
                    ready.call(request).await
                }
                Err(refusal) => Ok(status(&refusal).into_http()),
            }
        })
    }
}

/// Tells the handler who calls, and takes the token away so that nothing behind can log or pass it on.
fn enter<B>(request: &mut Request<B>, caller: Option<Caller>) {
    request.headers_mut().remove(AUTHORIZATION);
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
}

impl Door {
    /// Who may go in; `None` for a probe, which nobody asks for a name.
    fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Option<Caller>, Error> {
        if path.starts_with(HEALTH) {
            return Ok(None);
        }
        let caller = self.identify(path, headers)?;
        // What the contract does not have has no handler either: it ends as UNIMPLEMENTED.
        let open = path.starts_with(REFLECTION) || !self.rules.knows(path);
        if open || self.rules.allows(path, caller.role()) {
            return Ok(Some(caller));
        }
        tracing::debug!(path, role = %caller.role(), "call refused: the role may not call this method");
        Err(Error::Forbidden)
    }

    fn identify(&self, path: &str, headers: &HeaderMap) -> Result<Caller, Error> {
        let Some(verifier) = &self.verifier else { return Ok(Caller::local_admin()) };
        let Some(token) = bearer(headers) else {
            tracing::debug!(path, "call refused: no bearer token");
            return Err(Error::Unauthenticated);
        };
        verifier.verify(token).map_err(|fault| {
            tracing::debug!(path, %fault, "call refused");
            Error::Unauthenticated
        })
    }
}

/// The token of the only `authorization` header. Two headers could be read differently by a proxy and by
/// us, so they count as none.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| token.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let pairs = values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        for value in ["Bearer abc", "bearer abc", "BEARER  abc"] {
            assert_eq!(bearer(&headers(&[value])), Some("abc"), "{value}");
        }
    }

    #[test]
    fn anything_but_one_bearer_token_is_no_token() {
        for values in [&[][..], &["abc"], &["Basic abc"], &["Bearer a", "Bearer b"]] {
            assert_eq!(bearer(&headers(values)), None, "{values:?}");
        }
    }
}
