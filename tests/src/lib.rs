//! Starts what the tests look at together: a control plane, the webhook, and a Service before it.
//!
//! ```text
//!   a test --pod--> kube-apiserver --review--> service::Service --> webhook::Webhook (one or more)
//!                     |  ^                                              |
//!                   etcd |<-------------- watch ------------------------+
//! ```
//!
//! Where pods are to run, all of it is on a machine of its own (`machine`), with containerd and a kubelet (`worker`) and
//! images made by hand (`image`).

pub mod answer;
pub mod audit;
pub mod authority;
pub mod browser;
pub mod built;
pub mod bundle;
pub mod chart;
pub mod cluster;
pub mod daemon;
pub mod guest;
pub mod image;
pub mod installer;
pub mod load;
pub mod machine;
pub mod memory;
pub mod namespace;
pub mod node;
pub mod object;
pub mod plain_http;
pub mod programs;
pub mod registration;
pub mod review;
pub mod service;
pub mod settled;
pub mod until;
pub mod webhook;
pub mod worker;
