//! `cargo xtask features`: each combination of features compiles without a warning, and with the oldest Rust that is
//! supported.
//!
//! The step `codecs` of `cargo xtask test` covers the combinations that matter on every change; this chore covers all.

use crate::error::Result;
use crate::tools::Tool;
use crate::workspace::Workspace;

/// Checks each combination of features, and the oldest supported Rust.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Also check the workspace with the `rust-version` that it states; cargo-hack has rustup install it.
    #[arg(long)]
    rust_version: bool,
}

/// Runs cargo-hack.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    Tool::HACK.require()?;
    let packages = ["ipc-core", "ipc-shared"].iter().flat_map(|package| ["--package", package]);
    workspace.cargo("hack clippy --feature-powerset").args(packages).args(["--", "-D", "warnings"]).run()?;
    if arguments.rust_version {
        workspace.cargo("hack check --rust-version --workspace --all-targets --locked").run()?;
    }
    Ok(())
}
