//! Pages of lists: keyset order, and tokens that are bound to the list and its filter.

use uuid::Uuid;

use crate::app::App;
use crate::app::token::Filter;
use crate::error::Error;

/// A page of a list, and the token of the next.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Continues after them; none on the last page.
    pub next: Option<String>,
}

/// Which page of a list to read.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// Rows on the page, from 1 to [`PageRequest::SIZE_MAX`].
    pub size: u16,
    /// Token of the page before; empty for the first.
    pub token: String,
}

impl PageRequest {
    /// Rows when the caller does not say.
    pub const SIZE_DEFAULT: u16 = 50;
    /// Most rows on a page.
    pub const SIZE_MAX: u16 = 1_000;

    /// How many rows to read: one more than shown, to see whether there is a next page.
    #[must_use]
    pub fn limit(&self) -> i64 {
        i64::from(self.size) + 1
    }

    /// Where the page begins; none for the first.
    ///
    /// # Errors
    /// `PageToken` when the token is of another list.
    pub fn position(&self, app: &App, filter: Filter) -> Result<Option<Vec<u8>>, Error> {
        if self.token.is_empty() {
            return Ok(None);
        }
        app.sealer.open_page(filter, &self.token).map(Some)
    }

    /// Where the page begins, for lists that are ordered by a text.
    ///
    /// # Errors
    /// `PageToken` when the token is of another list.
    pub fn text_position(&self, app: &App, filter: Filter) -> Result<String, Error> {
        let bytes = self.position(app, filter)?.unwrap_or_default();
        String::from_utf8(bytes).map_err(|_| Error::PageToken)
    }

    /// Where the page begins, for lists that are ordered by an id: after this one.
    ///
    /// # Errors
    /// `PageToken` when the token is of another list.
    pub fn id_position(&self, app: &App, filter: Filter) -> Result<Uuid, Error> {
        match self.position(app, filter)? {
            None => Ok(Uuid::nil()),
            Some(bytes) => Uuid::from_slice(&bytes).map_err(|_| Error::PageToken),
        }
    }

    /// Cuts what was read to the page and makes the next token from the last row.
    pub fn cut<T>(
        &self,
        app: &App,
        filter: Filter,
        mut rows: Vec<T>,
        position: impl Fn(&T) -> Vec<u8>,
    ) -> Page<T> {
        let more = usize::from(self.size) < rows.len();
        rows.truncate(usize::from(self.size));
        let last = if more { rows.last() } else { None };
        let next = last.map(|row| app.sealer.seal(filter, &position(row)));
        Page { rows, next }
    }
}
