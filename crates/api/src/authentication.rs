//! Who asks: the signature is verified, and with it the body, before anything is done with either.

use std::sync::Arc;

use bojagi_aws::sigv4::{self, Authorization, RequestHead, SignatureError, SigningKeys};
use bojagi_control::Control;
use bojagi_control::identity::{Identity, Unidentified};
use bojagi_model::Region;
use bojagi_model::identity::Principal;
use bytes::BytesMut;
use http::request::Parts;
use time::OffsetDateTime;

use crate::body::{BodyBudget, BodyError, Gathered, Inbound, Room};
use crate::dispatch::Service;
use crate::errors::Failure;
use crate::hosts::HostNames;
use crate::server::Connection;

/// What the framing of a chunked body may take beyond an eighth of the limit.
const CHUNK_FRAMING_BYTES: u64 = 4 << 10;

/// Verifies signatures.
pub struct Authenticator {
    control: Arc<Control>,
    hosts: HostNames,
    keys: SigningKeys,
}

/// A request of which everything was verified.
pub struct Verified {
    /// Who asks.
    pub principal: Principal,
    /// The region it was signed for.
    pub region: Region,
    /// The body, without the framing of chunks.
    pub body: BytesMut,
    /// The room the body takes.
    pub room: Room,
}

impl Authenticator {
    /// Asks `control` for keys; `hosts` are our names.
    pub fn new(control: Arc<Control>, hosts: HostNames) -> Authenticator {
        Authenticator { control, hosts, keys: SigningKeys::default() }
    }

    /// Verifies head and body. Until the access key is known to be somebody's, and the head's time and, where it can be told
    /// already, signature are right, nothing of the body is read.
    ///
    /// # Errors
    /// The signature's; a foreign page's request with a development key; the body's.
    pub async fn verify(
        &self,
        service: Service,
        parts: &Parts,
        connection: &Connection,
        body: &mut Inbound,
        limit: u64,
        budget: &BodyBudget,
    ) -> Result<Verified, Failure> {
        let head = RequestHead::from(parts);
        let authorization = sigv4::parse(&head)?;
        if authorization.service() != service.as_str() {
            let message = format!("Credential should be scoped to correct service: '{}'.", service.as_str());
            return Err(SignatureError::InvalidScope(message).into());
        }
        let region: Region = authorization
            .region()
            .parse()
            .map_err(|_| SignatureError::InvalidScope("Credential should be scoped to a valid region.".to_owned()))?;
        let Identity { principal, secret_access_key } = self.identify(&authorization).await?;
        if principal.development {
            self.hosts.check(&parts.headers, connection)?;
        }
        let mut payload = authorization.verify(&secret_access_key, OffsetDateTime::now_utc(), &self.keys)?;
        let framing = if payload.is_chunked() { limit / 8 + CHUNK_FRAMING_BYTES } else { 0 };
        let room = body.admit(limit + framing, budget).await?;
        let capacity = usize::try_from(body.declared().unwrap_or(0)).unwrap_or(0);
        let (mut gathered, mut pieces) = (Gathered::default(), Vec::with_capacity(1));
        while let Some(bytes) = body.next().await? {
            payload.decode(bytes, &mut pieces)?;
            pieces.drain(..).for_each(|piece| gathered.push(piece, capacity));
            if gathered.len() as u64 > limit {
                return Err(BodyError::TooLarge { limit }.into());
            }
        }
        payload.finish()?;
        let body = gathered.into_buffer();
        Ok(Verified { principal, region, body, room })
    }

    async fn identify(&self, authorization: &Authorization<'_>) -> Result<Identity, Failure> {
        let (key, token) = (authorization.access_key_id(), authorization.session_token());
        let identified = match self.control.identify(key, token).await {
            // Whoever sets `test` for the key often sets something for the token as well; it means nothing there.
            Err(Unidentified::InvalidSessionToken) => match self.control.identify(key, None).await {
                Ok(identity) if identity.principal.development => Ok(identity),
                _ => Err(Unidentified::InvalidSessionToken),
            },
            other => other,
        };
        identified.map_err(|error| match error {
            Unidentified::UnknownAccessKey | Unidentified::InvalidSessionToken => {
                SignatureError::UnrecognizedClient.into()
            }
            Unidentified::ExpiredSessionToken => SignatureError::ExpiredToken.into(),
            Unidentified::Store(error) => Failure::Identity(error),
        })
    }
}
