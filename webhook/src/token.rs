//! The bearer token that an API server shows, where it is told to show one.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use http::HeaderValue;
use ring::digest::{SHA256, digest};

/// How often the file is looked at: projected tokens are replaced minutes before they end.
const RECHECK: Duration = Duration::from_secs(10);

/// A token that is read from a file, and again when the file changes.
#[derive(Clone)]
pub struct Token {
    path: Arc<Path>,
    /// Only the hash is kept, so that comparing takes no time that tells anything of the token.
    hash: Arc<ArcSwap<Vec<u8>>>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is empty: a bearer token is needed in it")]
    Empty { path: PathBuf },
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Token {
    /// Reads the token.
    pub fn open(path: &Path) -> Result<Self, TokenError> {
        let hash = read(path)?;
        Ok(Self { path: path.into(), hash: Arc::new(ArcSwap::from_pointee(hash)) })
    }

    /// Whether an `Authorization` header holds the token.
    pub fn admits(&self, authorization: Option<&HeaderValue>) -> bool {
        let shown = authorization.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        shown.is_some_and(|shown| hash(shown) == **self.hash.load())
    }

    /// Follows the file for ever.
    pub async fn follow(self) {
        loop {
            tokio::time::sleep(RECHECK).await;
            match read(&self.path) {
                Ok(hash) => self.hash.store(Arc::new(hash)),
                Err(error) => {
                    let error = daemon::error::chain(&error);
                    tracing::warn!(error, "the old bearer token stays");
                }
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TokenError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| TokenError::Read { path: path.into(), source })?;
    match text.trim() {
        "" => Err(TokenError::Empty { path: path.into() }),
        token => Ok(hash(token.as_bytes())),
    }
}

fn hash(token: &[u8]) -> Vec<u8> {
    digest(&SHA256, token).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_the_token_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\n").unwrap();
        let token = Token::open(file.path()).unwrap();
        let admits = |text: &'static str| token.admits(Some(&HeaderValue::from_static(text)));
        assert!(admits("Bearer secret"));
        assert!(!admits("Bearer secret2") && !admits("secret") && !token.admits(None));
    }

    #[test]
    fn an_empty_file_is_an_error_not_an_empty_token() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Token::open(file.path()), Err(TokenError::Empty { .. })));
    }
}
