//! The laboratory's own proof: curl and vsftpd, both foreign, in every topology. If this matrix is
//! not what the research measured, the network is wrong and the other matrices mean nothing.

use crate::matrix;
use crate::server::Kind;
use crate::tally::Tally;
use crate::{Result, Settings};

/// curl with vsftpd in every topology.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let title = "the lab itself: curl with vsftpd";
    matrix::print(settings, tally, Kind::Vsftpd, matrix::CURL, title)
}
