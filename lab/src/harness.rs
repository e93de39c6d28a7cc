//! The laboratory's own proof, with foreign programs on both sides: curl and vsftpd in every
//! topology, every foreign client with vsftpd. If these matrices are not what is known of these
//! programs, the network or a recipe is wrong and the other matrices mean nothing.

use crate::server::Kind;
use crate::tally::Tally;
use crate::{Result, Settings};
use crate::{client, ftps, interop, mapper, matrix};

/// curl and ftp with vsftpd in every topology; foreign clients with vsftpd in the plain one, and
/// over TLS with every foreign server.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let title = "the lab itself: curl and ftp with vsftpd";
    matrix::print(settings, tally, Kind::Vsftpd, matrix::FOREIGN, title, false)?;
    let title = "the lab itself: curl and lftp with vsftpd over TLS";
    matrix::print(
        settings,
        tally,
        Kind::Vsftpd,
        matrix::SECURED_FOREIGN,
        title,
        true,
    )?;
    ftps::witnesses(settings, tally);
    mapper::run(settings, tally)?;
    let title = "the lab itself: foreign clients with vsftpd";
    interop::meet(settings, tally, Kind::Vsftpd, client::FOREIGN, title)
}
