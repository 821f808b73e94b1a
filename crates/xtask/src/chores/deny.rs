//! `cargo xtask deny`: licences, sources and features of what is depended on, as `deny.toml` says.
//!
//! Advisories are not looked at: they come from elsewhere and change by the day, so that a change could fail for what it
//! has not touched. `cargo deny check advisories` asks for them.

use crate::error::Result;
use crate::tools::Tool;
use crate::workspace::Workspace;

/// Asks cargo-deny.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    Tool::DENY.require()?;
    workspace.cargo("deny --workspace --all-features check bans licenses sources").run()
}
