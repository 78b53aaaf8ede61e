//! A server that asks for tokens, beside the one without on which a test sets up its program.

use jiff::Timestamp;
use safelane::cli::signing_key::{KeyAlgorithm, SigningKey};
use safelane::rpc::pb;
use safelane::server::JwksSettings;
use serde_json::json;
use tempfile::TempDir;
use tonic::{Request, Status};

use crate::harness::{Replica, START, World};

/// A server that asks for tokens, on the database of a funded desk.
pub(crate) struct Gate {
    key: SigningKey,
    pub(crate) server: Replica,
    /// Holds the key set as long as the server runs.
    _dir: TempDir,
}

impl Gate {
    pub(crate) async fn open(world: &World) -> Self {
        let dir = TempDir::new().unwrap();
        let key = SigningKey::draw(KeyAlgorithm::Eddsa).unwrap();
        let (file, _) = key.write(dir.path(), false).unwrap();
        let (issuer, audience) = ("safelane-dev".to_owned(), "safelane".to_owned());
        let server = world.replica_with(Some(JwksSettings { file, issuer, audience })).await;
        Self { key, server, _dir: dir }
    }

    /// A message with the token of a role in an organization.
    pub(crate) fn sent<T>(&self, role: &str, organization: &str, message: T) -> Request<T> {
        self.sent_by(role, role, organization, message)
    }

    /// The same with a name.
    pub(crate) fn sent_by<T>(&self, name: &str, role: &str, organization: &str, message: T) -> Request<T> {
        let token = self.token(name, role, organization);
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        request
    }

    /// A token of somebody with a role in an organization.
    pub(crate) fn token(&self, name: &str, role: &str, organization: &str) -> String {
        let now = START.parse::<Timestamp>().unwrap().as_second();
        let claims = json!({ "iss": "safelane-dev", "aud": "safelane", "sub": name, "role": role,
            "org": organization, "iat": now, "exp": now + 3_600 });
        self.key.sign(&claims).unwrap()
    }

    pub(crate) async fn post(
        &self,
        role: &str,
        organization: &str,
        entry: pb::Entry,
    ) -> Result<pb::PostEntryResponse, Status> {
        let message = pb::PostEntryRequest { entry: Some(entry) };
        let request = self.sent(role, organization, message);
        Ok(self.server.funding().post_entry(request).await?.into_inner())
    }
}
