//! The certificates from outside: in folders, in Secrets, over real TLS.
// `cfg(test)` tells clippy that all of it is test code, helpers too.

#[cfg(test)]
mod api;
#[cfg(test)]
mod ca_bundle;
#[cfg(test)]
mod folder;
#[cfg(test)]
mod given;
#[cfg(test)]
mod handover;
#[cfg(test)]
mod replace;
#[cfg(test)]
mod secret;
#[cfg(test)]
mod wait;
