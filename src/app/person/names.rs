//! How names are kept and compared.

use std::collections::HashMap;

use crate::app::personal_key::PersonalKeys;
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::personal::{KeptName, NameDigest, PersonName, RecordedName, SALT_LEN, digest_of};
use crate::domain::refusal::Refusal;
use crate::domain::text::Title;
use crate::error::Error;
use crate::store::Connection;
use crate::store::person_name::{list_names, save_name};

/// Names by person. Those who were erased have none.
pub type NamesByPerson = HashMap<PersonId, Title>;

/// A person of an operator.
type Whose = (OrganizationId, PersonId);

/// How names are kept: sealed when the service has keys, and in plain when it has none.
#[derive(Debug, Clone)]
pub(crate) struct Names(Option<PersonalKeys>);

impl Names {
    pub(super) const fn new(keys: Option<PersonalKeys>) -> Self {
        Self(keys)
    }

    /// Gives a known person a name, the first or another one. Answers what the journal says of it.
    pub(crate) async fn give(
        &self,
        conn: &mut Connection,
        whose: Whose,
        name: Title,
    ) -> Result<NameDigest, Error> {
        let salt = match self.find(&mut *conn, whose).await? {
            Some(known) => known.salt,
            None => new_salt()?,
        };
        let named = PersonName { salt, name };
        let digest = named.digest();
        let kept = match &self.0 {
            None => KeptName::Plain(named),
            Some(keys) => KeptName::Sealed(keys.seal_name(whose, &together(&named))?),
        };
        save_name(conn, whose, &kept, digest).await?;
        Ok(digest)
    }

    /// Whether a name is another than the one that an event was made with. Of a person who was erased nobody can tell
    /// any more, nor can a service that lacks the key; then it is taken for the same: what was answered once is answered again, and nothing changes.
    pub(crate) async fn differ(
        &self,
        conn: &mut Connection,
        whose: Whose,
        name: &Title,
        recorded: RecordedName,
    ) -> Result<bool, Error> {
        match recorded {
            RecordedName::Plain(first) => Ok(first != name.as_str()),
            RecordedName::Digest(first) => {
                let known = match self.find(conn, whose).await {
                    Err(Error::Refused(_)) => None,
                    known => known?,
                };
                Ok(known.is_some_and(|known| first != digest_of(&known.salt, name.as_str())))
            }
        }
    }

    async fn find(&self, conn: &mut Connection, whose: Whose) -> Result<Option<PersonName>, Error> {
        let kept = list_names(conn, whose.0, &[whose.1]).await?.remove(&whose.1);
        kept.map(|kept| self.open(whose, kept)).transpose()
    }

    /// The name of a person, with the salt.
    pub(super) fn open(&self, whose: Whose, kept: KeptName) -> Result<PersonName, Error> {
        let sealed = match kept {
            KeptName::Plain(name) => return Ok(name),
            KeptName::Sealed(sealed) => sealed,
        };
        let missing = || Refusal::PersonalKeyMissing { key_id: Some(sealed.key_id.clone()) };
        let bytes = self.0.as_ref().ok_or_else(missing)?.open_name(whose, &sealed)?;
        let broken = || Error::bug(format!("the sealed name of person {} is unreadable", whose.1));
        let (salt, name) = bytes.split_first_chunk::<SALT_LEN>().ok_or_else(broken)?;
        let name = std::str::from_utf8(name).ok().and_then(|name| Title::parse(name).ok());
        Ok(PersonName { salt: *salt, name: name.ok_or_else(broken)? })
    }

    /// Opens all of them, or none.
    pub(super) fn open_all(
        &self,
        operator: OrganizationId,
        kept: HashMap<PersonId, KeptName>,
    ) -> Result<NamesByPerson, Error> {
        let open = |(person, kept)| Ok((person, self.open((operator, person), kept)?.name));
        kept.into_iter().map(open).collect()
    }
}

/// What is sealed: the salt, then the name.
pub(super) fn together(named: &PersonName) -> Vec<u8> {
    [&named.salt[..], named.name.as_str().as_bytes()].concat()
}

fn new_salt() -> Result<[u8; SALT_LEN], Error> {
    let mut salt = [0; SALT_LEN];
    getrandom::fill(&mut salt).map_err(|error| Error::bug(format!("no randomness: {error}")))?;
    Ok(salt)
}
