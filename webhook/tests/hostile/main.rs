//! What nobody should send, sent to the real server over real TLS: each gets its answer, and reviews go on.
// `cfg(test)` tells clippy that all of it is test code, helpers too.

#[cfg(test)]
mod admitted;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod client;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod huge;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod reviews;
#[cfg(test)]
mod server;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod stop;
