use crate::tally::Tally;
use crate::{Result, Settings};
pub(crate) fn run(_: &Settings, _: &Tally) -> Result<()> { Ok(()) }
