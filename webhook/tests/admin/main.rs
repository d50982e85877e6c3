//! Probes and metrics, asked without a network.
// `cfg(test)` tells clippy that all of it is test code, helpers too.

#[cfg(test)]
mod metrics;
#[cfg(test)]
mod probes;
#[cfg(test)]
mod process;
