//! `cargo xtask deny`: checks licences, sources and features of all dependencies against `deny.toml`.
//!
//! Advisories are not checked: they change by the day, so that a change could fail for something it has not touched.
//! `cargo deny check advisories` checks them.

use crate::error::Result;
use crate::tools::Tool;
use crate::workspace::Workspace;

/// Runs cargo-deny.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    Tool::DENY.require()?;
    workspace.cargo("deny --workspace --all-features check bans licenses sources").run()
}
