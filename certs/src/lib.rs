//! Makes, keeps, renews and hands over the serving certificate.
//!
//! ```text
//!   folder or Secret  <-- load, save if unchanged -->  care  --> Serving --> TLS server
//!         |                                             ^ |         |
//!         +---- changed ---->  Keeper  -----------------+ |         +-----> ca_bundle --> API server
//!                                                         v
//!                                             plan: what is due, and when
//! ```

mod authority;
pub mod ca_bundle;
mod care;
mod date;
mod files;
mod folder;
mod keeper;
mod lifetimes;
mod material;
mod name;
mod pair;
mod pem;
pub mod plan;
mod secret;
mod serving;
mod store;
mod x509;

pub use authority::IssueError;
pub use care::CertsError;
pub use files::Origin;
pub use folder::FolderError;
pub use keeper::{Keeper, Source, open};
pub use lifetimes::{Life, Lifetimes};
pub use material::MaterialError;
pub use name::{BadName, Name};
pub use pair::PairError;
pub use pem::PemError;
pub use secret::SecretError;
pub use serving::{Serving, Status};
pub use store::StoreError;
pub use x509::X509Error;
