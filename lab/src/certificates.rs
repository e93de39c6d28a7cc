//! The lab's own authority, and the certificate that every server of a stage shows.
//!
//! Made anew for every stage: nothing secret is checked in, and nothing expires while nobody looks.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa};
use rcgen::{Issuer, KeyPair, KeyUsagePurpose};

use crate::{Result, topology};

/// The name in the certificate, beside the addresses at which the lab's servers are dialled.
pub const NAME: &str = "ftp.lab.test";

/// Files in PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority's certificate: what clients are told to trust.
    pub authority: PathBuf,
    /// The server's certificate, the authority's behind it.
    pub chain: PathBuf,
    /// The server's key, elliptic (P-256).
    pub key: PathBuf,
    /// Key and chain in one file, for servers that want that.
    pub both: PathBuf,
}

impl Certificates {
    /// Makes the authority and the certificate; the files are written to `directory`.
    pub fn make(directory: &Path) -> Result<Self> {
        Self::make_for(directory, &[])
    }

    /// The same, with further addresses at which servers are dialled.
    pub fn make_for(directory: &Path, further: &[IpAddr]) -> Result<Self> {
        fs::create_dir_all(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority
            .distinguished_name
            .push(DnType::CommonName, "The laboratory's authority");
        let authority_key = KeyPair::generate()?;
        let root = authority.self_signed(&authority_key)?;
        let addresses = [
            topology::SERVER,
            topology::SERVER_V6,
            topology::SERVER_GATEWAY,
            topology::SERVER_TRANSLATED,
        ];
        let mut names = vec![
            NAME.to_owned(),
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
        ];
        names.extend(addresses.iter().chain(further).map(IpAddr::to_string));
        let mut server = CertificateParams::new(names)?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.distinguished_name.push(DnType::CommonName, NAME);
        let key = KeyPair::generate()?;
        let issuer = Issuer::from_params(&authority, &authority_key);
        let own = server.signed_by(&key, &issuer)?;
        let chain = own.pem() + &root.pem();
        let files = Self {
            authority: directory.join("authority.pem"),
            chain: directory.join("chain.pem"),
            key: directory.join("key.pem"),
            both: directory.join("both.pem"),
        };
        fs::write(&files.authority, root.pem())?;
        fs::write(&files.chain, &chain)?;
        for (path, text) in [
            (&files.key, key.serialize_pem()),
            (&files.both, key.serialize_pem() + &chain),
        ] {
            fs::write(path, text)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        }
        Ok(files)
    }
}
