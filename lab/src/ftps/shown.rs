//! Certificates of clients as login: programs that show one of the right authority, one of a wrong one, and none, to a
//! server that requires one. There is no password.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType};
use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};

use super::caller::{VERSIONS, Version};
use crate::certificates::Certificates;
use crate::network::Network;
use crate::payload::{self, Workspace};
use crate::process::{isolate, run as run_bounded};
use crate::server::{self, Kind, PASSWORD, Place, Server, ServerPlan, Tls, USER};
use crate::tally::Tally;
use crate::{Result, Settings, topology};

const PROGRAM: &str = include_str!("shown.py");

const PAYLOAD: &str = "payload.bin";

const LIMIT: Duration = Duration::from_mins(1);

/// Known by a name in her certificate, and by nothing else.
const USERS: &str = "[[user]]\nname = \"ann\"\ncertificate_names = [\"ann@lab.test\"]\n";

struct Scene {
    network: Network,
    _server: Server,
    certificates: Certificates,
    work: Workspace,
    payload: PathBuf,
    wharf: PathBuf,
}

/// What a client shows, and whether it gets in.
const SHOWN: [(&str, bool); 3] = [("right", true), ("wrong", false), ("", false)];

const PROGRAMS: [&str; 4] = ["curl", "lftp", "ftplib", "wharf"];

pub(super) fn run(settings: &Settings, tally: &Tally) {
    let wanted = |program: &&&str| settings.wants(&format!("client certificate, {program}"));
    let programs: Vec<_> = PROGRAMS.iter().filter(wanted).collect();
    if programs.is_empty() {
        return;
    }
    println!("\nclient certificates as login, with wharf serve");
    let scene = match Scene::prepare(settings) {
        Ok(scene) => scene,
        Err(error) => return tally.fail("client certificates", &error.to_string()),
    };
    for program in programs {
        for version in VERSIONS {
            let what = format!("client certificate, {program}, TLS {}", version.name());
            tally.check(&what, scene.meet(program, version));
        }
    }
}

/// An authority in `PATH/ca.pem`, and what it signed for ann, with its key, in `PATH/ann.pem`.
fn client(directory: &Path, authority: &str) -> Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, authority);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    fs::write(directory.join("ca.pem"), authority.pem())?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.distinguished_name.push(DnType::CommonName, "ann");
    params.subject_alt_names = vec![SanType::Rfc822Name("ann@lab.test".try_into()?)];
    let key = KeyPair::generate()?;
    let signed = params.signed_by(&key, &authority)?;
    let both = signed.pem() + &key.serialize_pem();
    Ok(fs::write(directory.join("ann.pem"), both)?)
}

impl Scene {
    fn prepare(settings: &Settings) -> Result<Self> {
        let work = Workspace::create("ftps-shown", false)?;
        let root = work.directory("root")?;
        let payload = root.join(PAYLOAD);
        payload::write(&payload, 50_000)?;
        let right = work.directory("right")?;
        client(&right, "Clients of the laboratory")?;
        client(&work.directory("wrong")?, "Somebody else's clients")?;
        let users = work.path().join("users.toml");
        fs::write(&users, USERS)?;
        let certificates = Certificates::make(&work.path().join("certificates"))?;
        let network = Network::build(&topology::PLAIN)?;
        let ca = right.join("ca.pem");
        let server = server::start(
            Kind::Wharf,
            Place::Namespace(&network.server),
            &ServerPlan {
                wharf: &settings.wharf,
                directory: &root,
                work: &work.directory("server")?,
                port: 21,
                user: USER,
                password: PASSWORD,
                passive: topology::RANGE,
                advertise: None,
                max_sessions: 0,
                lines: &[],
                further: &[
                    "--users",
                    &users.to_string_lossy(),
                    "--tls-client-ca",
                    &ca.to_string_lossy(),
                    "--tls-client-certificates",
                    "required",
                    // Those who are refused here are refused often.
                    "--ban-after",
                    "0",
                ],
                tls: Some(Tls {
                    certificates: &certificates,
                    implicit: false,
                    data_session: "require",
                }),
            },
        )?;
        Ok(Self {
            network,
            _server: server,
            certificates,
            work,
            payload,
            wharf: settings.wharf.clone(),
        })
    }

    fn meet(&self, program: &str, version: Version) -> Result<String> {
        for (shown, gets_in) in SHOWN {
            let here = self.work.directory("here")?;
            let target = here.join("got");
            let words = self.command(program, version, shown, &here)?;
            let Some((first, arguments)) = words.split_first() else {
                return Err("nothing to run".into());
            };
            let mut command = self.network.client.command(first);
            command.args(arguments).current_dir(&here);
            isolate(&mut command, &here);
            let outcome = run_bounded(command, &[], LIMIT)?;
            let same = payload::same(&self.payload, &target);
            let case = if shown.is_empty() { "none" } else { shown };
            match (gets_in, outcome.succeeded(), same) {
                (true, true, Ok(())) | (false, false, Err(_)) => {}
                (_, _, same) => {
                    let words = outcome.last_words();
                    return Err(format!("certificate {case}: {words}; {same:?}").into());
                }
            }
            fs::remove_dir_all(&here)?;
        }
        Ok("the right one is let in; a wrong one and none are not".to_owned())
    }

    /// One download of [`PAYLOAD`] to `got`.
    fn command(
        &self,
        program: &str,
        version: Version,
        shown: &str,
        here: &Path,
    ) -> Result<Vec<String>> {
        let (host, version) = (topology::SERVER, version.name());
        let authority = self.certificates.authority.display().to_string();
        let own = match shown {
            "" => String::new(),
            which => {
                let own = self.work.path().join(which).join("ann.pem");
                own.display().to_string()
            }
        };
        let target = here.join("got").display().to_string();
        let with = |flag: &str| {
            let words: &[&str] = if own.is_empty() { &[] } else { &[flag, &own] };
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let words = |all: &[&str]| {
            all.iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        Ok(match program {
            "curl" => {
                let (tls, url) = (
                    format!("--tlsv{version}"),
                    format!("ftp://{host}/{PAYLOAD}"),
                );
                let mut all = words(&["curl", "-q", "-sS", "--ssl-reqd", "--cacert", &authority]);
                all.extend(words(&[&tls, "--tls-max", version, "--user", "ann:"]));
                all.extend(with("--cert"));
                all.extend(words(&["-o", &target, &url]));
                all
            }
            "lftp" => {
                let script = here.join("script");
                let own = if own.is_empty() {
                    String::new()
                } else {
                    format!("set ssl:cert-file {own}\nset ssl:key-file {own}\n")
                };
                let text = format!(
                    "set cmd:fail-exit on\nset net:max-retries 1\nset net:timeout 15\nset ftp:ssl-force on\n\
                     set ftp:ssl-protect-data on\nset ssl:ca-file {authority}\nset ssl:verify-certificate on\n\
                     set ssl:priority NORMAL:-VERS-ALL:+VERS-TLS{version}\n{own}\
                     open -u ann, ftp://{host}\nget {PAYLOAD} -o {target}\n"
                );
                fs::write(&script, text)?;
                words(&["lftp", "--norc", "-f", &script.display().to_string()])
            }
            "ftplib" => {
                let host = host.to_string();
                let program = ["/usr/bin/python3", "-c", PROGRAM];
                let mut all = words(&program);
                all.extend(words(&[&host, &authority, version, &own, &target]));
                all
            }
            _ => {
                let wharf = self.wharf.display().to_string();
                let url = format!("ftpes://ann@{host}/{PAYLOAD}");
                let mut all = words(&[&wharf, "get", "--ca", &authority, "--tls-max", version]);
                all.extend(with("--cert"));
                all.extend(words(&["-o", &target, &url]));
                all
            }
        })
    }
}
